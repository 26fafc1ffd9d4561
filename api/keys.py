"""Making keys: whoever is in the cluster file gets a secret, and a public key in the file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from shoal.config.cluster import SHIPPED_FOLDER, load, load_draft
from shoal.config.document import choices, shown
from shoal.config.editing import Entries, UnusualFormError, with_entries
from shoal.config.key_folder import KeyFolder
from shoal.config.security import TRACKER, Draft, Party, is_name
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.keys import public_text
from shoal.protocol.names import display
from shoal.protocol.permits import Role
from shoal.system.replacing import replace_file

ADMIN = "admin"
READER_FOLDER = "~/shoal"  # On the reader's machine.


class KeyWishes(msgspec.Struct, frozen=True):
    """What to make besides what is missing."""

    new: tuple[str, ...] = ()  # Whose keys are replaced.
    readers: tuple[str, ...] = ()  # To add.
    admins: tuple[str, ...] = ()


class KeysMade(msgspec.Struct, frozen=True):
    """What `make_keys` did."""

    folder: Path  # Of the secrets.
    made: list[Party]
    kept: list[Party]  # Whose key was there, and was not to be replaced.
    elsewhere: list[str]  # Those of them whose secrets are not in the folder.
    replaced: list[str]  # Those of `made` that had another key before.
    is_first: bool  # The cluster had no key before.


def make_keys(cluster_file: Path, wishes: KeyWishes) -> KeysMade:
    """Make all keys that are missing, and those wished for. Nothing else of the file changes.

    If it is killed at any moment, the next call completes it.

    Raises:
        OperatorError: the cluster file is shoal's own, not valid, or of an unusual form; a secret
            does not belong to its public key, or is not safe; a wish cannot be granted.
        OSError: something cannot be written.
    """
    _require_own(cluster_file)
    load_draft(cluster_file)  # Before the folder is made.
    with KeyFolder.locked(cluster_file) as folder:
        content = cluster_file.read_bytes()
        _, draft = load_draft(cluster_file)
        draft.require_names_apart()
        before = draft.parties()
        wanted = _wanted(before, wishes, cluster_file)
        folder.settle((party.name, party.key) for party in before)
        kept = [party for party in before if party.key is not None and party.name not in wanted]
        elsewhere = [party.name for party in kept if not folder.holds(party)]
        made = folder.prepare(wanted.values()) if wanted else []
        if made:
            _put_into(cluster_file, content, _entries(made, draft))
            folder.put_in_place(wanted)
        had_key = [party.name for party in before if party.key is not None]
        replaced = [name for name in wanted if name in had_key]
        return KeysMade(folder.path, made, kept, elsewhere, replaced, not had_key)


def _require_own(cluster_file: Path) -> None:
    """Refuse to write into the examples that ship with shoal: all users of it share them."""
    if Path(os.path.realpath(cluster_file)).parent == Path(os.path.realpath(SHIPPED_FOLDER)):
        name = display(str(cluster_file))
        message = f"{name} is an example that ships with shoal, and its keys would be everybody's"
        raise OperatorError(f"{message}; copy it, and name the copy with --config")


def _wanted(before: Sequence[Party], wishes: KeyWishes, cluster_file: Path) -> Mapping[str, Party]:
    """Return for whom keys are made, by name, in the file's order."""
    known = {party.name: party for party in before}
    for name in wishes.new:
        if name not in known:
            place = display(str(cluster_file))
            raise OperatorError(f"--new: {place} has no {shown(name)}; {choices(name, known)}")
    added = [("--reader", name, Role.READER) for name in wishes.readers]
    added += [("--admin", name, Role.ADMIN) for name in wishes.admins]
    for option, name, role in added:
        known.setdefault(name, Party(name, role, None))
        _check_added(option, known[name], role)
    if all(party.role != Role.ADMIN for party in known.values()):
        known.setdefault(ADMIN, Party(ADMIN, Role.ADMIN, None))
        _check_added("--admin", known[ADMIN], Role.ADMIN)
    return {name: party for name, party in known.items() if party.key is None or name in wishes.new}


def _check_added(option: str, party: Party, role: Role) -> None:
    if not is_name(party.name):
        expected = "1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`"
        raise OperatorError(f"{option}: {shown(party.name)}: not a name; expected {expected}")
    if party.role != role:
        message = f"{option}: the {party.role} is called {party.name} already"
        raise OperatorError(f"{message}; name another, as in {option} {party.name}-2")


def _entries(made: Sequence[Party], draft: Draft) -> Entries:
    """Return what is put into the cluster file."""
    sections: dict[str, dict[str, str | Entries]] = {}
    alone: dict[str, str] = {}
    for name, role, key in made:
        text = public_text(key or b"")
        if role == TRACKER and draft.has_tracker_list:
            alone["tracker_key"] = text
        elif role == TRACKER:
            sections[TRACKER] = {"key": text}
        elif role == Role.ADMIN:
            sections.setdefault("admins", {})[name] = text
        elif role == Role.READER and name not in draft.readers:
            sections.setdefault("readers", {})[name] = {"folder": READER_FOLDER, "key": text}
        else:
            sections.setdefault(f"{role}s", {})[name] = {"key": text}
    return {**alone, **sections}


def _put_into(cluster_file: Path, content: bytes, entries: Entries) -> None:
    place = display(str(cluster_file))

    def check(new: Path) -> None:
        try:
            load(new)
        except OperatorError as error:
            message = str(error).replace(display(str(new)), place)
            raise OperatorError(f"with the keys in it, {message}") from None
        if cluster_file.read_bytes() != content:
            raise OperatorError(f"{place} has changed meanwhile; run this again")

    try:
        text = with_entries(content.decode(), entries)
    except UnusualFormError:
        message = f"{place} is of a form into which no keys can be put"
        raise OperatorError(f"{message}; write it as in docs/use/cluster-file.md") from None
    try:
        replace_file(cluster_file, text.encode(), check)
    except PermissionError:
        message = f"{place} cannot be replaced by this user, or not with its owner and group"
        raise DiskError(f"{message}; run this as the user to whom it belongs") from None
