"""What the page of `cuemask review` asks for, and what it is answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Bool
from starlette.responses import JSONResponse, Response

from cuemask.errors import CuemaskError
from cuemask.formats.runlengths import flat_of, runs_of
from cuemask.media.crops import outlined_crop
from cuemask.web.review_clips import Pictures, ReviewClip, as_jpeg
from cuemask.web.review_flow import agreement, carried, superpixels, why_it_breaks
from cuemask.web.review_kinds import ReviewKinds, names_asked
from cuemask.web.review_queue import by_doubt
from cuemask.web.review_store import Corrections, Decision, Review, Taken, annotator_name, now_utc

_MOST_SECONDS = 86_400.0


@runtime_checkable
class Again(Protocol):
    """Learning again from what was corrected."""

    def start(self) -> None:
        """Begin, unless it is under way."""
        ...

    def stop(self) -> None:
        """End it; what is done is kept."""
        ...

    def status(self) -> Mapping[str, Any]:
        """How it fares, in JSON's types."""
        ...

    def masks(self, clip: str) -> Path | None:
        """The folder of the masks that came of it; None before."""
        ...


@dataclass(frozen=True)
class Ask:
    """What is asked of the page's server."""

    query: Mapping[str, str]
    body: bytes

    def number(self, name: str, most: float) -> float:
        """A number of the query, 0 to `most`; 0 without one."""
        value = float(self.query.get(name) or 0)
        if not 0 <= value <= most:
            raise ValueError(f"{name}={value:g} is not between 0 and {most:g}")
        return value


