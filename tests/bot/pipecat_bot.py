"""A voice bot for the tests, made of Pipecat (PyPI's pipecat-ai) as its users make theirs for Twilio Media Streams.

It greets with a WAV file of 8 kHz, then answers whatever the caller says with the same words. Who speaks while the bot
does interrupts it: Pipecat then sends `clear`. The key # ends the call. The port that it has chosen is the first line
of its output; what Pipecat logs goes to stderr.
"""

import asyncio
import collections
import socket
import sys
import wave

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    ClientConnectedFrame,
    EndWorkerFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

# A telephone's: nothing is resampled on its way.
RATE = 8000
# Silence that ends what a caller says, in seconds.
PAUSE = 0.8
# What was said before the detector was sure of it, in seconds.
LEAD = 0.6


class Parrot(FrameProcessor):
    """Greets, then says what it hears."""

    def __init__(self, greeting):
        super().__init__()
        self._greeting = greeting
        self._lead = collections.deque()
        self._lead_bytes = 0
        self._words = None

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._hear(frame.audio)
            return
        await self.push_frame(frame, direction)
        if isinstance(frame, ClientConnectedFrame):
            await self._say(self._greeting)
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._words = b"".join(self._lead)
            await self.broadcast_interruption()
        elif isinstance(frame, VADUserStoppedSpeakingFrame) and self._words is not None:
            words, self._words = self._words, None
            await self._say(words)
        elif isinstance(frame, InputDTMFFrame) and frame.button == KeypadEntry.POUND:
            await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)

    def _hear(self, audio):
        if self._words is not None:
            self._words += audio
        self._lead.append(audio)
        self._lead_bytes += len(audio)
        while self._lead_bytes > 2 * RATE * LEAD:
            self._lead_bytes -= len(self._lead.popleft())

    async def _say(self, audio):
        await self.push_frame(TTSStartedFrame())
        await self.push_frame(TTSAudioRawFrame(audio, sample_rate=RATE, num_channels=1))
        await self.push_frame(TTSStoppedFrame())


async def talk(websocket, greeting):
    """One call, to its end."""
    _, call = await parse_telephony_websocket(websocket)
    # Whoever has no account at Twilio cannot be asked to hang up there.
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    serializer = TwilioFrameSerializer(call.stream_id, call_sid=call.call_id, params=params)
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
    )
    vad = SileroVADAnalyzer(sample_rate=RATE, params=VADParams(stop_secs=PAUSE))
    pipeline = Pipeline(
        [transport.input(), VADProcessor(vad_analyzer=vad), Parrot(greeting), transport.output()]
    )
    params = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
    worker = PipelineWorker(pipeline, params=params)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport, _websocket):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def main(path):
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        greeting = file.readframes(file.getnframes())
    app = FastAPI()

    @app.websocket("/{path:path}")
    async def bot(websocket: WebSocket):
        await websocket.accept()
        await talk(websocket, greeting)

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    await server.serve(sockets=[listener])


asyncio.run(main(sys.argv[1]))
