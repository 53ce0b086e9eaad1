"""Miniatures of published data sets: phantom scenes in the very folders, names and codes of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Bool, Float32, UInt8

from cuemask.errors import OutputError, RecipeError
from cuemask.media.files import make_folder, write_bytes, written_aside
from cuemask.media.folders import own_folder
from cuemask.media.masks import write_codes, write_mask, write_probability, write_rgb
from cuemask.media.overlay import write_errors
from cuemask.phantom.fields import layered_field, mix, smooth_field, step
from cuemask.phantom.scene import PhantomFrame, PhantomScene
from cuemask.phantom.tools import CLASPER, FPS, SHAFT, WRIST

LAYOUTS = (
    "endovis2017",
    "endovis2017-test",
    "endovis2017-cropped",
    "endovis2017-authors",
    "endovis2018",
    "endovis2015",
    "isic2016",
    "cholecseg8k",
    "robustmis",
    "kvasir",
    "folders",
)
# Height and width in pixels at which each set is published; where sizes vary, a usual one.
FULL_SIZES = {
    "endovis2017": (1080, 1920),
    "endovis2017-test": (1080, 1920),
    "endovis2017-cropped": (1024, 1280),
    "endovis2017-authors": (1080, 1920),
    "endovis2018": (1024, 1280),
    "endovis2015": (576, 720),
    "isic2016": (767, 1022),
    "cholecseg8k": (480, 854),
    "robustmis": (540, 960),
    "kvasir": (540, 720),
    "folders": (512, 640),
}
SMALL_SIZE = (96, 128)
MAX_FRAMES = 999
# Published frames lie half a second apart; one after the other they would hardly differ.
STEP = 12

_WHOLE_2017 = (1080, 1920)
_PICTURE_2017 = (slice(28, 28 + 1024), slice(320, 320 + 1280))
_NUMBERS_2018 = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16)
_MAX_RECORDINGS = {
    "endovis2017": 8,
    "endovis2017-test": 10,
    "endovis2017-cropped": 8,
    "endovis2017-authors": 8,
    "endovis2018": len(_NUMBERS_2018),
    "endovis2015": 4,
    "robustmis": 10,
}
_PARTS = (SHAFT, WRIST, CLASPER)
_OTHER = 40
# Of the tools on the left and on the right in recordings 1 to 8: folder and number of the type.
_TOOLS_2017 = (
    (("Maryland_Bipolar_Forceps_labels", 1), ("Right_Prograsp_Forceps_labels", 2)),
    (("Left_Prograsp_Forceps_labels", 2), ("Right_Prograsp_Forceps_labels", 2)),
    (("Left_Large_Needle_Driver_labels", 3), ("Right_Large_Needle_Driver_labels", 3)),
    (("Large_Needle_Driver_Left_labels", 3), ("Prograsp_Forceps_labels", 2)),
    (("Bipolar_Forceps_labels", 1), ("Vessel_Sealer_labels", 4)),
    (("Left_Large_Needle_Driver_labels", 3), ("Monopolar_Curved_Scissors_labels", 6)),
    (("Left_Bipolar_Forceps", 1), ("Right_Vessel_Sealer", 4)),
    (("Grasping_Retractor_labels", 5), ("Monopolar_Curved_Scissors_labels", 6)),
)
_COLORS_2018 = {SHAFT: (0, 255, 0), WRIST: (125, 255, 12), CLASPER: (0, 255, 255)}
_PROBE_2018, _KIDNEY_2018 = (12, 255, 141), (255, 55, 0)
_GREYS_2015 = {SHAFT: 160, WRIST: 70, CLASPER: 70}
_COLORS_CHOLEC = {
    11: (210, 140, 140),
    12: (186, 183, 75),
    21: (255, 114, 114),
    22: (255, 160, 165),
    31: (170, 255, 0),
    32: (169, 255, 184),
    50: (127, 127, 127),
    255: (255, 255, 255),
}
_MAX_SEED = 2**62


@dataclass(frozen=True)
class Miniature:
    """What `write_layout` draws.

    Attributes
    ----------
    recordings
        How many.
    frames
        Of each.
    seed
        Of the first recording; the next have the next.
    height_px, width_px
        Of the frames.
    bordered
        Whether they have the black border of EndoVis 2017, within which the picture is 1024 high and 1280 wide.
    """

    recordings: int = 2
    frames: int = 4
    seed: int = 0
    height_px: int = SMALL_SIZE[0]
    width_px: int = SMALL_SIZE[1]
    bordered: bool = False

    def scene(self, recording: int) -> PhantomScene:
        """The scene of recording `recording`, from 0."""
        height, width = (1024, 1280) if self.bordered else (self.height_px, self.width_px)
        return PhantomScene(self.seed + recording, height, width, leaving=False)

    def drawn(self, recording: int) -> Iterator[tuple[int, PhantomFrame]]:
        """Its frames with their numbers, `STEP` frames of the scene apart."""
        scene = self.scene(recording)
        for number in range(self.frames):
            yield number, scene.frame(number * STEP)


def write_layout(
    name: str,
    out: Path,
    *,
    recordings: int = 2,
    frames: int = 4,
    seed: int = 0,
    height_px: int | None = None,
    width_px: int | None = None,
    full_size: bool = False,
) -> None:
    """Write a miniature of a published data set, with exact truth.

    Parameters
    ----------
    name
        One of `LAYOUTS`.
    out
        Folder to write to, empty or absent.
    recordings
        How many. Sets of single pictures have `recordings` times `frames` of them.
    frames
        Of each recording, 1 to 999.
    seed
        Decides the scenes.
    height_px, width_px
        Size of the frames, even; 96 and 128 unless told. Where sizes vary in the set, they vary about it.
    full_size
        Write at the size that the set is published at, EndoVis 2017 with its black border.

    Raises
    ------
    RecipeError
        If the name is not known, or a number is out of range.
    OutputError
        If the folder holds something, cannot be written or is full.
    """
    _refuse_misfits(name, recordings, frames, seed)
    height, width = FULL_SIZES[name] if full_size else (height_px or SMALL_SIZE[0], width_px or SMALL_SIZE[1])
    if name == "endovis2015" and (height % 2 or width % 2):
        raise RecipeError(f"phantom: a video of {width}x{height} pixels.", "Give an even height_px and width_px.")
    bordered = (height, width) == _WHOLE_2017 == FULL_SIZES[name]
    miniature = Miniature(recordings, frames, seed, height, width, bordered)
    miniature.scene(recordings - 1)  # says what is wrong with the size before anything is written
    with own_folder(out, lambda _: False):
        _write(name, out, miniature)


def _write(name: str, out: Path, miniature: Miniature) -> None:
    if name == "endovis2017":
        _write_endovis2017(out, miniature)
    elif name == "endovis2017-test":
        _write_endovis2017_test(out, miniature)
    elif name == "endovis2017-cropped":
        _write_endovis2017_cropped(out, miniature)
    elif name == "endovis2017-authors":
        _write_endovis2017_authors(out, miniature)
    elif name == "endovis2018":
        _write_endovis2018(out, miniature)
    elif name == "endovis2015":
        _write_endovis2015(out, miniature)
    elif name == "isic2016":
        _write_isic2016(out, miniature)
    elif name == "cholecseg8k":
        _write_cholecseg8k(out, miniature)
    elif name == "robustmis":
        _write_robustmis(out, miniature)
    elif name == "kvasir":
        _write_kvasir(out, miniature)
    else:
        _write_folders(out, miniature)


def _refuse_misfits(name: str, recordings: int, frames: int, seed: int) -> None:
    if name not in LAYOUTS:
        raise RecipeError(f"phantom: no layout is called {name!r}.", f"Give one of: {', '.join(LAYOUTS)}.")
    most = _MAX_RECORDINGS.get(name, 99)
    for what, value, low, high in (
        ("recordings", recordings, 1, most),
        ("frames", frames, 1, MAX_FRAMES),
        ("seed", seed, 0, _MAX_SEED),
    ):
        if not low <= value <= high:
            raise RecipeError(
                f"phantom: {what} is {value} for {name}, outside {low} to {high}.",
                f"Give {what} a value from {low} to {high}.",
            )


def _write_endovis2017(out: Path, miniature: Miniature) -> None:
    """`ground_truth` has a folder a tool: here one for the left half of the picture and one for the right."""
    for recording in range(miniature.recordings):
        home = out / f"instrument_dataset_{recording + 1}"
        frames, truth = make_folder(home / "left_frames"), home / "ground_truth"
        (left, _), (right, _) = _TOOLS_2017[recording]
        for folder in (left, right, "Other_labels"):
            make_folder(truth / folder)
        for number, frame in miniature.drawn(recording):
            name = f"frame{number:03}.png"
            probe = _probe(frame)
            write_rgb(frames / name, _bordered(_with_probe(frame, probe), miniature))
            write_codes(truth / left / name, _bordered(_half(frame.parts, "left"), miniature))
            write_codes(truth / right / name, _bordered(_half(frame.parts, "right"), miniature))
            write_codes(truth / "Other_labels" / name, _bordered(probe * np.uint8(_OTHER), miniature))


def _write_endovis2017_test(out: Path, miniature: Miniature) -> None:
    for recording in range(miniature.recordings):
        home = out / f"instrument_dataset_{recording + 1}"
        frames = make_folder(home / "left_frames")
        kinds = [make_folder(home / "gt" / f"{kind}Segmentation") for kind in ("Binary", "Parts", "Type")]
        for number, frame in miniature.drawn(recording):
            name = f"frame{number:03}.png"
            probe = _probe(frame)
            write_rgb(frames / name, _bordered(_with_probe(frame, probe), miniature))
            codes = (frame.mask * np.uint8(255), frame.parts, _types(frame, probe, recording))
            for folder, kind in zip(kinds, codes, strict=True):
                write_codes(folder / name, _bordered(kind, miniature))


def _write_endovis2017_cropped(out: Path, miniature: Miniature) -> None:
    for recording in range(miniature.recordings):
        home = out / "cropped_train" / f"instrument_dataset_{recording + 1}"
        names = ("images", "binary_masks", "parts_masks", "instruments_masks")
        images, binary, parts, types = (make_folder(home / name) for name in names)
        for number, frame in miniature.drawn(recording):
            probe = _probe(frame)
            name = f"frame{number:03}.png"
            _write_jpeg(images / f"frame{number:03}.jpg", _with_probe(frame, probe))
            write_mask(binary / name, frame.mask)
            write_codes(parts / name, frame.parts // np.uint8(10) * np.uint8(85))
            write_codes(types / name, _types(frame, probe, recording) * np.uint8(32))


def _write_endovis2017_authors(out: Path, miniature: Miniature) -> None:
    """All training recordings and the first of the test; the maps are the truth's, blurred and noisy."""
    for recording in range(miniature.recordings + 1):
        test = recording == miniature.recordings
        home = "instrument_dataset_1_test" if test else f"instrument_dataset_{recording + 1}_train"
        rng = np.random.default_rng([miniature.seed, 21, recording])
        maps = ("cues/color", "cues/objectness", "cues/location", "prediction")
        for folder in ("image", "ground_truth", "anchors/pos", "anchors/neg", *maps):
            make_folder(out / folder / home)
        for number, frame in miniature.drawn(recording):
            name = f"frame{number:03}.png"
            write_rgb(out / "image" / home / name, _bordered(frame.rgb, miniature))
            write_codes(out / "ground_truth" / home / name, _bordered(frame.mask * np.uint8(255), miniature))
            for folder in maps:
                write_probability(out / folder / home / name, _bordered(_guess(rng, frame.mask), miniature))
            positive, negative = _guess(rng, frame.mask), _guess(rng, ~frame.mask)
            write_probability(out / "anchors/pos" / home / name, _bordered(positive**2, miniature))
            write_probability(out / "anchors/neg" / home / name, _bordered(negative**2, miniature))


