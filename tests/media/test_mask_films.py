from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.errors import CuemaskError, InputError, OutputError, PictureError
from cuemask.media import growing_films
from cuemask.media.bit_png import png_of_bits
from cuemask.media.growing_films import GrowingFilm
from cuemask.media.mask_films import FILM, MaskFilm, Masks, has_mask, write_film
from cuemask.media.mask_folders import masks_of, named_masks, place_of_masks
from cuemask.media.masks import read_mask, write_mask
from cuemask.media.name_runs import NameRuns
from cuemask.media.threads import in_threads

from .conftest import write_video

RATE = Fraction(30_000, 1001)
# As `--every 3` names them, two of them lost; then as pictures are called.
NAMES = [f"{3 * place:06d}" for place in range(40)] + ["a", "frame_9", "frame_10", "frame_010", "é 7b", "7", "8"]
PLACES = [*(place for place in range(42) if place not in (5, 30)), *range(50, 57)]

names_of_frames = st.lists(
    st.one_of(st.from_regex(r"[ab_]{0,2}[0-9]{1,3}[x.]?", fullmatch=True), st.integers(0, 99).map("{:04d}".format)),
    unique=True,
    max_size=30,
)


def mask_at(place: int) -> np.ndarray:
    rng = np.random.default_rng(place)
    return np.zeros((67, 99), bool) if place % 7 == 0 else rng.random((67, 99)) < rng.random()


def film_in(folder: Path, *, upto: int | None = None, resume: bool = False) -> list[str]:
    """Make a film, or begin it; the names of the masks that were known before."""
    known: list[str] = []
    growing = GrowingFilm(folder / FILM, folder / ".work", RATE, resume=resume)
    for name, place in list(zip(NAMES, PLACES, strict=True))[:upto]:
        before = growing.known(name, place)
        if before is not None:
            assert np.array_equal(before, mask_at(place))
            known.append(name)
        growing.add(name, place, growing.coded(mask_at(place)))
    if upto is None:
        growing.finish()
    return known


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch):
    monkeypatch.setattr(growing_films, "PART", 7)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    film_in(folder)
    return folder / FILM


@given(names_of_frames, st.data())
def test_names_come_back_in_their_order_each_under_its_number_and_no_other_is_there(names, data):
    places = sorted(data.draw(st.sets(st.integers(0, 60), min_size=len(names), max_size=len(names))))
    told = NameRuns()
    for name, place in zip(names, places, strict=True):
        told.add(name, place)
    for runs in (told, NameRuns.of_json(told.as_json())):
        assert (list(runs), list(runs.places()), len(runs)) == (names, places, len(names))
        assert [runs.number(name) for name in names] == list(range(len(names)))
        assert [runs.place(number) for number in range(len(names))] == places
        for other in ("", "0", "00", "1", "a1", "99999", *(f"{name}0" for name in names), *(f"0{n}" for n in names)):
            assert (runs.number(other) is None) == (other not in names)


