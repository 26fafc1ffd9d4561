"""What a shared thing may be called. Judges text; knows nothing of disks.

The rules come from names that broke other clients (CVE-2009-1760, CVE-2007-1384, Syncthing's
TestCheckFilename): a name is a relative path that stays below its folder. Every name that comes in
goes through `check_name`; every path in a tree, through `check_path`.
"""

import re

MAX_NAME_BYTES = 4096  # PATH_MAX on Linux.
MOST_QUOTED_CHARACTERS = 300  # A sentence has less; a peer may send 4096.
MAX_PARTS = 512  # 2048 would fit, each of them a directory that is looked up again and again.
MAX_COMPONENT_BYTES = 255  # NAME_MAX on every file system in use.
RESERVED_FOLDER = ".shoal"  # Partial data and the cache of hashes; never shared.

_ID = re.compile(r"b3:[0-9a-f]{64}\Z")
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # C0, delete, C1.


def check_name(text: str) -> str:
    """Return `text` if it may name a shared file.

    Raises:
        ValueError: it may not; the message is a phrase that says why.
    """
    check_path(text)
    if is_like_an_id(text):
        raise ValueError("has the form of an id")
    if text.split("/", 1)[0].casefold() == RESERVED_FOLDER:  # Some file systems ignore case.
        raise ValueError(f"is in {RESERVED_FOLDER}, which is not shared")
    return text


def is_like_an_id(text: str) -> bool:
    """Return whether `text` would be read as an id where either a name or an id may be given."""
    return _ID.match(text) is not None


def check_path(text: str) -> str:
    """Return `text` if it may be a path in a shared folder; raises as `check_name`."""
    _check_length(text)
    if _CONTROL.search(text):
        raise ValueError("has a control character in it")
    if "\\" in text:
        raise ValueError("has a backslash in it")
    if text.startswith("/"):
        raise ValueError("is an absolute path")
    if _DRIVE.match(text):
        raise ValueError(f"begins with {text[:2]}, which is a drive on Windows")
    if text.count("/") >= MAX_PARTS:
        raise ValueError(f"has more than {MAX_PARTS} parts")
    for component in text.split("/"):
        _check_component(component)
    return text


def _check_length(text: str) -> None:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid UTF-8") from None
    if not encoded:
        raise ValueError("is empty")
    if len(encoded) > MAX_NAME_BYTES:
        raise ValueError(f"is longer than {MAX_NAME_BYTES} bytes")


def _check_component(component: str) -> None:
    if component == "":
        raise ValueError("has an empty part (two slashes, or one at the end)")
    if component in {".", ".."}:
        raise ValueError(f"has {component!r} as a part")
    if len(component.encode()) > MAX_COMPONENT_BYTES:
        raise ValueError(f"has a part longer than {MAX_COMPONENT_BYTES} bytes")


def quoted(text: str) -> str:
    """Return what another machine says as it may be part of a sentence of ours: escaped, cut."""
    shown = display(text[:MOST_QUOTED_CHARACTERS])
    return shown if len(text) <= MOST_QUOTED_CHARACTERS else f"{shown}…"


def display(text: str) -> str:
    """Return `text` with unprintable characters (control codes, right-to-left marks) escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
