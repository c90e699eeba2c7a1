"""A recogniser behind Vosk's protocol, for the tests: PyPI's pocketsphinx with the English model that its wheel brings.

It knows a few words only, so that a synthetic voice on a telephone line is understood, and wants 16 kHz. It ends an
utterance after half a second of silence, as Vosk does. The port that it has chosen is the first line of its output.
"""

import array
import json
import sys
import tempfile

import pocketsphinx
from websockets.sync.server import serve

RATE = 16000
# Root of the mean square above which 100 ms are not silent.
LOUD = 100
# Samples of silence that end an utterance.
PAUSE = RATE // 2


def grammar(words):
    file = tempfile.NamedTemporaryFile("w", suffix=".gram", delete=False)
    with file:
        file.write("#JSGF V1.0;\ngrammar words;\npublic <words> = (%s)+;\n" % " | ".join(words))
    return file.name


def level(audio):
    samples = array.array("h", audio)
    return (sum(s * s for s in samples) / max(len(samples), 1)) ** 0.5


class Listener:
    """One connection's audio. Its clock counts samples, from the first one on."""

    def __init__(self, path):
        self.decoder = pocketsphinx.Decoder(samprate=RATE, jsgf=path, dither=True, loglevel="FATAL")
        self.samples = 0
        self.begin()

    def begin(self):
        self.began = self.samples
        self.silent = 0
        self.spoken = False
        self.decoder.start_utt()

    def hear(self, audio):
        self.decoder.process_raw(audio)
        self.samples += len(audio) // 2
        if level(audio) > LOUD:
            self.spoken, self.silent = True, 0
        else:
            self.silent += len(audio) // 2
        if self.spoken and self.silent >= PAUSE:
            return self.end()
        hypothesis = self.decoder.hyp()
        return {"partial": hypothesis.hypstr if hypothesis else ""}

    def end(self):
        self.decoder.end_utt()
        words = []
        for segment in self.decoder.seg() or ():
            if segment.word[0] not in "<[":
                at = self.began / RATE
                start, end = at + segment.start_frame / 100, at + (segment.end_frame + 1) / 100
                # A second pronunciation of a word is told as word(2).
                words.append({"conf": 1.0, "start": start, "end": end, "word": segment.word.split("(")[0]})
        self.begin()
        result = {"text": " ".join(word["word"] for word in words)}
        if words:
            result["result"] = words
        return result


def main(words):
    path = grammar(words)

    def talk(socket):
        listener = Listener(path)
        for message in socket:
            if isinstance(message, bytes):
                socket.send(json.dumps(listener.hear(message)))
            elif message == '{"eof" : 1}':
                socket.send(json.dumps(listener.end()))
                return
            else:
                assert json.loads(message)["config"]["sample_rate"] == RATE, message

    with serve(talk, "127.0.0.1", 0) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


main(sys.argv[1:])