def test_a_day_of_names_takes_one_run():
    told = NameRuns()
    for number in range(0, 1_500_000, 250):
        told.add(f"{number:06d}", number // 250)
    assert told.as_json() == [["", "000000", "", 250, 6000, 0]]


def test_masks_come_back_to_the_pixel_by_their_frames_names_in_any_order_and_in_threads(film):
    assert [path.name for path in film.parent.iterdir()] == [FILM], "parts are left"
    paths = masks_of(film.parent)
    assert sorted(path.stem for path in paths) == sorted(NAMES)
    for path, mask in zip(paths[::-1], in_threads(read_mask, paths[::-1], 4), strict=True):
        assert np.array_equal(mask, mask_at(PLACES[NAMES.index(path.stem)]) * np.uint8(255)), path
    assert has_mask(film / "000003.png")
    assert not has_mask(film / "000004.png")
    with pytest.raises(PictureError, match="has no mask of a frame 000004"):
        read_mask(film / "000004.png")


def test_each_mask_is_shown_when_its_frame_is_and_another_program_sees_what_we_do(film):
    with av.open(str(film)) as container:
        frames = list(container.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx([float(place / RATE) for place in PLACES], abs=1e-4)
    for frame, place in zip(frames, PLACES, strict=True):
        assert np.array_equal(frame.to_ndarray(format="gray"), mask_at(place) * np.uint8(255))
    opencv = cv2.VideoCapture(str(film))
    for place in PLACES:
        assert np.array_equal(opencv.read()[1][..., 0], mask_at(place) * np.uint8(255))
    assert not opencv.read()[0]


@pytest.mark.parametrize("size", [(1080, 1920), (1, 1), (3, 500)])
def test_masks_of_any_size_come_back(tmp_path, size):
    growing = GrowingFilm(tmp_path / FILM, tmp_path / ".work", RATE, resume=False)
    masks = [np.zeros(size, bool), np.random.default_rng(0).random(size) < 0.3, np.ones(size, bool)]
    for place, mask in enumerate(masks):
        growing.add(f"{place}", place, growing.coded(mask))
    growing.finish()
    with av.open(str(tmp_path / FILM)) as container:
        seen = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    for place, mask in enumerate(masks):
        assert np.array_equal(read_mask(tmp_path / FILM / f"{place}.png"), mask * np.uint8(255))
        assert np.array_equal(seen[place], mask * np.uint8(255))


def test_masks_that_are_minutes_apart_are_found_and_shown_in_their_time(tmp_path):
    names = NameRuns()
    for place in PLACES:
        names.add(f"{place}", place)
    write_film(tmp_path / FILM, Masks(67, 99, names, map(png_of_bits, map(mask_at, PLACES))), Fraction(1, 10))
    for place in (*PLACES[::5], PLACES[-1]):
        assert np.array_equal(read_mask(tmp_path / FILM / f"{place}.png") > 0, mask_at(place))
    with av.open(str(tmp_path / FILM)) as container:
        assert container.duration == (PLACES[-1] + 1) * 10_000_000  # microseconds
        assert [frame.time for frame in container.decode(video=0)] == [10 * place for place in PLACES]


def test_masks_of_two_sizes_are_refused(tmp_path):
    growing = GrowingFilm(tmp_path / FILM, tmp_path / ".work", RATE, resume=False)
    growing.coded(np.zeros((6, 8), bool))
    with pytest.raises(OutputError, match="differ in size"):
        growing.coded(np.zeros((6, 9), bool))


@pytest.mark.parametrize("upto", [3, 7, 30])
def test_a_film_that_was_broken_off_goes_on_from_its_whole_parts_and_becomes_the_same_bytes(film, tmp_path, upto):
    film_in(tmp_path, upto=upto)
    film_in(tmp_path, upto=upto - 1, resume=True)  # broken off once more, earlier
    assert film_in(tmp_path, resume=True) == NAMES[: upto // 7 * 7]
    assert (tmp_path / FILM).read_bytes() == film.read_bytes()
    assert film_in(tmp_path, resume=True) == NAMES, "a whole film is not known"
    assert (tmp_path / FILM).read_bytes() == film.read_bytes()


def test_a_part_that_is_damaged_is_made_again(film, tmp_path, caplog):
    film_in(tmp_path, upto=30)
    (part, *_) = sorted((tmp_path / ".work").glob("*.mov"))
    part.write_bytes(part.read_bytes()[:3000])
    assert film_in(tmp_path, resume=True) == NAMES[7:28]
    assert (tmp_path / FILM).read_bytes() == film.read_bytes()
    assert caplog.text.count("is made again") == 1


def test_a_damaged_mask_is_told_and_the_others_are_read(film, tmp_path):
    data = bytearray(film.read_bytes())
    damaged = len(data) // 2
    data[damaged] ^= 1
    (tmp_path / FILM).write_bytes(data)
    found = []
    for name, place in zip(NAMES, PLACES, strict=True):
        try:
            assert np.array_equal(read_mask(tmp_path / FILM / f"{name}.png") > 0, mask_at(place))
        except PictureError as error:
            found.append(name)
            assert "damaged" in error.what  # noqa: PT017
    assert len(found) == 1


@pytest.mark.parametrize("cut", [0, 100, 0.5, 0.99])
def test_a_film_that_is_cut_off_is_refused(film, tmp_path, cut):
    data = film.read_bytes()
    (tmp_path / FILM).write_bytes(data[: int(cut * len(data)) if cut < 1 else cut])
    with pytest.raises(PictureError) as told:
        masks_of(tmp_path)
    assert "Copy it again" in told.value.remedy


def test_another_video_is_no_film_of_masks(tmp_path):
    write_video(tmp_path / FILM, 3)
    with pytest.raises(PictureError, match="it names no frames"):
        read_mask(tmp_path / FILM / "000000.png")


def test_masks_both_in_a_film_and_in_a_folder_are_refused(film, tmp_path):
    clip = tmp_path / "clip"
    (clip / "masks").mkdir(parents=True)
    write_mask(clip / "masks" / "000000.png", mask_at(1))
    assert place_of_masks(clip) == clip / "masks"
    shutil.copy(film, clip / FILM)
    for read in (place_of_masks, masks_of, lambda clip: list(named_masks(clip)), lambda c: list(named_masks(c.parent))):
        with pytest.raises(InputError, match=r"holds both masks/ and masks\.mov"):
            read(clip)


def test_damaged_bytes_of_a_film_bring_none_but_our_errors(film, tmp_path):
    data, rng = film.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        broken = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(broken) if rng.random() < 0.5 else 1500, rng.integers(1, 9))
        broken[places] = rng.integers(0, 256, len(places))
        (tmp_path / FILM).write_bytes(broken.tobytes())
        try:
            opened = MaskFilm(tmp_path / FILM)
            for name in list(opened.names)[::9]:
                assert opened.read(name).dtype == np.uint8
        except CuemaskError:
            pass
