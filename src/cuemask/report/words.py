"""Figures as people read them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """A time in a recording: 0:04.9 below a minute, 12:07, 1:02:07."""
    tenths = round(max(seconds, 0.0) * 10)
    if tenths < 600:
        return f"0:{tenths // 10:02d}.{tenths % 10}"
    whole = round(max(seconds, 0.0))
    hours, minutes = whole // 3600, whole // 60 % 60
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{whole % 60:02d}"


def duration(seconds: float) -> str:
    """How long something took: 0.4 s, 48 s, 12 min 5 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """A share of 0 to 1, in percent with one digit after the point."""
    return f"{100 * share:.1f} %"


def counted(count: int, what: str) -> str:
    """A number with its noun: 1 frame, 2 frames."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
