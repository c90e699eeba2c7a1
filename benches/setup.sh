#!/bin/sh
# Sees to what `make bench-dsp` needs besides what `make test` does: the C libraries that it compares with. Installs
# them with apt where that may be done, else says what is missing.
set -eu

packages="libspeexdsp-dev libsoxr-dev"
# Whether the linker finds both.
links() {
    echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null -Wl,--no-as-needed -lspeexdsp -lsoxr 2>/dev/null
}

if links; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing speexdsp and soxr (packages $packages)" >&2
    # A list of packages that is too old for an update may still do.
    apt-get update -qq >&2 || true
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
else
    echo "missing: the libraries speexdsp and soxr. On Debian: sudo apt-get install $packages" >&2
    exit 1
fi
