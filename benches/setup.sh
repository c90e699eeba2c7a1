#!/bin/sh
# Sees to what a bench needs besides what `make test` does. `setup.sh libraries`: the C libraries that `make bench-dsp`
# compares with; installs them with apt where that may be done, else says what is missing. `setup.sh pesq`: PyPI's pesq for
# `make bench-jitter`, in target/pesq; where that fails the bench goes without it. `setup.sh speech`: what `make bench-vad`
# listens to, in target/vad, and onnxruntime with Silero's own file, in target/silero; without the latter two the bench
# goes without their figures.
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

# Languages of Asterisk's prompts: packages asterisk-core-sounds-*-wav.
prompts="en es fr it ru"

speech() {
    mkdir -p target/vad/prompts target/vad/espeak
    for language in $prompts; do
        package="asterisk-core-sounds-$language-wav"
        [ -e "target/vad/prompts/$package" ] && continue
        if ! command -v apt-get >/dev/null || ! (cd target/vad && apt-get download -qq "$package") 2>/dev/null; then
            echo "could not be fetched with apt-get: the package $package" >&2
            exit 1
        fi
        dpkg -x target/vad/"$package"_*.deb target/vad/prompts
        touch "target/vad/prompts/$package"
    done
    if ! command -v espeak-ng >/dev/null || ! command -v sox >/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends espeak-ng sox >&2
        else
            echo "missing: espeak-ng and sox. On Debian: sudo apt-get install espeak-ng sox" >&2
            exit 1
        fi
    fi
    benches/vad/speak.sh target/vad/espeak
    onnxruntime
}

onnxruntime() {
    if [ -e target/silero/model.onnx ]; then
        return
    fi
    log=target/silero.log
    if { python3 -m venv target/silero || python3 -m virtualenv target/silero; } >"$log" 2>&1 &&
        target/silero/bin/python -m pip install -q numpy onnxruntime >>"$log" 2>&1 &&
        target/silero/bin/python -m pip download -q --no-deps -d target/silero silero-vad==6.2.3 >>"$log" 2>&1 &&
        target/silero/bin/python -m zipfile -e target/silero/silero_vad-*.whl target/silero/wheel &&
        cp target/silero/wheel/silero_vad/data/silero_vad_op18_ifless.onnx target/silero/model.onnx; then
        return
    fi
    echo "onnxruntime could not be installed (see $log): nothing is compared with it" >&2
}

case "${1:-}" in
    libraries) libraries ;;
    pesq) pesq ;;
    speech) speech ;;
    *)
        echo "usage: $0 libraries|pesq|speech" >&2
        exit 64
        ;;
esac
