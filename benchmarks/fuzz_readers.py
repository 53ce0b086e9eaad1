"""What cuemask reads, each with whole files to damage and how it is read: `python -m benchmarks.fuzz`.

Modules are imported where they are needed: a process that reads pictures has no torch in it.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mutations import Rng, mutated, mutated_onnx, mutated_safetensors

SETTINGS = (
    *("network.start=chance", "network.width=2", "network.depth=1", "input.height_px=32", "input.width_px=40"),
    *("training.steps=2", "training.pairs_per_step=1", "training.pasted=0", "cues.use=color,location"),
    "training.checkpoint_seconds=0",
)
_TOLD: dict[str, Any] = {"command": "fuzz", "recipe": {"a": [1, {"b": 2.5}]}, "seed": 0, "inputs": [{"clip": "c"}]}


@dataclass(frozen=True)
class Reader:
    """How files of one kind are read.

    Attributes
    ----------
    read
        Given a folder with the whole set of files, one of them damaged, and the name of that one. What it gives tells
        what was read, as something that compares.
    damaged
        Which files of the folder are damaged, one at a time.
    is_own
        Whether the files are cuemask's own state: then what is read has to be what was written, or made again.
    """

    read: Callable[[Path, str], Any]
    damaged: tuple[str, ...]
    is_own: bool = False
    damage: Callable[[bytes, Rng], bytes] = mutated


def make_seeds(folder: Path, names: Iterable[str]) -> None:
    """Write whole files for the readers of these names below `folder`, a folder each."""
    for name in names:
        (folder / name).mkdir(parents=True)
        _MAKERS[name](folder / name)


def _clip(folder: Path) -> Path:
    from cuemask.phantom import PhantomScene, write_phantom

    return write_phantom(folder, 4, PhantomScene(seed=1, height_px=64, width_px=80)).frames


def _recipe() -> Any:
    from cuemask.recipe import load_recipe

    return load_recipe("default", SETTINGS)


def _options(out: Path) -> Any:
    from cuemask.runs.options import Options

    return Options(out=out, recipe=_recipe(), resume=True)


# Pictures and masks


def _make_pictures(folder: Path) -> None:
    import cv2

    rgb = np.random.default_rng(0).integers(0, 256, (24, 36, 3)).astype(np.uint8)
    rgb[4:20] //= 8
    for ending in ("png", "jpg", "bmp", "tif", "webp", "ppm"):
        cv2.imwrite(str(folder / f"a.{ending}"), rgb)
    cv2.imwrite(str(folder / "progressive.jpg"), rgb, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    cv2.imwrite(str(folder / "deep.png"), rgb.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "plain.tif"), rgb, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    cv2.imwrite(str(folder / "lossless.webp"), rgb, [cv2.IMWRITE_WEBP_QUALITY, 101])


def _read_picture(folder: Path, name: str) -> Any:
    from cuemask.media.pictures import read_picture

    return read_picture(folder / name).shape


def _make_masks(folder: Path) -> None:
    import cv2

    codes = np.zeros((24, 36), np.uint8)
    codes[6:, 9:20] = 30
    for ending in ("png", "bmp", "tif"):
        cv2.imwrite(str(folder / f"a.{ending}"), codes)


def _read_mask(folder: Path, name: str) -> Any:
    from cuemask.media.masks import read_mask

    return read_mask(folder / name).shape


# Video


def _make_videos(folder: Path) -> None:
    from fractions import Fraction

    import av

    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "mpeg2video"), ("a.avi", "mjpeg")):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(25))
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for k in range(5):
                frame = av.VideoFrame.from_ndarray(np.roll(picture, 3 * k, 1))
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def _read_video(folder: Path, name: str) -> Any:
    from cuemask.media.area import picture_area
    from cuemask.media.clips import open_clips

    (clip,) = open_clips([folder / name])
    picture_area(clip)
    return sum(1 for _ in clip.frames())


# Recipes, and lists in plain text


def _make_recipe(folder: Path) -> None:
    from cuemask.recipe import DEFAULT, recipe_as_toml

    (folder / "a.toml").write_text(recipe_as_toml(DEFAULT))
    (folder / "settings.txt").write_text(
        "training.steps=3\nmasks.threshold=0.5\ncues.use=color,location\nnetwork.weights='x'\ncues.use=['color']"
    )


def _read_recipe(folder: Path, name: str) -> Any:
    from cuemask.recipe import load_recipe

    if name == "a.toml":
        return load_recipe(str(folder / name))
    text = (folder / name).read_text(encoding="utf-8", errors="surrogateescape")
    return load_recipe("default", text.splitlines())


def _make_scene(folder: Path) -> None:
    shutil.copy(_clip(folder / "clip").parent / "scene.json", folder / "scene.json")


def _read_scene(folder: Path, name: str) -> Any:
    from cuemask.phantom import read_scene

    return read_scene(folder / name)


# Models and weights


def _make_model(folder: Path) -> None:
    import torch

    from cuemask.inference.model import save_model
    from cuemask.learning.unet import network

    torch.manual_seed(0)
    save_model(network(_recipe().network), _recipe(), folder / "model.safetensors")


def _read_model(folder: Path, name: str) -> Any:
    from cuemask.inference.model import load_model

    return _used(load_model(folder / name))


def _make_onnx(folder: Path) -> None:
    from cuemask.runs.exporting import export_onnx

    _make_model(folder)
    export_onnx(folder, folder / "model.onnx")


def _read_onnx(folder: Path, name: str) -> Any:
    from cuemask.inference.runtime import load_onnx

    return _used(load_onnx(folder / name, "cpu", one_core=True))


def _used(model: Any) -> Any:
    from cuemask.inference.thresholds import finished_probability, full_mask
    from cuemask.media.area import PictureArea

    size, area = model.recipe.input, PictureArea(0, 0, 48, 64, None)
    working = model.working_probability(np.full((1, size.height_px, size.width_px, 3), 90, np.uint8))[0]
    p = finished_probability(working, np.full((48, 64, 3), 90, np.uint8), area, model.recipe)
    return full_mask(p, area, 48, 64, model.recipe.masks).shape


def _make_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3), "b": torch.ones(2, 2)}
    torch.save(state, folder / "a.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "a.safetensors")


def _read_weights(folder: Path, name: str) -> Any:
    from cuemask.learning.weights import read_state

    return len(read_state(folder / name))


# State of runs


def _make_work(folder: Path) -> None:
    _clip(folder / "source")
    _read_kept(folder, "")


def _kept(folder: Path) -> Any:
    from cuemask.media.clips import open_clips
    from cuemask.runs.cueing import kept_cues
    from cuemask.runs.options import area_of

    options = _options(folder)
    (clip,) = open_clips([folder / "source" / "frames"])
    return kept_cues(clip, area_of(clip, options), options)


def _read_kept(folder: Path, name: str) -> Any:
    del name
    kept = _kept(folder)
    return kept.names, kept.location.tobytes(), [kept.rgb[k].tobytes() for k in range(len(kept.rgb))]


def _training(folder: Path) -> Any:
    from cuemask.learning.features import extractor_for
    from cuemask.learning.kept import keep_for_training

    kept, recipe = _kept(folder), _recipe()
    return keep_for_training(kept, recipe, extractor_for(recipe), folder / ".work" / "frames", range(len(kept.names)))


def _make_features(folder: Path) -> None:
    _clip(folder / "source")
    _read_features(folder, "")


def _read_features(folder: Path, name: str) -> Any:
    del name
    clip = _training(folder)
    return [(clip.anchors[k].tobytes(), clip.features[k].tobytes()) for k in range(4)]


def _make_checkpoint(folder: Path) -> None:
    import torch

    torch.set_num_threads(1)  # as in the children: how sums are split moves their last digits
    _clip(folder / "source")
    _read_checkpoint(folder, "")


def _read_checkpoint(folder: Path, name: str) -> Any:
    del name
    from cuemask.learning.training import train

    net, progress = train([_training(folder)], _recipe(), folder / "checkpoint.pt", seed=1)
    return [tensor.numpy().tobytes() for tensor in net.state_dict().values()], progress.step, progress.epochs


def _make_record(folder: Path) -> None:
    from cuemask.runs.record import RunRecord

    RunRecord(folder, _TOLD, resume=False).note(losses=[{"step": 3, "total": 0.5}], clips=[{"clip": "c", "frames": 4}])
    (folder / ".work").mkdir()
    (folder / ".work" / "checkpoint.pt").touch()


def _read_record(folder: Path, name: str) -> Any:
    del name
    from cuemask.runs.record import RunRecord

    record = RunRecord(folder, _TOLD, resume=True)
    if record.was_complete:
        return True
    with record.stage("cues"):
        pass
    record.note(status="complete")
    return True


def _make_confidences(folder: Path) -> None:
    _read_confidences(folder, "")
    (folder / "table.csv").unlink()


def _read_confidences(folder: Path, name: str) -> Any:
    del name
    from cuemask.runs.confidences import Confidences, Told

    confidences = Confidences(folder, resume=True)
    for k in range(6):
        confidences.tell(f"f{k}", Told(round(0.9 - k / 10, 4), k / 100))
    confidences.finish(folder / "table.csv")
    return (folder / "table.csv").read_bytes()


def _bench(folder: Path) -> Any:
    from cuemask.datasets.catalogue import read_dataset
    from cuemask.experiments.cells import Bench
    from cuemask.experiments.plan import Cell

    dataset = read_dataset("folders", folder / "set", ())
    names = tuple(recording.name for recording in dataset.recordings)
    return Cell("c", _recipe(), names, names), Bench(dataset, folder / "out", "endovis2017")


def _make_scores(folder: Path) -> None:
    from cuemask.experiments.cells import folder_of, run_cell
    from cuemask.phantom.layouts import write_layout

    write_layout("folders", folder / "set", recordings=1, frames=2)
    cell, bench = _bench(folder)
    run_cell(cell, bench)
    shutil.rmtree(folder_of(cell, bench) / "run")
    shutil.move(folder_of(cell, bench) / "scores.json", folder / "scores.json")


def _read_scores(folder: Path, name: str) -> Any:
    from cuemask.experiments.cells import folder_of, kept_cell

    cell, bench = _bench(folder)
    with suppress(FileExistsError):
        folder_of(cell, bench).mkdir(parents=True)
    shutil.copy(folder / name, folder_of(cell, bench) / "scores.json")
    found = kept_cell(cell, bench)
    return None if found is None else repr(dataclasses.asdict(found)["frames"])


_words = partial(mutated, words=True)
_MAKERS: Mapping[str, Callable[[Path], None]] = {
    "pictures": _make_pictures,
    "masks": _make_masks,
    "videos": _make_videos,
    "recipes": _make_recipe,
    "scenes": _make_scene,
    "models, safetensors": _make_model,
    "models, ONNX": _make_onnx,
    "weights": _make_weights,
    "run.json": _make_record,
    "kept cues": _make_work,
    "kept features": _make_features,
    "checkpoint": _make_checkpoint,
    "confidence.csv": _make_confidences,
    "scores.json": _make_scores,
}
_WORK = ".work/frames/"
READERS: Mapping[str, Reader] = {
    "pictures": Reader(
        _read_picture,
        (
            *("a.png", "a.jpg", "a.bmp", "a.tif", "a.webp", "a.ppm"),
            *("progressive.jpg", "deep.png", "plain.tif", "lossless.webp"),
        ),
    ),
    "masks": Reader(_read_mask, ("a.png", "a.bmp", "a.tif")),
    "videos": Reader(_read_video, ("a.mp4", "a.mkv", "a.ts", "a.avi")),
    "recipes": Reader(_read_recipe, ("a.toml", "settings.txt"), damage=_words),
    "scenes": Reader(_read_scene, ("scene.json",), damage=_words),
    "models, safetensors": Reader(_read_model, ("model.safetensors",), damage=mutated_safetensors),
    "models, ONNX": Reader(_read_onnx, ("model.onnx",), damage=mutated_onnx),
    "weights": Reader(_read_weights, ("a.pth", "old.pth", "a.safetensors")),
    "run.json": Reader(_read_record, ("run.json",), damage=_words),
    "kept cues": Reader(
        _read_kept,
        tuple(
            _WORK + name
            for name in ("rgb.npy", "frames.npy", "pictures.seal", "location.npy", "names.json", "cues.seal")
        ),
        True,
    ),
    "kept features": Reader(
        _read_features, tuple(_WORK + name for name in ("anchors.npy", "features.npy", "features.seal")), True
    ),
    "checkpoint": Reader(_read_checkpoint, ("checkpoint.pt",), True),
    "confidence.csv": Reader(_read_confidences, ("confidence.csv",), True, _words),
    "scores.json": Reader(_read_scores, ("scores.json",), True, _words),
}


def cases(seeds: Path, work: Path, name: str, numbers: range) -> Iterator[tuple[int, str, Callable[[], Any], Any]]:
    """Cases of one reader: number, damaged file, what reads it, and what the whole files gave.

    The folder is made anew for each: what is read may mend what is damaged.
    """
    reader = READERS[name]
    fresh = work / "case"
    whole = None
    for number in numbers:
        rng = np.random.default_rng([*name.encode(), number])
        file = reader.damaged[int(rng.integers(len(reader.damaged)))]
        if whole is None and reader.is_own:
            _renew(seeds / name, fresh)
            whole = reader.read(fresh, file)
        _renew(seeds / name, fresh)
        (fresh / file).write_bytes(reader.damage((fresh / file).read_bytes(), rng))
        yield number, file, partial(reader.read, fresh, file), whole


def _renew(seeds: Path, fresh: Path) -> None:
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(seeds, fresh)
