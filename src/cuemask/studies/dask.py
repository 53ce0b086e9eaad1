"""A Dask cluster that runs, as an executor that finds its scheduler again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from distributed import Client

from cuemask.errors import EngineError

_log = logging.getLogger(__name__)
_WAIT_SECONDS = 600.0

for _name in ("distributed.client", "distributed.core"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # tracebacks of a scheduler that is gone: we say so in words


class DaskExecutor(Executor):
    """Units on the workers of a scheduler; while that is gone, for ten minutes at most, submitting waits.

    Parameters
    ----------
    address
        Such as `tcp://host:8786`.

    Raises
    ------
    EngineError
        If no scheduler answers.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = _client(address, seconds=20.0)
        self._executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of `Executor`; `CancelledError` where the scheduler was lost, `KilledWorker` where workers were."""
        if self._client.status != "running":
            self._again()
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of `Executor`; workers and scheduler stay."""
        if self._client.status == "running":
            self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()

    def _again(self) -> None:
        _log.warning("%s: the scheduler is gone; waiting for it.", self._address)
        self._client.close(timeout=1)
        self._client = _client(self._address, seconds=_WAIT_SECONDS)
        self._executor = self._client.get_executor(pure=False)


def _client(address: str, seconds: float) -> Client:
    until = time.monotonic() + seconds
    while True:
        try:
            return Client(address, timeout=max(0.5, min(5.0, seconds)), set_as_default=False)
        except OSError as error:
            if time.monotonic() >= until:
                raise EngineError(
                    f"{address}: no Dask scheduler answers ({str(error)[:100]}).", "Start one there: dask scheduler"
                ) from error
        time.sleep(0.5)
