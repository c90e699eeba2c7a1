"""What onnxruntime, on one thread, takes for a frame of Silero's VAD, and what its 16 kHz half is worth.

Arguments: the model, a file of 16-bit samples at 8 kHz to be timed on, then for each signal to be judged a rate, its
samples and its labels, a byte for each 10 ms. Prints "frame_ns N", then "area RATE N" for each rate.
"""

import sys
import time

import numpy as np
import onnxruntime


class Silero:
    def __init__(self, session, rate):
        self.session, self.rate, self.frame = session, rate, rate * 32 // 1000
        self.state = np.zeros((2, 1, 128), np.float32)
        self.context = np.zeros(self.frame // 8, np.float32)

    def detect(self, frame):
        both = np.concatenate([self.context, frame])[None]
        inputs = {"input": both, "state": self.state, "sr": np.array(self.rate, np.int64)}
        probability, self.state = self.session.run(None, inputs)
        self.context = frame[-len(self.context) :]
        return float(probability[0, 0])


def samples(path):
    return np.fromfile(path, "<i2").astype(np.float32) / 32768


def scores(session, rate, path):
    silero, audio = Silero(session, rate), samples(path)
    count = len(audio) // silero.frame
    return np.array([silero.detect(audio[n * silero.frame : (n + 1) * silero.frame]) for n in range(count)])


def area(scores, labels):
    ranks = np.empty(len(scores))
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    speech = labels == 1
    count = speech.sum()
    return (ranks[speech].sum() - count * (count + 1) / 2) / (count * (~speech).sum())


def main():
    model, timed, *judged = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options)

    silero, audio, rounds = Silero(session, 8000), samples(timed), []
    for _ in range(9):
        start = time.thread_time_ns()
        for n in range(300):
            silero.detect(audio[n * 256 : (n + 1) * 256])
        rounds.append((time.thread_time_ns() - start) / 300)
    print("frame_ns", sorted(rounds)[len(rounds) // 2])

    found = {}
    for rate, path, labels in zip(*[iter(judged)] * 3):
        labels, told = np.fromfile(labels, np.uint8), scores(session, int(rate), path)
        # Each cell of 10 ms has the score of the frame in which its middle lies.
        frames = ((np.arange(len(labels)) + 0.5) / 3.2).astype(int)
        inside = frames < len(told)
        both = found.setdefault(rate, ([], []))
        both[0].append(told[frames[inside]])
        both[1].append(labels[inside])
    for rate, (told, labels) in found.items():
        print("area", rate, area(np.concatenate(told), np.concatenate(labels)))


main()
