"""Videos on object stores and web servers, read by range through fsspec: `https://`, `s3://`, `gs://` and others."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from pathlib import Path
from typing import Any, cast

from cuemask.errors import InputError, InstallationError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])", re.I)
_BLOCK = 1 << 20  # what is asked for at once


def is_address(told: str) -> bool:
    """Whether an input is an address and no path: `https://...`; never what is there as a file."""
    return bool(_ADDRESS.match(told)) and "://" in told and not os.path.lexists(told)


def place_of(told: str | Path) -> Path:
    """The path that is meant, or the object on a store."""
    return StoredPath(told) if isinstance(told, str) and is_address(told) else Path(told)


class StoredPath(type(Path())):
    """An object on a store, as far as a video is read: opened by range, never copied whole.

    Raises
    ------
    InputError
        Where it is asked for and the store does not give it.
    InstallationError
        If the library for its store is absent.
    """

    _address: str | None

    def __new__(cls, *told: Any) -> StoredPath:
        """A path of these parts; of one alone, its very words are the address."""
        path = super().__new__(cls, *told)
        path._address = told[0] if len(told) == 1 and isinstance(told[0], str) else None
        return path

    def __reduce__(self) -> tuple[type[StoredPath], tuple[str]]:
        return StoredPath, (self.address,)

    @property
    def address(self) -> str:
        """Its address, to the letter: a signature in it may hold two slashes in a row."""
        return getattr(self, "_address", None) or _ADDRESS.sub(r"\1://", super().__str__(), count=1)

    def __str__(self) -> str:
        return self.address

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Size and kind."""
        del follow_symlinks
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, int(self._told()["size"] or 0), 0, 0, 0))

    def open(self, mode: str = "r", *rest: Any, **named: Any) -> Any:
        """The object as a file that can be sought in, for reading bytes."""
        if mode != "rb":
            raise InputError(f"{self}: can be read only.", "Give a path on a disk.")
        del rest, named
        store, path = self._store()
        try:
            opened = store.open(path, "rb", block_size=_BLOCK, cache_type="readahead")
        except Exception as error:
            raise _unreadable(self, error) from error
        return _Object(self, opened)

    def version(self) -> str:
        """A digest of address, size and what the store says of its version; the content is not read for it."""
        told = self._told()
        parts = [self.address, told.get("size"), *(told.get(key) for key in ("ETag", "etag", "mtime", "LastModified"))]
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()

    def is_dir(self) -> bool:
        """A store's folder is no input."""
        return False

    def is_file(self) -> bool:
        """Whether it is there shows when it is opened."""
        return True

    def exists(self) -> bool:
        """As `is_file`."""
        return True

    def is_symlink(self) -> bool:
        """It is none."""
        return False

    def absolute(self) -> StoredPath:
        """Itself."""
        return self

    def resolve(self, strict: bool = False) -> StoredPath:
        """Itself."""
        del strict
        return self

    def _told(self) -> dict[str, Any]:
        store, path = self._store()
        try:
            return cast("dict[str, Any]", store.info(path))
        except Exception as error:
            raise _unreadable(self, error) from error

    def _store(self) -> tuple[Any, str]:
        try:
            import fsspec

            return fsspec.url_to_fs(self.address)
        except ImportError as error:
            raise InstallationError(
                f"{self}: its store needs a library ({error}).",
                "Run: pip install 'cuemask[stores]', and s3fs for s3://, gcsfs for gs://; or download it first.",
            ) from error
        except ValueError as error:
            raise InputError(
                f"{self}: no such kind of store is known ({error}).",
                "Download it first; a stream is watched with: cuemask live ADDRESS --model MODEL",
            ) from error


class _Object(io.RawIOBase):
    """An open object, whose store may break off at any time."""

    def __init__(self, path: StoredPath, opened: Any) -> None:
        super().__init__()
        self._path, self._opened = path, opened

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes, as many as `buffer` takes or there are."""
        try:
            found = self._opened.read(len(buffer))
        except Exception as error:
            raise _unreadable(self._path, error) from OSError(errno.EIO, str(error))  # another try may go well
        buffer[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Where the next byte is read from."""
        return int(self._opened.seek(offset, whence))

    def tell(self) -> int:
        """As of `seek`."""
        return int(self._opened.tell())

    def close(self) -> None:
        """Let go of it."""
        self._opened.close()
        super().close()


def _unreadable(path: StoredPath, error: Exception) -> InputError:
    words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return InputError(f"{path}: the store does not give it ({words}).", "Check the address, and that you may read it.")
