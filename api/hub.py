"""The Hugging Face hub's cache on this machine: things in its layout, and its snapshots as things.

hub/models--ORG--NAME/refs/main                 which snapshot is the newest: REV
hub/models--ORG--NAME/snapshots/REV/…           links to ../../blobs/HASH; or one link to a folder
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from shoal.protocol.errors import DiskError, IntegrityError, OperatorError
from shoal.protocol.names import display

KINDS = "models", "datasets", "spaces"
OURS = "b3-"  # How the names of our snapshots begin; the hub's own are hexadecimal.
REV_DIGITS = 12
BLOCK_BYTES = 1 << 20
SHA1_DIGITS, SHA256_DIGITS = 40, 64
MAX_CHARACTERS = 96  # As the hub has it.
_PART = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_FOLDER = re.compile(rf"(?:{'|'.join(KINDS)})--(?P<name>[A-Za-z0-9._-]+)")
_HASH = re.compile(rf"[0-9a-f]{{{SHA1_DIGITS}}}|[0-9a-f]{{{SHA256_DIGITS}}}")


class Repo(NamedTuple):
    """A repository of the hub."""

    kind: str
    name: str  # ORG/NAME, or NAME.

    @property
    def folder(self) -> str:
        """Its folder's name in the cache."""
        return "--".join([self.kind, *self.name.split("/")])


def repo_named(text: str) -> Repo:
    """Return the repository that ORG/NAME means, or datasets/ORG/NAME, or spaces/ORG/NAME.

    Raises:
        OperatorError: the hub has no such names.
    """
    first, _, rest = text.partition("/")
    kind, name = (first, rest) if first in KINDS and "/" in rest else ("models", text)
    parts = name.split("/")
    most = 2
    if len(parts) > most or len(name) > MAX_CHARACTERS or not all(map(_PART.fullmatch, parts)):
        message = f"--hf {display(text)} is no repository of the hub"
        raise OperatorError(f"{message}; expected ORG/MODEL, or datasets/ORG/NAME")
    return Repo(kind, name)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where the hub's libraries keep their cache."""
    for name, below in (("HF_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if environ.get(name):
            return Path(environ[name]).expanduser() / below
    home = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "huggingface/hub"


def link(cache: Path, repo: Repo, thing: Path, content_id: str, *, is_forced: bool = False) -> Path:
    """Make a thing the newest snapshot of a repository in the cache; return the snapshot.

    Nothing is copied: the snapshot is a link. Links of ours to the same place are replaced, as what
    they lead to is another version now.

    Args:
        cache: as `cache_folder` returns it.
        repo: of the hub.
        thing: the directory.
        content_id: its id.
        is_forced: do so even if the newest snapshot there is the hub's own.

    Raises:
        OperatorError: it is not a directory, or the newest snapshot there is the hub's own.
        DiskError: the cache cannot be written to.
    """
    if not thing.is_dir():
        message = f"{display(str(thing))} is a file, and a repository of the hub is a directory"
        raise OperatorError(f"{message}; leave --hf out")
    place = cache / repo.folder
    snapshot = place / "snapshots" / f"{OURS}{content_id.removeprefix('b3:')[:REV_DIGITS]}"
    newest = place / "refs" / "main"
    try:
        known = newest.read_text().strip() if newest.is_file() else ""
        if known and not known.startswith(OURS) and not is_forced:
            message = f"the hub's cache has {repo.name} from the hub itself ({known[:REV_DIGITS]})"
            raise OperatorError(f"{message}; --force has it point to {display(str(thing))} instead")
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        newest.parent.mkdir(exist_ok=True)
        for other in snapshot.parent.glob(f"{OURS}*"):
            if other.is_symlink() and other != snapshot and other.readlink() == thing:
                other.unlink()
        _replace(snapshot, lambda aside: aside.symlink_to(thing, target_is_directory=True))
        _replace(newest, lambda aside: aside.write_text(snapshot.name))
    except OSError as error:
        message = f"cannot write {display(str(place))}: {error.strerror}"
        raise DiskError(f"{message}; change its permissions, or set HF_HOME") from None
    return snapshot


def link_if_any(repo: Repo | None, thing: Path, content_id: str, *, is_forced: bool) -> Path | None:
    """Do as `link` in the cache of this user, if a repository is given."""
    if repo is None:
        return None
    return link(cache_folder(os.environ), repo, thing, content_id, is_forced=is_forced)


def _replace(place: Path, make: Callable[[Path], object]) -> None:
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    make(aside)
    aside.replace(place)


def snapshot_name(path: Path) -> str | None:
    """Return under which name to share a snapshot in a hub's cache: ORG--NAME; None if it is none.

    A snapshot is a directory …/models--ORG--NAME/snapshots/REV whose files are links.
    """
    path = path.absolute()
    match = _FOLDER.fullmatch(path.parent.parent.name)
    return match["name"] if match and path.parent.name == "snapshots" else None


def check_blobs(snapshot: Path, check: Callable[[], None]) -> None:
    """Hash all that a snapshot links to, and compare it with its name, which is its hash.

    Args:
        snapshot: a directory for which there is a `snapshot_name`.
        check: called now and then; may raise.

    Raises:
        IntegrityError: the bytes are not those that the hub has.
        OSError: something cannot be read.
    """
    for folder, _, files in os.walk(snapshot):
        for name in files:
            path = Path(folder, name)
            blob = Path(os.path.realpath(path))
            is_named = blob.parent.name == "blobs" and _HASH.fullmatch(blob.name)
            if is_named and _digest(blob, check) != blob.name:
                message = f"{display(str(path))} is not what the hub has: {blob.name[:12]}…"
                raise IntegrityError(f"{message}; download it again")


def _digest(blob: Path, check: Callable[[], None]) -> str:
    """Return the hash after which a blob is named: of large files sha256, of others git's."""
    if len(blob.name) == SHA256_DIGITS:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
    with blob.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            check()
            digest.update(block)
    return digest.hexdigest()
