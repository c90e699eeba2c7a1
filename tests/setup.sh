#!/bin/sh
# Sees to what `make demo` and `make test` need besides Rust: a C compiler that links, and libopus where pkg-config finds
# it. Installs them with apt where that may be done, else says what is missing.
set -eu

if ! command -v cargo >/dev/null; then
    echo "missing: cargo (Rust 1.95 or newer); see https://rustup.rs" >&2
    exit 1
fi

# Sets `missing` and, for Debian, `packages`.
look() {
    missing=
    packages=
    if ! command -v cc >/dev/null; then
        missing="a C compiler named cc"
        packages="gcc libc6-dev"
    fi
    # The same question, with the same variables, that the build asks.
    if ! "${PKG_CONFIG:-pkg-config}" --exists opus 2>/dev/null; then
        missing="${missing:+$missing, }libopus as pkg-config finds it"
        packages="${packages:+$packages }pkg-config libopus-dev"
    fi
}

look
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing $missing (packages: $packages)" >&2
    # A list of packages that is too old for an update may still do.
    apt-get update -qq >&2 || true
    # shellcheck disable=SC2086 # One argument for each package.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2 || true
    look
fi
if [ -n "$missing" ]; then
    echo "missing: $missing. On Debian: sudo apt-get install $packages" >&2
    exit 1
fi
