"""A bot for the tests that speaks Twilio Media Streams itself, for what Pipecat does not: it sets marks.

It plays a tone, sets the mark `first`, plays a pause and a longer tone, sets the mark `second`: all at once, as fast as
the socket takes it. As soon as the caller is loud it sends `clear`. The port that it has chosen is the first line of
its output; then a line of JSON for everything that happens: what, when by the wall clock, and up to where the caller
was heard.
"""

import asyncio
import base64
import json
import math
import time

from websockets.asyncio.server import serve

RATE = 8000
FIRST_SECONDS = 1.5
PAUSE_SECONDS = 0.3
SECOND_SECONDS = 6.0
# Peak above which the caller speaks, of 32,767.
LOUD = 2000


def encode(sample):
    """A sample in µ-law (G.711)."""
    sign, size = (0x80, -sample) if sample < 0 else (0, sample)
    size = min(size, 32635) + 132
    exponent = size.bit_length() - 8
    return ~(sign | exponent << 4 | size >> exponent + 3 & 0x0F) & 0xFF


def decode(code):
    """The size of a sample in µ-law."""
    code = ~code & 0x7F
    return (((code & 0x0F) << 3) + 132 << (code >> 4)) - 132


def tone(hertz, seconds):
    samples = (math.sin(2 * math.pi * hertz * n / RATE) for n in range(round(seconds * RATE)))
    return bytes(encode(round(8000 * sample)) for sample in samples)


SIZES = [decode(code) for code in range(256)]
FIRST = tone(440, FIRST_SECONDS)
SECOND = b"\xff" * round(PAUSE_SECONDS * RATE) + tone(1000, SECOND_SECONDS)


class Call:
    def __init__(self, socket):
        self.socket = socket
        self.stream = None
        self.heard_ms = 0
        self.is_cleared = False

    def tell(self, event, **more):
        at = {"event": event, "at": time.time(), "heard_ms": self.heard_ms}
        print(json.dumps(at | more), flush=True)

    async def send(self, event, **more):
        await self.socket.send(json.dumps({"event": event, "streamSid": self.stream} | more))

    async def play(self, audio, mark):
        await self.send("media", media={"payload": base64.b64encode(audio).decode()})
        await self.send("mark", mark={"name": mark})

    async def handle(self, message):
        event = message["event"]
        if event == "start":
            self.stream = message["streamSid"]
            self.tell("start", start=message["start"])
            await self.play(FIRST, "first")
            await self.play(SECOND, "second")
        elif event == "media":
            payload = base64.b64decode(message["media"]["payload"])
            self.heard_ms = int(message["media"]["timestamp"])
            if not self.is_cleared and max(SIZES[code] for code in payload) > LOUD:
                self.is_cleared = True
                await self.send("clear")
                self.tell("clear")
        elif event == "mark":
            self.tell("mark", name=message["mark"]["name"])
        elif event == "dtmf":
            self.tell("dtmf", digit=message["dtmf"]["digit"])
        else:
            self.tell(event)


async def talk(socket):
    call = Call(socket)
    async for message in socket:
        await call.handle(json.loads(message))
    call.tell("closed")


async def main():
    async with serve(talk, "127.0.0.1", 0) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
