"""shoal:// for fsspec, and so for pandas, pyarrow, DuckDB, dask, datasets and UPath. Read-only.

    pd.read_parquet("shoal://dataset/part-0.parquet", storage_options={"config": "lab.yaml"})

An instance holds strings and what it has looked up; the session belongs to the process, so that it
can be pickled, used after a fork and by many threads.
"""

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from fsspec.caching import caches
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from shoal.api.entries import Contents
from shoal.api.exceptions import NotFound
from shoal.api.reading import Reader
from shoal.api.session import Session, connect
from shoal.protocol.listing import FILES, LINK

# Rows of a table lie here and there: a cache that reads ahead of each fetches all of it.
CACHE_TYPE = "adaptive" if "adaptive" in caches else "readahead"  # It came with fsspec 2026.
BLOCK_BYTES = 256 << 10
MOST_HOPS = 40  # Links that lead to links, as Linux has it.

_sessions: dict[tuple[str | None, str | None], Session] = {}
_guard = threading.Lock()
os.register_at_fork(after_in_child=_guard._at_fork_reinit)  # type: ignore[attr-defined]  # noqa: SLF001


def _session(config: str | None, as_: str | None) -> Session:
    """Return the session of this process with that node."""
    with _guard:
        key = config, as_
        if key not in _sessions:
            _sessions[key] = connect(config, as_=as_)
        return _sessions[key]


class ShoalFileSystem(AbstractFileSystem):  # type: ignore[misc]  # It ships no types.
    """What is shared, as files and directories: NAME[@ID], and NAME[@ID]/PATH.

    Which version a name means is settled when it is first used; `invalidate_cache` has it looked up
    again.
    """

    protocol = "shoal"
    root_marker = ""

    def __init__(self, config: str | None = None, as_: str | None = None, **options: Any) -> None:
        """Take the arguments of `shoal.connect`, by default as that."""
        super().__init__(**options)
        self._config = config
        self._as = as_
        self._known: dict[str, tuple[float, _Thing]] = {}
        self._expires_s = options.get("listings_expiry_time")

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = os.fspath(path)
        return text.removeprefix("shoal://").removeprefix("shoal::").strip("/")

    @property
    def fsid(self) -> str:
        """Name the cluster."""
        return f"shoal_{self._config}"

    @property
    def session(self) -> Session:
        """Return the session that does the work."""
        return _session(self._config, self._as)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget which version a name means, or all names."""
        if path is None:
            self._known.clear()
        else:
            self._known.pop(self._strip_protocol(path).partition("/")[0], None)
        super().invalidate_cache(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 (theirs)
        """Return what is in a directory, or the one file."""
        path = self._strip_protocol(path)
        if path:
            name, _sep, inside = path.partition("/")
            found = self._thing(name).ls(inside, name)
        else:
            newest = sorted({thing.name for thing in self.session.ls()})
            found = [self._thing(name).info("", name) for name in newest]
        return found if detail else [one["name"] for one in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size in bytes, type (file or directory) and id of the thing."""
        path = self._strip_protocol(path)
        if not path:
            return {"name": "", "size": 0, "type": "directory"}
        name, _sep, inside = path.partition("/")
        return self._thing(name).info(inside, name)

    def ukey(self, path: str) -> str:
        """Return what changes when the bytes do."""
        info = self.info(path)
        return f"{info['id']}/{info['name'].partition('/')[2]}"

    def checksum(self, path: str) -> int:
        """Return the same as a number."""
        return hash_of(self.ukey(path))

    def modified(self, path: str) -> datetime:
        """Return a time that is fixed for each version, and later for later ones: no more."""
        return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=self.info(path)["version"])

    created = modified

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        """Return bytes of a file from `start` to before `end`; negative ones count from the end."""
        with self._reader(path) as reader:
            start, end, _step = slice(start, end).indices(reader.size)
            reader.seek(start)
            return reader.read(max(0, end - start))

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,  # noqa: ARG002, FBT001, FBT002 (theirs)
        cache_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> "ShoalFile":
        if mode != "rb":
            self._refuse(path)
        options.setdefault("cache_type", CACHE_TYPE)
        block_bytes = block_size or BLOCK_BYTES
        return ShoalFile(self, path, mode, block_bytes, cache_options=cache_options, **options)

    def _reader(self, path: str) -> Reader:
        """Open a file in the version that its name means here."""
        path = self._strip_protocol(path)
        name, _sep, inside = path.partition("/")
        thing = self._thing(name)
        named = f"{thing.name}@{thing.id}"
        return self.session.open(f"{named}/{thing.real(inside)}" if inside else named)

    def _thing(self, name: str) -> "_Thing":
        at, known = self._known.get(name, (0.0, None))
        is_old = self._expires_s is not None and time.monotonic() > at + self._expires_s
        if known is None or is_old:
            known = _Thing(self.session.contents(name))
            self._known[name] = time.monotonic(), known
        return known

    def _refuse(self, path: Any, *_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.EROFS, "shoal:// is read-only; use `shoal share`", str(path))

    mkdir = makedirs = rmdir = rm = rm_file = _rm = touch = cp_file = mv = _refuse
    put_file = pipe_file = _refuse


