"""The token by which the tracker knows this node, in `.shoal/token`. Means nothing to others.

If it is lost, the tracker gives another one as soon as it takes the node for dead.
"""

import contextlib
import logging
import os
import re
from pathlib import Path

from shoal.node.files.raw_files import make_at, read_at

log = logging.getLogger("shoal.node")

_MODE = 0o600  # Who can read it can speak for the node.
_MAX_BYTES = 100
_TOKEN = re.compile(rb"([0-9A-Za-z_-]{1,64})\n")


def load(state: Path) -> str:
    """Return the token that is kept in the folder's `.shoal`; empty if there is none."""
    with contextlib.suppress(OSError):
        found = _TOKEN.fullmatch(read_at(os.fsencode(state / "token"), 0, _MAX_BYTES))
        return found[1].decode() if found else ""
    return ""


def save(state: Path, token: str) -> None:
    """Keep a token; a disk that refuses is worth a warning."""
    path, aside = state / "token", state / "token.new"
    try:
        make_at(os.fsencode(aside), memoryview(f"{token}\n".encode()), _MODE)
        aside.rename(path)
    except OSError as error:
        remedy = "if this node is restarted, it may have to wait until the tracker takes it again"
        log.warning("cannot write %s (%s): %s", path, error.strerror, remedy)
