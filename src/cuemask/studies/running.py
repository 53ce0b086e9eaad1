"""Units given to an engine, and what comes of each: lost workers and passing faults are tried again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import nullcontext
from typing import Any

from cuemask.studies.work import Outcome, Unit, work

TRIES = 4
DROPS = 50  # a scheduler that was started again is no fault of the units that it had
WINDOW = 256  # units that the engine has at one time; it need not hold a hospital's archive


def outcomes(
    executor: Executor,
    units: Iterable[Unit],
    *,
    tick: Callable[[], None] = lambda: None,
    every_seconds: float = 1.0,
    do: Callable[[Unit], Outcome] = work,
) -> Generator[tuple[Outcome, int], None, None]:
    """What comes of each unit, as it comes, and how often it was tried.

    A worker that is lost loses its unit, which is given to another; a fault of disk or network, too, is tried again.
    After `TRIES` tries it has failed, not counting `DROPS` times that the engine itself dropped it. The largest videos
    are begun first, so that none is left alone at the end.

    Parameters
    ----------
    executor
        As of `concurrent.futures`; where it has a context `batch()`, what is submitted in it goes together.
    tick
        Called about every second.
    do
        What a worker does with a unit.
    """
    waiting = deque(sorted(units, key=lambda unit: -(unit.bytes or 0)))
    given: dict[Future[Outcome], Unit] = {}
    tries, drops = Counter[str](), Counter[str]()
    while waiting or given:
        if waiting and len(given) <= WINDOW // 2:
            together: Callable[[], Any] = getattr(executor, "batch", nullcontext)
            with together():
                while waiting and len(given) < WINDOW:
                    unit = waiting.popleft()
                    tries[unit.name] += 1
                    given[executor.submit(do, unit)] = unit
        done, _ = wait(given, every_seconds, FIRST_COMPLETED)
        for future in done:
            unit = given.pop(future)
            outcome, is_lost = _outcome(unit, future)
            if _is_dropped(future) and drops[unit.name] < DROPS:
                drops[unit.name] += 1
                tries[unit.name] -= 1
                waiting.append(unit)
            elif (is_lost or outcome.is_passing) and tries[unit.name] < TRIES:
                waiting.append(unit)
            else:
                yield outcome, tries[unit.name]
        tick()


def _is_dropped(future: Future[Outcome]) -> bool:
    return future.cancelled() or isinstance(future.exception(), CancelledError)


def _outcome(unit: Unit, future: Future[Outcome]) -> tuple[Outcome, bool]:
    """What the worker said, or that it was lost: `work` raises nothing, so whatever is raised comes of the engine."""
    try:
        return future.result(), False
    except CancelledError:
        why = "the engine dropped it"
    except Exception as error:
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error).strip() else 'no words'}"
    what = f"{unit.name}: its worker was lost {TRIES} times ({why})."
    return Outcome(unit.name, f"{what}\nLook for what kills it, often too little memory, then run it again."), True
