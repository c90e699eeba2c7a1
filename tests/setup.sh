#!/bin/sh
# Sees to what `make demo` and `make test` need besides Rust: a C compiler that links. Installs it with apt where that
# may be done, else says what is missing.
set -eu

if ! command -v cargo >/dev/null; then
    echo "missing: cargo (Rust 1.95 or newer); see https://rustup.rs" >&2
    exit 1
fi
if command -v cc >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing a C compiler (packages gcc, libc6-dev)" >&2
    # A list of packages that is too old for an update may still do.
    apt-get update -qq >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev >&2
else
    echo "missing: a C compiler named cc. On Debian: sudo apt-get install gcc libc6-dev" >&2
    exit 1
fi
