"""Masks as one file a clip against PNGs; other codecs; what it takes to open a day of them, and to thin a video.

    python -m benchmarks.films            # writes results/films.md, some minutes
    python -m benchmarks.films --quick    # a fiftieth of it, prints only

Masks and pictures are a phantom's, enlarged to 1920 x 1080. Times of writing, reading and decoding are processor
seconds; those of opening are the clock's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.machine import machine
from cuemask.media.bit_png import mask_of_bits, png_of_bits
from cuemask.media.decoding import OpenVideo
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.frames import Selection
from cuemask.media.growing_films import GrowingFilm
from cuemask.media.mask_films import MaskFilm, Masks, write_film
from cuemask.media.masks import read_mask, write_mask
from cuemask.media.name_runs import NameRuns
from cuemask.media.skipping import SkippingVideo
from cuemask.phantom import PhantomScene
from cuemask.runs.space import occupied

HEIGHT_PX, WIDTH_PX, LOOP = 1080, 1920, 20
MASKS, FRAMES, LONG, DAY = 400, 500, 200_000, 2_160_000
RATE = Fraction(25)
SELECTIONS = {"--fps 1": Selection(frames_per_second=1.0), "--every 5": Selection(5)}
VIDEOS: dict[str, dict[str, Any]] = {
    "H.264, a key frame a second": {"codec": "libx264", "key_every": 25, "preset": "veryfast"},
    "H.264, one in 10 seconds": {"codec": "libx264", "key_every": 250, "preset": "veryfast"},
    "MJPEG": {"codec": "mjpeg", "key_every": 1},
}
CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "FFV1": ("ffv1", "gray", {"level": "3", "coder": "0", "context": "0", "slices": "4", "slicecrc": "1"}),
    "JPEG-LS": ("jpegls", "gray", {}),
    "H.264": ("libx264", "gray", {"qp": "0", "preset": "ultrafast"}),
    "TIFF of one bit": ("tiff", "monob", {}),
    "HuffYUV": ("ffvhuff", "gray", {}),
}
RESULT = Path(__file__).parent / "results" / "films.md"


def main() -> None:
    """Measure, print, and keep the table where all of it was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the frames")
    is_quick = parser.parse_args().quick
    part = 50 if is_quick else 1
    cv2.setNumThreads(1)
    rgbs, masks = loop()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lines = [
            "# Films of masks, and videos that are thinned",
            "",
            f"`python -m benchmarks.films`, {date.today():%Y-%m-%d}, on {machine()}. "
            "Times of writing, reading and decoding are processor seconds, of all threads together; of opening, the "
            "clock's.",
            "",
            *kept(place, masks, MASKS // part),
            "",
            *coded(masks),
            "",
            *opened(place, [LONG // part, DAY // part]),
            "",
            *thinned(place, rgbs, FRAMES // (5 if is_quick else 1)),
        ]
    text = "\n".join([*lines, ""])
    print(text)
    if not is_quick:
        write_bytes(RESULT, text.encode())


def loop() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pictures and masks of a phantom, large."""
    scene = PhantomScene(seed=1)
    frames = [scene.frame(t) for t in range(LOOP)]
    size = (WIDTH_PX, HEIGHT_PX)
    rgbs = [cv2.resize(frame.rgb, size, interpolation=cv2.INTER_CUBIC) for frame in frames]
    masks = [cv2.resize(frame.mask.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC) > 0 for frame in frames]
    return rgbs, masks


def kept(folder: Path, masks: Sequence[np.ndarray], count: int) -> list[str]:
    """What it takes to write and read masks as pictures and as a film."""
    pictures, clip = make_folder(folder / "masks"), make_folder(folder / "clip")
    names = [f"{number:06d}" for number in range(count)]

    def write_pictures() -> None:
        for name, mask in zip(names, cycle(masks), strict=False):
            write_mask(pictures / f"{name}.png", mask)

    def write_a_film() -> None:
        film = GrowingFilm(clip / "masks.mov", folder / "work", RATE, resume=False)
        for place, (name, mask) in enumerate(zip(names, cycle(masks), strict=False)):
            film.add(name, place, film.coded(mask))
        film.finish()

    rows = ["| masks of 1920 x 1080 | written | read in order | kB on disk |", "|---|---|---|---|"]
    for what, write, where in (
        ("PNG", write_pictures, pictures),
        ("film", write_a_film, clip / "masks.mov"),
    ):
        written, size = timed(write), occupied(pictures if where == pictures else clip)
        read = timed(lambda where=where: [read_mask(where / f"{name}.png") for name in names])
        rows.append(
            f"| {what} | {1e3 * written / count:.1f} ms | {1e3 * read / count:.1f} ms | {size / count / 1e3:.1f} |"
        )
    for name, mask in zip(names, cycle(masks), strict=False):
        assert np.array_equal(read_mask(clip / "masks.mov" / f"{name}.png") > 0, mask)
    return rows


def coded(masks: Sequence[np.ndarray]) -> list[str]:
    """What other codecs without loss need for the same masks, in memory and one thread; ours first."""
    rows = ["| masks of 1920 x 1080 | coded | decoded | kB |", "|---|---|---|---|"]
    ours, found = list[bytes](), list[np.ndarray]()
    before = timed(lambda: ours.extend(map(png_of_bits, masks)))
    after = timed(lambda: found.extend(mask_of_bits(data, HEIGHT_PX, WIDTH_PX) for data in ours))
    rows.append(cost_row("PNG of one bit", before, after, ours))
    assert all(np.array_equal(one > 0, mask) for one, mask in zip(found, masks, strict=True))
    levels = [mask * np.uint8(255) for mask in masks]
    for what, (name, pixels, options) in CODECS.items():
        encoder: Any = av.CodecContext.create(name, "w")
        encoder.height, encoder.width, encoder.pix_fmt = HEIGHT_PX, WIDTH_PX, pixels
        encoder.time_base, encoder.gop_size, encoder.thread_count, encoder.options = 1 / RATE, 1, 1, options
        decoder: Any = av.CodecContext.create("h264" if name == "libx264" else name, "r")
        frames = [av.VideoFrame.from_ndarray(one, format="gray").reformat(format=pixels) for one in levels]
        kept, seen = list[bytes](), list[Any]()
        before = timed(
            lambda e=encoder, f=frames, k=kept: k.extend(bytes(p) for one in [*f, None] for p in e.encode(one))
        )
        decoder.extradata, decoder.thread_count = encoder.extradata, 1
        decoder.height, decoder.width, decoder.pix_fmt = HEIGHT_PX, WIDTH_PX, pixels
        packets = [*map(av.Packet, kept), None]
        after = timed(lambda d=decoder, p=packets, s=seen: s.extend(frame for one in p for frame in d.decode(one)))
        assert all(np.array_equal(one.to_ndarray(format="gray"), mask) for one, mask in zip(seen, levels, strict=True))
        rows.append(cost_row(what, before, after, kept))
    return rows


def cost_row(what: str, coding_seconds: float, decoding_seconds: float, packets: Sequence[bytes]) -> str:
    """A codec's line, a mask."""
    each = 1e3 / len(packets)
    size = sum(map(len, packets)) / len(packets) / 1e3
    return f"| {what} | {each * coding_seconds:.1f} ms | {each * decoding_seconds:.1f} ms | {size:.1f} |"


def opened(folder: Path, counts: Iterable[int]) -> list[str]:
    """How long films of so many masks of 64 x 64 take to open, and a random mask of them to be read."""
    rng = np.random.default_rng(0)
    packets = [png_of_bits(rng.random((64, 64)) < 0.1) for _ in range(50)]
    rows = ["| masks | file | opened | another random one, median | slowest of 200 |", "|---|---|---|---|---|"]
    for count in counts:
        path, names = folder / f"{count}.mov", NameRuns()
        for number in range(count):
            names.add(f"{number:06d}", number)
        write_film(path, Masks(64, 64, names, islice(cycle(packets), count)), RATE)
        begun = time.perf_counter()
        film = MaskFilm(path)
        seconds = time.perf_counter() - begun
        times = [
            timed(lambda n=n, film=film: film.read(f"{n:06d}"), time.perf_counter)
            for n in rng.integers(0, count, 200).tolist()
        ]
        rows.append(
            f"| {count:,} | {path.stat().st_size / 1e6:.0f} MB | {1e3 * seconds:.0f} ms | "
            f"{1e3 * statistics.median(times):.1f} ms | {1e3 * max(times):.1f} ms |"
        )
        film.close()
        path.unlink()
    return rows


def thinned(folder: Path, rgbs: Sequence[np.ndarray], count: int) -> list[str]:
    """What is decoded of videos for a selection, and how long it takes."""
    rows = [
        f"| {count} frames of 1920 x 1080 | taken | decoded whole | decoded now | |",
        "|---|---|---|---|---|",
    ]
    for what, options in VIDEOS.items():
        path = written(folder / "video.mkv", rgbs, count, **options)
        for flag, selection in SELECTIONS.items():
            with OpenVideo(path) as video:
                before = timed(lambda s=selection, v=video: list(numbers(s.take(v.from_first(), v.frame_rate))))
            thin = SkippingVideo(path)
            with thin:
                taken: list[int] = []
                after = timed(lambda s=selection, v=thin, t=taken: t.extend(numbers(v.selected(s))))
            rows.append(
                f"| {what}, {flag} | {len(taken)} | {count} in {before:.2f} s | {thin.decoded} in {after:.2f} s | "
                f"{before / after:.1f} times |"
            )
    return rows


def numbers(frames: Iterable[tuple[int, Fraction, Any]]) -> Iterable[int]:
    """Numbers of frames, which are not held."""
    return (number for number, _, _ in frames)


def written(path: Path, rgbs: Sequence[np.ndarray], count: int, *, codec: str, key_every: int, **options: str) -> Path:
    """A video of pictures that go to and fro."""
    there_and_back = [*rgbs, *rgbs[-2:0:-1]]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width, stream.gop_size = HEIGHT_PX, WIDTH_PX, key_every
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        frames = [av.VideoFrame.from_ndarray(rgb).reformat(format=stream.pix_fmt) for rgb in there_and_back]
        for number, frame in enumerate(islice(cycle(frames), count)):
            frame.pts, frame.time_base = number, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def timed(work: Any, clock: Any = time.process_time) -> float:
    """Processor seconds that a call takes, which tell more than the clock where the machine has other work."""
    begun = clock()
    work()
    return clock() - begun


if __name__ == "__main__":
    main()
