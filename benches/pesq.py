#!/usr/bin/env python3
"""Scores repaired speech by PESQ (ITU-T P.862; P.862.2 at 16 kHz), 1 to 4.6.

    benches/pesq.py REFERENCE.wav DEGRADED.wav...

Mono, 16 bit, 8 or 16 kHz. Prints a line per degraded file: its score and its name. Needs the
Python packages `pesq` and `numpy`.
"""

import sys
import wave

MODES = {8000: "nb", 16000: "wb"}


def read(path):
    with wave.open(path) as file:
        shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if shape[:2] != (1, 2) or shape[2] not in MODES:
            sys.exit(f"{path}: {shape[0]} channels, {8 * shape[1]} bit, {shape[2]} Hz; "
                     "need 1 channel, 16 bit, 8000 or 16000 Hz")
        return shape[2], file.readframes(file.getnframes())


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    # The folder of this script: the package has its name.
    del sys.path[0]
    try:
        import numpy
        import pesq
    except ImportError as error:
        sys.exit(f"no PESQ: {error}; `pip install pesq numpy` gets it")

    rate, reference = read(sys.argv[1])
    for path in sys.argv[2:]:
        actual, degraded = read(path)
        if actual != rate:
            sys.exit(f"{path}: {actual} Hz, the reference has {rate} Hz")
        both = [numpy.frombuffer(samples, "<i2") for samples in (reference, degraded)]
        print(f"{pesq.pesq(rate, *both, MODES[rate]):.3f} {path}")


if __name__ == "__main__":
    main()