class ShoalFile(AbstractBufferedFile):  # type: ignore[misc]  # It ships no types.
    """A file that is open for reading. Can be pickled."""

    _opened: Reader | None = None

    def _fetch_range(self, start: int, end: int) -> bytes:
        if self._opened is None:
            self._opened = self.fs._reader(self.path)  # noqa: SLF001 (its own)
        self._opened.seek(start)
        return self._opened.read(end - start)

    def close(self) -> None:
        """Have no more of it fetched for this."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        super().close()


class _Thing:
    """One version of a thing, and what is in it, by path."""

    def __init__(self, contents: Contents) -> None:
        self.name = contents.name
        self.id = contents.id
        self._told = {"id": contents.id, "version": contents.version}
        self._sizes: dict[str, int] = {}
        self._links: dict[str, str] = {}
        self._folders: dict[str, dict[str, None]] = {}
        if contents.listing is None:
            self._sizes[""] = contents.size_bytes
            return
        self._folders[""] = {}
        for entry in contents.listing.entries():
            if entry.kind in FILES:
                self._sizes[entry.path] = entry.size_bytes
            elif entry.kind == LINK:
                folder = entry.path.rpartition("/")[0]
                self._links[entry.path] = os.path.normpath(f"{folder or '.'}/{entry.target}")
            else:
                self._folders.setdefault(entry.path, {})
            self._put(entry.path)

    def _put(self, path: str) -> None:
        while path:
            above = path.rpartition("/")[0]
            is_known = above in self._folders
            self._folders.setdefault(above, {})[path] = None
            if is_known:
                return
            path = above

    def real(self, inside: str) -> str:
        """Return where a path leads, over links."""
        for _ in range(MOST_HOPS):
            at = next((one for one in _and_above(inside) if one in self._links), None)
            if at is None:
                return inside
            target = self._links[at].removeprefix(".").removeprefix("/")
            inside = f"{target}{inside.removeprefix(at)}".strip("/")
        return inside

    def info(self, inside: str, name: str) -> dict[str, Any]:
        """Return what fsspec tells of a path; raises NotFound if there is none such."""
        real = self.real(inside)
        shown = f"{name}/{inside}" if inside else name
        if real in self._sizes:
            size = self._sizes[real]
            return {"name": shown, "size": size, "type": "file", **self._told}
        if real in self._folders:
            return {"name": shown, "size": 0, "type": "directory", **self._told}
        raise NotFound(f"{shown} does not exist; {self.name} has no such file")

    def ls(self, inside: str, name: str) -> list[dict[str, Any]]:
        """Return what is in a directory, or the one file; raises NotFound."""
        found = self.info(inside, name)
        if found["type"] == "file":
            return [found]
        real = self.real(inside)
        cut = len(real) + 1 if real else 0
        paths = ("/".join(filter(None, (inside, one[cut:]))) for one in self._folders[real])
        return [self.info(path, name) for path in paths if self._leads_somewhere(path)]

    def _leads_somewhere(self, path: str) -> bool:
        real = self.real(path)
        return real in self._sizes or real in self._folders


def _and_above(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1))


def hash_of(text: str) -> int:
    """Return a number of 63 bits for a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