def _write_endovis2018(out: Path, miniature: Miniature) -> None:
    for recording in range(miniature.recordings):
        home = out / f"seq_{_NUMBERS_2018[recording]}"
        frames, labels = make_folder(home / "left_frames"), make_folder(home / "labels")
        for number, frame in miniature.drawn(recording):
            name, probe = f"frame{number:03}.png", _probe(frame)
            colors = np.zeros(frame.rgb.shape, np.uint8)
            colors[: frame.rgb.shape[0] // 5][~frame.mask[: frame.rgb.shape[0] // 5]] = _KIDNEY_2018
            colors[probe] = _PROBE_2018
            for part, color in _COLORS_2018.items():
                colors[frame.parts == part] = color
            write_rgb(frames / name, _with_probe(frame, probe))
            write_rgb(labels / name, colors)


def _write_endovis2015(out: Path, miniature: Miniature) -> None:
    """The first recording has a video of truth for the left tool and one for the right."""
    for recording in range(miniature.recordings):
        home = make_folder(out / f"Dataset{recording + 1}")
        drawn = [frame for _, frame in miniature.drawn(recording)]
        truth = [_recoded(frame.parts, _GREYS_2015) for frame in drawn]
        _write_avi(home / "Video.avi", [frame.rgb for frame in drawn])
        if recording == 0:
            _write_avi(home / "Left_Instrument_Segmentation.avi", [_grey(_half(grey, "left")) for grey in truth])
            _write_avi(home / "Right_Instrument_Segmentation.avi", [_grey(_half(grey, "right")) for grey in truth])
        else:
            _write_avi(home / "Segmentation.avi", [_grey(grey) for grey in truth])


def _write_isic2016(out: Path, miniature: Miniature) -> None:
    """`recordings` times `frames` moles for training and `frames` for the test, of different sizes."""
    first = 0
    for part, count in (("Training", miniature.recordings * miniature.frames), ("Test", miniature.frames)):
        data = make_folder(out / f"ISBI2016_ISIC_Part1_{part}_Data")
        truth = make_folder(out / f"ISBI2016_ISIC_Part1_{part}_GroundTruth")
        for number in range(first, first + count):
            rng = np.random.default_rng([miniature.seed, 22, number])
            rgb, mask = _mole(rng, _varied(miniature, number))
            _write_jpeg(data / f"ISIC_{number:07}.jpg", rgb)
            write_mask(truth / f"ISIC_{number:07}_Segmentation.png", mask)
        first += count


def _write_cholecseg8k(out: Path, miniature: Miniature) -> None:
    """The set's own oddity is kept: the outermost pixels of each mask are 255."""
    for recording in range(miniature.recordings):
        video, first = f"video{recording + 1:02}", 80 * (recording + 1)
        home = make_folder(out / video / f"{video}_{first:05}")
        scene = replace(miniature.scene(recording), round_picture=True)
        tissue = _cholec_tissue(scene)
        for number in range(miniature.frames):
            frame = scene.frame(number * STEP)
            codes = tissue.copy()
            codes[_half(frame.parts, "left") > 0] = 31
            codes[_half(frame.parts, "right") > 0] = 32
            codes[[0, -1], :] = codes[:, [0, -1]] = 255
            colors = np.zeros(frame.rgb.shape, np.uint8)
            for code, color in _COLORS_CHOLEC.items():
                colors[codes == code] = color
            stem = f"frame_{first + number}_endo"
            write_rgb(home / f"{stem}.png", frame.rgb)
            write_rgb(home / f"{stem}_watershed_mask.png", _grey(codes))
            write_rgb(home / f"{stem}_color_mask.png", colors)


def _write_robustmis(out: Path, miniature: Miniature) -> None:
    """Of each recording the second frame shows no instrument and has no mask, the third has an empty one."""
    parts = (("Training", "Proctocolectomy"), ("Stage_1", "Proctocolectomy"), ("Stage_2", "Rectal resection"))
    for part, procedure in (*parts, ("Stage_3", "Sigmoid resection")):
        for recording in range(miniature.recordings):
            scene = miniature.scene(recording)
            for number in range(miniature.frames):
                empty = number in (1, 2)
                frame = (replace(scene, tools=0) if empty else scene).frame(number * STEP)
                home = make_folder(out / part / procedure / str(recording + 1) / str(250 * (number + 1)))
                write_rgb(home / "raw.png", frame.rgb)
                if number != 1:
                    left, right = (_half(frame.parts, side) > 0 for side in ("left", "right"))
                    write_codes(home / "instrument_instances.png", (left + 2 * right).astype(np.uint8))


def _write_kvasir(out: Path, miniature: Miniature) -> None:
    """Single pictures of different sizes; every fourth is of the test."""
    images, masks = make_folder(out / "images"), make_folder(out / "masks")
    listed: dict[str, list[str]] = {"train": [], "test": []}
    for number in range(miniature.recordings * miniature.frames):
        height, width = _varied(miniature, number)
        frame = PhantomScene(miniature.seed + number, height, width, tools=1, leaving=False).frame(0)
        name = f"ckcu{number:04}phantom"
        _write_jpeg(images / f"{name}.jpg", frame.rgb)
        write_mask(masks / f"{name}.png", frame.mask)
        listed["test" if number % 4 == 3 else "train"].append(name)
    for part, names in listed.items():
        write_bytes(out / f"{part}.txt", "".join(f"{name}\n" for name in names).encode())


def _write_folders(out: Path, miniature: Miniature) -> None:
    """Pictures and masks of one's own; of several recordings, each has a folder."""
    for recording in range(miniature.recordings):
        home = out / f"recording_{recording + 1}" if miniature.recordings > 1 else out
        frames, masks = make_folder(home / "frames"), make_folder(home / "masks")
        for number, frame in miniature.drawn(recording):
            write_rgb(frames / f"{number:06}.png", frame.rgb)
            write_mask(masks / f"{number:06}.png", frame.mask)


def _half(codes: UInt8[np.ndarray, "H W"], side: str) -> UInt8[np.ndarray, "H W"]:
    """What stands in one half of the picture: the tool of that side, where they do not meet."""
    half, middle = codes.copy(), codes.shape[1] // 2
    if side == "left":
        half[:, middle:] = 0
    else:
        half[:, :middle] = 0
    return half


def _probe(frame: PhantomFrame) -> Bool[np.ndarray, "H W"]:
    """A round probe near the picture's lower edge, where no instrument hides it."""
    height, width = frame.mask.shape
    disc = np.zeros(frame.mask.shape, np.uint8)
    cv2.circle(disc, (width // 2, round(0.85 * height)), max(2, height // 14), 1, -1)
    return (disc > 0) & ~frame.mask


def _with_probe(frame: PhantomFrame, probe: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    rgb = frame.rgb.copy()
    rgb[probe] = 205
    return rgb


def _types(frame: PhantomFrame, probe: Bool[np.ndarray, "H W"], recording: int) -> UInt8[np.ndarray, "H W"]:
    """Numbers of the tools' types, and 7 for the probe."""
    types = probe * np.uint8(7)
    for side, (_, number) in zip(("left", "right"), _TOOLS_2017[recording % len(_TOOLS_2017)], strict=True):
        types[_half(frame.parts, side) > 0] = number
    return types


def _bordered(picture: np.ndarray, miniature: Miniature) -> np.ndarray:
    """The picture in its black border, at full size; else itself."""
    if not miniature.bordered:
        return picture
    whole = np.zeros((*_WHOLE_2017, *picture.shape[2:]), picture.dtype)
    whole[_PICTURE_2017] = picture
    return whole


def _guess(rng: np.random.Generator, mask: Bool[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """A map, 0 to 1, that tells the mask roughly: blurred, with smooth noise."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.03 * mask.shape[0])
    noise = 0.15 * smooth_field(rng, (mask.shape[0], mask.shape[1]), 0.1)
    return np.clip(0.1 + 0.8 * soft + noise, 0.0, 1.0).astype(np.float32)


def _recoded(parts: UInt8[np.ndarray, "H W"], code_of_part: dict[int, int]) -> UInt8[np.ndarray, "H W"]:
    table = np.zeros(256, np.uint8)
    table[list(_PARTS)] = [code_of_part[part] for part in _PARTS]
    return table[parts]


def _grey(codes: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.repeat(codes[..., None], 3, axis=2)


def _cholec_tissue(scene: PhantomScene) -> UInt8[np.ndarray, "H W"]:
    """Codes of the tissue: abdominal wall, fat, liver, gallbladder in patches, black outside the round picture."""
    shape = (scene.height_px, scene.width_px)
    field = layered_field(np.random.default_rng([scene.seed, 23]), shape, (0.6, 0.25))
    codes = np.array([11, 12, 21, 22], np.uint8)[np.digitize(field, [-0.6, 0.1, 0.8])]
    y, x = np.mgrid[: shape[0], : shape[1]] - (np.array(shape).reshape(2, 1, 1) - 1) / 2
    codes[x**2 + y**2 > (0.56 * shape[0]) ** 2] = 50
    return codes


def _varied(miniature: Miniature, number: int) -> tuple[int, int]:
    """Sizes about the miniature's: the first is its own."""
    return miniature.height_px + 8 * (number % 3), miniature.width_px - 16 * (number % 2)


def _mole(
    rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "H W 3"], Bool[np.ndarray, "H W"]]:
    """Pinkish skin with one irregular, dark brown mole, and where it is."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    off_x, off_y = rng.uniform(-0.08, 0.08, 2) * (width, height)
    x, y = x - width / 2 - off_x, y - height / 2 - off_y
    angle = np.arctan2(y, x)
    rim = sum(float(rng.uniform(-0.1, 0.1)) * np.cos(k * angle + float(rng.uniform(0, 6.3))) for k in (2, 3, 5))
    inside = 0.28 * height * (1.0 + rim) - np.hypot(x, y)
    skin = np.broadcast_to(np.array([0.85, 0.66, 0.60], np.float32), (height, width, 3))
    mole = np.array([0.36, 0.22, 0.15], np.float32) * (1.0 + 0.2 * smooth_field(rng, shape, 0.08)[..., None])
    rgb = mix(skin, mole.astype(np.float32), step((inside / (0.04 * height) + 0.5).astype(np.float32)))
    rgb = rgb * (1.0 + 0.04 * layered_field(rng, shape, (0.3, 0.05))[..., None])
    return np.rint(np.clip(rgb, 0.0, 1.0) * 255).astype(np.uint8), inside >= 0


def _write_jpeg(path: Path, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not encoded:
        raise OutputError(f"{path}: the picture could not be encoded as JPEG.", "Choose another folder with --out.")
    write_bytes(path, data.tobytes())


def _write_avi(path: Path, pictures: list[UInt8[np.ndarray, "H W 3"]]) -> None:
    """Lossy, as published."""
    with written_aside(path) as aside, write_errors(path), av.open(str(aside.absolute()), "w", format="avi") as file:
        stream = file.add_stream("mpeg4", rate=Fraction(FPS), options={"qmin": "1", "qmax": "2"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for rgb in pictures:
            file.mux(stream.encode(VideoFrame.from_ndarray(rgb)))
        file.mux(stream.encode(None))
