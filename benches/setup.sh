#!/bin/sh
# Sees to what a bench needs besides what `make test` does. `setup.sh libraries`: the C libraries that `make bench-dsp`
# compares with; installs them with apt where that may be done, else says what is missing. `setup.sh pesq`: PyPI's pesq for
# `make bench-jitter`, in target/pesq; where that fails the bench goes without it.
set -eu
cd "$(dirname "$0")/.."

packages="libspeexdsp-dev libsoxr-dev"
# Whether the linker finds both.
links() {
    echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null -Wl,--no-as-needed -lspeexdsp -lsoxr 2>/dev/null
}

libraries() {
    if links; then
        return
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
}

pesq() {
    if target/pesq/bin/python -c 'import pesq' 2>/dev/null; then
        return
    fi
    log=target/pesq.log
    mkdir -p target
    # Where Debian's python3-venv is missing, virtualenv may be there.
    if { python3 -m venv target/pesq || python3 -m virtualenv target/pesq; } >"$log" 2>&1 &&
        target/pesq/bin/python -m pip install -q numpy pesq >>"$log" 2>&1; then
        return
    fi
    echo "pesq could not be installed (see $log): concealment is measured without it" >&2
}

case "${1:-}" in
    libraries) libraries ;;
    pesq) pesq ;;
    *)
        echo "usage: $0 libraries|pesq" >&2
        exit 64
        ;;
esac
