#!/bin/sh
# Sees to voice bots for the tests: PyPI's pipecat-ai with its WebSocket transport, and uvicorn to serve it, in
# target/pipecat. Says on stderr what is missing where they cannot be had, and fails.
set -eu
cd "$(dirname "$0")/.."

# Raise these by hand: the bots of tests/bot are written for them.
wanted="pipecat-ai[websocket]==1.14.0 uvicorn==0.54.0"

python=target/pipecat/bin/python
if [ "$(cat target/pipecat/wanted 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
log=target/pipecat.log
mkdir -p target
# Where Debian's python3-venv is missing, virtualenv may be there. Pipecat asks for Python 3.11 or newer, which pip says.
# shellcheck disable=SC2086 # One argument for each package.
if { python3 -m venv --clear target/pipecat || python3 -m virtualenv --clear target/pipecat; } >"$log" 2>&1 &&
    $python -m pip install -q $wanted >>"$log" 2>&1; then
    echo "$wanted" >target/pipecat/wanted
    exit 0
fi
echo "missing: PyPI's $wanted, see $log" >&2
exit 1
