"""Real streams for tests: MPEG-TS, MJPEG and RTP made by PyAV, served over HTTP and RTSP on this machine."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from fractions import Fraction

import av
import cv2

from .numbered import numbered

RATE = Fraction(25)
SIZE = (64, 96)


def encode(
    file: object, numbers: Sequence[int], *, size: tuple[int, int] = SIZE, first_pts: int = 0, **muxing: str
) -> None:
    """Write numbered frames to `file` as H.264, every fifth a key frame; MPEG-TS unless `format` says otherwise."""
    with av.open(file, "w", format=muxing.pop("format", "mpegts"), options=muxing) as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=5:scenecut=0:repeat-headers=1"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for pts, number in enumerate(numbers, start=first_pts):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size)).reformat(format="yuv420p")
            frame.pts, frame.time_base = pts, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def mpegts(numbers: Sequence[int], size: tuple[int, int] = SIZE, first_pts: int = 0) -> bytes:
    """A piece of MPEG-TS; pieces with rising stamps may follow each other, of other sizes too."""
    file = io.BytesIO()
    encode(file, numbers, size=size, first_pts=first_pts)
    return file.getvalue()


def mjpeg(numbers: Sequence[int], size: tuple[int, int] = SIZE) -> bytes:
    """Parts of a multipart/x-mixed-replace answer with the boundary `part`."""
    parts = b""
    for number in numbers:
        jpeg = cv2.imencode(".jpg", numbered(number, *size))[1].tobytes()
        parts += b"--part\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)
    return parts


class HttpStream:
    """An HTTP server whose n-th connection plays the n-th script; later ones are refused.

    A script is a list of bytes to send and events to wait for. At its end the connection is cut.
    """

    def __init__(self, *scripts: Sequence[bytes | threading.Event], kind: str = "video/mp2t") -> None:
        self.connections = 0
        self._scripts, self._kind = scripts, kind
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/stream"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        players = []
        for script in self._scripts:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            self.connections += 1
            players.append(threading.Thread(target=self._play, args=(connection, script)))
            players[-1].start()
        self._listener.close()
        for player in players:
            player.join()

    def _play(self, connection: socket.socket, script: Sequence[bytes | threading.Event]) -> None:
        with closing(connection), suppress(OSError):  # whoever watches may leave
            connection.recv(65536)
            connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Type: {self._kind}\r\n\r\n".encode())
            for step in script:
                if isinstance(step, bytes):
                    connection.sendall(step)
                else:
                    while not step.wait(0.02) and not self._over.is_set():
                        pass

    def close(self) -> None:
        self._over.set()
        _stop_listening(self._listener)
        self._thread.join(20)
        assert not self._thread.is_alive()


def _stop_listening(listener: socket.socket) -> None:
    with suppress(OSError):  # closed already
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@contextmanager
def http_stream(*scripts: Sequence[bytes | threading.Event], kind: str = "video/mp2t") -> Iterator[HttpStream]:
    server = HttpStream(*scripts, kind=kind)
    try:
        yield server
    finally:
        server.close()


SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=test
c=IN IP4 127.0.0.1
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
a=control:trackID=0
"""


class RtspServer:
    """A small RTSP server that plays numbered frames over TCP, interleaved, to each client; then cuts the connection.

    FFmpeg's own RTP muxer makes the packets, and sends them to a UDP socket from which they are taken.
    """

    def __init__(self, *clips: Sequence[int]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[str] = []
        self._clips = [self._packets(numbers) for numbers in clips]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @staticmethod
    def _packets(numbers: Sequence[int]) -> list[bytes]:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(0.3)
            packets: list[bytes] = []
            encode(f"rtp://127.0.0.1:{receiver.getsockname()[1]}", numbers, format="rtp")
            try:
                while True:
                    packets.append(receiver.recv(65536))
            except TimeoutError:
                return [packet for packet in packets if packet[1] & 0x7F == 96]

    def _serve(self) -> None:
        for packets in self._clips:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with closing(connection), connection.makefile("rb") as lines:
                self._talk(connection, lines, packets)
        self._listener.close()

    def _talk(self, connection: socket.socket, lines: io.BufferedReader, packets: list[bytes]) -> None:
        while first := lines.readline().decode():
            method, headers = first.split()[0], {}
            while (line := lines.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            self.requests.append(first.strip())
            extra, body = "", ""
            if method == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                body = SDP.replace("\n", "\r\n")
                extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif method == "PLAY":
                extra = "Session: 1\r\n"
            connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}\r\n{body}".encode())
            if method == "PLAY":
                for packet in packets:
                    connection.sendall(b"$\x00" + len(packet).to_bytes(2, "big") + packet)
                return

    def close(self) -> None:
        _stop_listening(self._listener)
        self._thread.join(20)


@contextmanager
def rtsp_server(*clips: Sequence[int]) -> Iterator[RtspServer]:
    server = RtspServer(*clips)
    try:
        yield server
    finally:
        server.close()
