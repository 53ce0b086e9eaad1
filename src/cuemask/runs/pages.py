"""What every page that is served needs besides cuemask's own dependencies."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from cuemask.errors import InstallationError

_LIBRARIES = ("starlette", "uvicorn", "anyio", "h11")


@contextmanager
def page_libraries(instead: str = "") -> Generator[None, None, None]:
    """Around the import of a page's modules.

    Parameters
    ----------
    instead
        What else can be done where a library is missing, for the error's remedy.

    Raises
    ------
    InstallationError
        If Starlette or uvicorn, or what they need, is missing or does not load.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        raise InstallationError(
            f"The page needs Starlette and uvicorn, which are not installed or do not load ({error}).",
            f"Run: pip install 'cuemask[runtime]'{instead}",
        ) from error