class ReviewDesk:
    """What a page of review asks for, by its names: the methods are the addresses below `/api/`.

    Parameters
    ----------
    name
        Of the run.
    clips, corrections, again
        What is reviewed, where it is written, and what learns from it.
    annotator
        Who reviews, unless the page says otherwise.
    kinds
        The groups of instruments that look alike, to be named.
    """

    def __init__(
        self,
        name: str,
        clips: list[ReviewClip],
        corrections: Corrections,
        again: Again,
        annotator: str,
        kinds: ReviewKinds,
    ) -> None:
        self._name, self._annotator = name, annotator
        self._clips = {clip.name: clip for clip in clips}
        self._begins = dict(zip(self._clips, np.cumsum([0, *(len(c.frames) for c in clips)]).tolist(), strict=False))
        self._corrections, self._again, self._kinds = corrections, again, kinds
        self._pictures = Pictures()
        self._order = by_doubt([clip.confidences for clip in clips])
        threading.Thread(target=self._look_ahead, name="first frame", daemon=True).start()

    def _look_ahead(self) -> None:
        """Have the first frame of the queue at hand by the time that a browser asks for it."""
        decided = {self._number(*place) for place in self._corrections.drawn()}
        first = next((frame for frame in self._order if frame not in decided), None)
        if first is not None:
            name = max((name for name in self._begins if self._begins[name] <= first), key=lambda n: self._begins[n])
            with suppress(CuemaskError):  # told to whoever asks for it
                self._pictures.jpeg(self._clips[name], self._clips[name].frames[first - self._begins[name]])

    def close(self) -> None:
        """Let all files go."""
        self._pictures.close()

    def run(self, ask: Ask) -> Response:
        """All frames of the run, and the order of doubt."""
        del ask
        clips = [
            {
                "name": clip.name,
                "source": clip.source,
                "rate": clip.rate,
                "width": clip.width_px,
                "height": clip.height_px,
                "frames": clip.frames,
                "confidences": np.round(clip.confidences, 4).astype(float).tolist(),
                "shares": np.round(clip.shares, 4).astype(float).tolist(),
            }
            for clip in self._clips.values()
        ]
        drawn = [self._number(clip, frame) for clip, frame in self._corrections.drawn()]
        told = {"run": self._name, "annotator": self._annotator, "clips": clips, "drawn": drawn}
        return JSONResponse({**told, "order": self._order})

    def frame(self, ask: Ask) -> Response:
        """A frame as JPEG, at its own size or `width` pixels wide."""
        clip, frame = self._asked(ask)
        width, ahead = int(ask.number("width", 8192.0)), ask.query.get("ahead") == "1"
        return Response(self._pictures.jpeg(clip, frame, width, ahead=ahead), media_type="image/jpeg")

    def mask(self, ask: Ask) -> Response:
        """A mask as runs: what stands now, the network's own, or that of the run that learnt again."""
        clip, frame = self._asked(ask)
        which = ask.query.get("which", "now")
        if which == "again":
            masks = self._again.masks(clip.name)
            if masks is None:
                return refused(404, "Nothing was learnt again yet.", "Press Learn again.")
            return _of_mask(clip.own_mask(frame, masks))
        version = self._corrections.version(clip.name, frame)  # before it is read: what comes later is told by `hold`
        kept = self._corrections.mask(clip.name, frame) if which == "now" else None
        if kept is None:
            return _of_mask(clip.own_mask(frame), draft=False, version=version)
        return _of_mask(kept[0], draft=kept[1], version=version)

    def superpixels(self, ask: Ask) -> Response:
        """Height, width and numbers of the superpixels of a frame, 16 bits each."""
        labels = superpixels(self._pictures.rgb(*self._asked(ask)))
        data = np.concatenate([np.array(labels.shape), labels.ravel()]).astype("<u2")
        return Response(data.tobytes(), media_type="application/octet-stream")

    def hold(self, ask: Ask) -> Response:
        """Take a frame for a tab."""
        clip, frame = self._asked(ask)
        taken = self._corrections.hold(clip.name, frame, _tab(ask), self._who(ask))
        return _told(taken) if taken else JSONResponse({"version": self._corrections.version(clip.name, frame)})

    def release(self, ask: Ask) -> Response:
        """Let go of a tab's frame."""
        self._corrections.release(_tab(ask))
        return JSONResponse({})

    def draft(self, ask: Ask) -> Response:
        """Keep what was drawn so far; an empty body: nothing was."""
        clip, frame = self._asked(ask)
        mask = self._drawn(clip, frame, ask) if ask.body else None
        return _told(self._corrections.keep_draft(clip.name, frame, _tab(ask), mask))

    def decide(self, ask: Ask) -> Response:
        """Write a decision. Without a body the mask that stands now is meant."""
        clip, frame = self._asked(ask)
        decision = _decision(ask)
        mask = self._drawn(clip, frame, ask) if ask.body else None
        if decision == "empty":
            mask = np.zeros_like(clip.own_mask(frame))
        elif mask is None and decision != "rejected":
            kept = self._corrections.mask(clip.name, frame)
            mask = clip.own_mask(frame) if kept is None else kept[0]
        elif decision == "rejected":
            mask = None
        seconds = ask.number("seconds", _MOST_SECONDS)
        review = Review(clip.name, frame, decision, self._who(ask), now_utc(), seconds)
        only_new = ask.query.get("carried") == "1"
        return _told(self._corrections.decide(review, _tab(ask), mask, only_new=only_new))

    def carry(self, ask: Ask) -> Response:
        """The mask of a frame as it stands in the frame `to`, and why it should be carried no further."""
        clip, frame = self._asked(ask)
        to = ask.query.get("to", "")
        if to not in clip.numbers:
            raise KeyError(to)
        if ask.body:
            mask = self._drawn(clip, frame, ask)
        else:
            kept = self._corrections.mask(clip.name, frame)
            mask = clip.own_mask(frame) if kept is None else kept[0]
        rgbs = [self._pictures.rgb(clip, name) for name in (frame, to)]
        if rgbs[0].shape != rgbs[1].shape:
            return refused(422, f"Frames {frame} and {to} differ in size.", "Draw this one by itself.")
        step = carried(mask, rgbs[0], rgbs[1], clip.own_mask(to))
        first, area = ask.number("first", 1.0), int(ask.number("area", 1e9))
        why = why_it_breaks(step, first, area) if area else None
        return _of_mask(step.mask, agreement=round(step.agreement, 4), unsteady=round(step.unsteady, 4), why=why)

    def agreement(self, ask: Ask) -> Response:
        """IoU of a mask with the network's own."""
        clip, frame = self._asked(ask)
        return JSONResponse({"agreement": agreement(self._drawn(clip, frame, ask), clip.own_mask(frame))})

    def news(self, ask: Ask) -> Response:
        """What was decided after the first `since` decisions, who holds what, and how learning again fares."""
        reviews = self._corrections.reviews()
        rows = [
            [self._number(one.clip, one.frame), one.decision, one.annotator, one.time_utc, one.seconds]
            for one in reviews[int(ask.number("since", 1e9)) :]
            if one.clip in self._clips and one.frame in self._clips[one.clip].numbers
        ]
        held = [
            [self._number(hold.clip, hold.frame), hold.annotator, hold.tab == ask.query.get("tab")]
            for hold in self._corrections.held()
            if hold.clip in self._clips and hold.frame in self._clips[hold.clip].numbers
        ]
        told = {"decisions": rows, "count": len(reviews), "held": held, "again": dict(self._again.status())}
        return JSONResponse(told)

    def again(self, ask: Ask) -> Response:
        """Begin to learn again, or stop it."""
        if ask.query.get("do") == "stop":
            self._again.stop()
        else:
            self._again.start()
        return JSONResponse(dict(self._again.status()))

    def kinds(self, ask: Ask) -> Response:
        """The groups of instruments that look alike, with what they are called; none before `cuemask classes`."""
        del ask
        return JSONResponse(self._kinds.told())

    def exemplar(self, ask: Ask) -> Response:
        """One of a group's exemplars, as JPEG."""
        which = self._kinds.exemplar(int(ask.number("group", 1e6)), int(ask.number("place", 1e3)))
        clip = self._clips[which.clip]
        if which.frame not in clip.numbers:
            raise KeyError(which.frame)
        crop = outlined_crop(self._pictures.rgb(clip, which.frame), self._kinds.own(which))
        return Response(as_jpeg(crop), media_type="image/jpeg")

    def name(self, ask: Ask) -> Response:
        """Write what groups are called; refused where the file has changed since the page read it."""
        names, version = names_asked(ask.body)
        if not self._kinds.write(names, version):
            return refused(409, "Somebody has named groups meanwhile.", "Close, open again, and see what stands there.")
        return JSONResponse(self._kinds.told())

    def _asked(self, ask: Ask) -> tuple[ReviewClip, str]:
        """The clip and frame that are meant: names of this run, and nothing else is ever made a path of."""
        clip, frame = self._clips[ask.query.get("clip", "")], ask.query.get("frame", "")
        if frame not in clip.numbers:
            raise KeyError(frame)
        return clip, frame

    def _number(self, clip: str, frame: str) -> int:
        return self._begins[clip] + self._clips[clip].numbers[frame]

    def _who(self, ask: Ask) -> str:
        return annotator_name(ask.query.get("annotator") or self._annotator)

    def _drawn(self, clip: ReviewClip, frame: str, ask: Ask) -> Bool[np.ndarray, "H W"]:
        """The mask that came with the question, of the size that the frame's mask has."""
        if len(ask.body) % 4 or len(ask.body) < 12:
            raise ValueError("no runs of a mask")
        numbers = np.frombuffer(ask.body, "<u4").astype(np.int64)
        height, width = clip.own_mask(frame).shape
        if numbers[:2].tolist() != [height, width]:
            raise ValueError(f"a mask of {numbers[1]} by {numbers[0]} pixels, not {width} by {height}")
        return flat_of(numbers[2:], height * width).reshape(height, width)


def refused(status: int, what: str, remedy: str) -> Response:
    """An answer that says what is wrong, and what to do."""
    return JSONResponse({"what": what, "remedy": remedy}, status)


def _told(taken: Taken | None) -> Response:
    if taken is None:
        return JSONResponse({"taken": None})
    return JSONResponse({"taken": taken.by, "is_now": taken.is_now}, 409)


def _of_mask(mask: Bool[np.ndarray, "H W"], **told: object) -> Response:
    """Height, width and runs, 32 bits each; what else there is to tell as JSON in a header."""
    data = np.concatenate([np.array(mask.shape), runs_of(mask.ravel())]).astype("<u4").tobytes()
    headers = {"X-Cuemask": json.dumps(told)}
    return Response(data, headers=headers, media_type="application/octet-stream")


def _tab(ask: Ask) -> str:
    tab = ask.query.get("tab", "")
    if not 8 <= len(tab) <= 64:
        raise ValueError("no tab is named")
    return tab


def _decision(ask: Ask) -> Decision:
    for decision in get_args(Decision):
        if ask.query.get("decision") == decision:
            return decision
    raise ValueError(f"decision is not one of {', '.join(get_args(Decision))}")
