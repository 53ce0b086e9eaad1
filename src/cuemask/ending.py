"""How a command ends: our own errors without a traceback, Ctrl-C and the system's signals with a word."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import click

from cuemask.errors import CuemaskError, InstallationError
from cuemask.helping import Sections


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP came. As after Ctrl-C, what is open is finished or removed on the way out."""


class Group(Sections):
    """Prints our own errors without a traceback and exits 2; after a signal exits 128 and its number, as shells do."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is asked for, and see to its end."""
        with _stoppable() as came:
            try:
                return super().invoke(ctx)
            except BaseException as error:
                if came:  # whatever it led to: a terminal that is gone fails at every word
                    self._interrupted(ctx, f"Stopped by {came[0].name}.", 128 + came[0])
                if isinstance(error, KeyboardInterrupt):
                    self._interrupted(ctx, "Interrupted.", 130)
                if isinstance(error, CuemaskError):
                    _refuse(error)
                if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "safetensors"):
                    what = f"this command learns, or runs what torch learnt, and {error.name} is not installed."
                    _refuse(InstallationError(what, "Run: pip install 'cuemask[train]'"))
                raise

    def _interrupted(self, ctx: click.Context, what: str, code: int) -> NoReturn:
        command = self.commands.get(ctx.invoked_subcommand or "")
        resumes = command is not None and any(option.name == "resume" for option in command.params)
        kept = "What is done is kept: go on with the same command and --resume." if resumes else "Run it again."
        with suppress(OSError):
            click.echo(f"\n{what} {kept}", err=True)
        sys.exit(code)


def _refuse(error: CuemaskError) -> NoReturn:
    click.echo(f"{type(error).__name__:12} {error.what}\n{'':13}{error.remedy}", err=True)
    sys.exit(2)


@contextmanager
def _stoppable() -> Generator[list[signal.Signals], None, None]:
    """Raise `Stopped` at the first of the system's signals, which is then in the list; the next are not heeded.

    What is ignored, as under nohup, stays so.
    """
    came: list[signal.Signals] = []
    before: dict[signal.Signals, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        came.append(signal.Signals(number))
        raise Stopped

    if threading.current_thread() is threading.main_thread():
        names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
        for one in (signal.Signals[name] for name in names):
            if signal.getsignal(one) is signal.SIG_DFL:
                before[one] = signal.signal(one, stop)
    try:
        yield came
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
