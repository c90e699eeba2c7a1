#!/bin/sh
# Sees to an Asterisk for the tests: a private root that chroot may enter, else an `asterisk` of version 20 or newer and
# SIPp on the PATH. Says on stderr what is missing where neither can be had, and fails.
set -eu
cd "$(dirname "$0")/.."

if root=$(docker/asterisk/root.sh) && chroot "$root" true 2>/dev/null; then
    echo "the tests use the Asterisk in $root"
    exit 0
fi
if version=$(asterisk -V 2>/dev/null | sed -nE 's/^Asterisk ([0-9]+)\..*/\1/p') && [ "${version:-0}" -ge 20 ] &&
    command -v sipp >/dev/null; then
    echo "the tests use the Asterisk $version on the PATH"
    exit 0
fi
echo "no Asterisk for the tests: a private one needs root; as an ordinary user run" >&2
echo "    sudo env PATH=\"\$PATH\" HOME=\"\$HOME\" make test" >&2
exit 1
