#!/bin/sh
# Sees to a recogniser for the tests: PyPI's pocketsphinx, whose wheel brings its English model, and websockets, in
# target/recogniser; and to espeak-ng, which speaks to it. Says on stderr what is missing where they cannot be had, and
# fails.
set -eu
cd "$(dirname "$0")/.."

if ! command -v espeak-ng >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing espeak-ng" >&2
    # A list of packages that is too old for an update may still do.
    apt-get update -qq >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends espeak-ng >&2 || true
fi
if ! command -v espeak-ng >/dev/null; then
    echo "missing: espeak-ng. On Debian: sudo apt-get install espeak-ng" >&2
    exit 1
fi

python=target/recogniser/bin/python
if $python -c 'import pocketsphinx, websockets' 2>/dev/null; then
    exit 0
fi
log=target/recogniser.log
mkdir -p target
# Where Debian's python3-venv is missing, virtualenv may be there.
if { python3 -m venv target/recogniser || python3 -m virtualenv target/recogniser; } >"$log" 2>&1 &&
    $python -m pip install -q pocketsphinx websockets >>"$log" 2>&1; then
    exit 0
fi
echo "missing: PyPI's pocketsphinx and websockets, see $log" >&2
exit 1
