"""Files on this machine or anywhere that fsspec or pyarrow reaches: s3://, gs://, abfs://, hdfs:// and the like."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import InputError, MissingExtraError, OutputError, UnreadableDocumentError

# Stores in which an object appears when it is whole, and not before; elsewhere a new file is written beside the old
# one and then takes its name.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "azure", "adl", "oss", "cos", "memory"})
_LOCAL = frozenset({"file", "local"})


@dataclass(frozen=True, slots=True)
class Found:
    """A file. url: as the user named it, or below what the user named. path: in its file system.

    size: bytes. stamp: changes when the file does, as far as its file system tells.
    """

    url: str
    path: str
    size: int
    stamp: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A file system, and how its files are called.

    filesystem: of fsspec; travels to other machines by pickle. prefix: what stands before a path in a URL.
    """

    filesystem: Any
    prefix: str = ""

    @classmethod
    def of(cls, url: str, filesystem: Any = None) -> tuple[Storage, str]:
        """The storage of a URL or a local path, and the path in it.

        filesystem: of fsspec or of pyarrow, where the URL alone does not say it; ``url`` is then a path in it.
        Raises MissingExtraError or InputError where there is no such storage.
        """
        if filesystem is not None:
            return cls(_as_fsspec(filesystem)), url
        scheme, separator, rest = url.partition("://")
        if not separator or scheme in _LOCAL:
            import fsspec

            # other machines have other working directories
            return cls(fsspec.filesystem("file")), os.path.abspath(os.path.expanduser(rest if separator else url))
        return cls(*_remote(url, scheme)), rest

    @property
    def is_local(self) -> bool:
        return not _LOCAL.isdisjoint(self._protocols)

    @property
    def is_shared(self) -> bool:
        """Whether other processes see the same files."""
        return "memory" not in self._protocols

    @property
    def _protocols(self) -> tuple[str, ...]:
        # a file system of pyarrow in the coat of fsspec names itself by its type
        names = self.filesystem.protocol
        inner = getattr(getattr(self.filesystem, "fs", None), "type_name", None)
        return (*((names,) if isinstance(names, str) else names), *((inner,) if isinstance(inner, str) else ()))

    def find(self, url: str, path: str) -> Iterator[Found]:
        """The file, the files below the folder (hidden ones left out), or those that match the pattern, by name.

        Raises UnreadableDocumentError where there is nothing, or no permission.
        """
        fs = self.filesystem
        with _reading(url):
            fs.invalidate_cache()
            if fs.isdir(path):
                below = fs.find(path, detail=True)
                root = path.rstrip("/")
                for name in sorted(below):
                    inside = name[len(root) :].lstrip("/") if name.startswith(root) else name.rpartition("/")[2]
                    if not any(part.startswith((".", "_")) for part in inside.split("/")):
                        yield _found(f"{url.rstrip('/')}/{inside}", name, below[name])
                return
            if fs.exists(path):
                yield _found(url, path, fs.info(path))
                return
            if any(sign in path for sign in "*?["):
                matches = {n: info for n, info in fs.glob(path, detail=True).items() if info.get("type") != "directory"}
                for name in sorted(n for n in matches if not n.rpartition("/")[2].startswith(".")):
                    yield _found(f"{self.prefix}{name}", name, matches[name])
                if matches:
                    return
                raise UnreadableDocumentError(f"{url}: nothing matches this pattern")
        raise UnreadableDocumentError(f"{url}: does not exist")

    def info(self, url: str, path: str) -> Found:
        with _reading(url):
            self.filesystem.invalidate_cache()
            return _found(url, path, self.filesystem.info(path))

    def open(self, path: str) -> Any:
        """The file as a binary stream that can be moved about in."""
        return self.filesystem.open(path, "rb")

    def exists(self, path: str) -> bool:
        return self.filesystem.exists(path)

    def read(self, path: str) -> bytes:
        with _reading(path), self.open(path) as file:
            return file.read()

    def write(self, path: str, data: bytes) -> None:
        """Put a file in its place at once: whoever looks sees the old one, the new one or none, never a part.

        Several writers of one file do not disturb each other: one of them is the last. Raises OutputError.
        """
        fs = self.filesystem
        folder, _, name = path.rpartition("/")
        with _writing(path):
            fs.makedirs(folder, exist_ok=True)
            if not _OBJECT_STORES.isdisjoint(self._protocols):
                _put(fs, path, data)
                return
            new = f"{folder}/.{name}.{uuid.uuid4().hex}.new"
            try:
                if self.is_local:
                    with Path(new).open("wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
                    os.replace(new, path)
                else:
                    _put(fs, new, data)
                    fs.mv(new, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    fs.rm_file(new)
                raise

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none where there is no such folder."""
        fs = self.filesystem
        with _reading(folder):
            fs.invalidate_cache()
            if not fs.isdir(folder):
                return []
            return sorted(entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(folder, detail=False))

    def remove(self, path: str) -> None:
        with _writing(path), contextlib.suppress(FileNotFoundError):
            self.filesystem.rm_file(path)


def _put(fs: Any, path: str, data: bytes) -> None:
    with fs.open(path, "wb") as file:
        file.write(data)


def _as_fsspec(filesystem: Any) -> Any:
    from fsspec import AbstractFileSystem

    if isinstance(filesystem, AbstractFileSystem):
        return filesystem
    if type(filesystem).__module__.startswith("pyarrow."):
        from fsspec.implementations.arrow import ArrowFSWrapper

        return ArrowFSWrapper(filesystem)
    raise InputError(f"filesystem is {filesystem!r}: give one of fsspec or of pyarrow.fs")


def _remote(url: str, scheme: str) -> tuple[Any, str]:
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)[0], f"{scheme}://"
    except ImportError as missing:
        # pyarrow brings its own clients of the usual stores
        try:
            from pyarrow import fs as arrow
        except ImportError:
            raise MissingExtraError("ray", feature=f"reading and writing {scheme}://") from missing
        try:
            return _as_fsspec(arrow.FileSystem.from_uri(url)[0]), f"{scheme}://"
        except (ValueError, OSError) as error:
            raise InputError(f"{url}: neither fsspec ({missing}) nor pyarrow ({error}) reaches it") from error
    except ValueError as error:
        raise InputError(f"{url}: {error}") from error


def _found(url: str, path: str, info: dict[str, Any]) -> Found:
    keys = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated", "created")
    stamp = next((str(info[key]) for key in keys if info.get(key) is not None), "")
    return Found(url, path, int(info.get("size") or 0), f"{info.get('size')}:{stamp}")


@contextlib.contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UnreadableDocumentError(f"{what}: does not exist") from error
    except OSError as error:
        raise UnreadableDocumentError(f"{what}: cannot be read ({error.strerror or error})") from error


@contextlib.contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{what} cannot be written: {error.strerror or error}") from error
