"""Decoders of what things are made of, and of what people type: manifests, listings, names."""

from collections.abc import Callable
from pathlib import Path

from shoal.api.what import checked_what
from shoal.config import keys as secrets_of
from shoal.node.trees.plan import TreePlan
from shoal.node.trees.selection import Selection, check_pattern
from shoal.protocol import addresses, control, keys, listing, manifest, names
from shoal.protocol.errors import MalformedMessageError, OperatorError
from shoal.protocol.listing import Entry
from shoal.protocol.size_cutting import tree_cut

from tests.fuzz.decoder import Decoder, pure

SELECTIONS = (Selection(), Selection(exclude=("b*",)), Selection(inside="d1"), Selection(("*1",)))


def _manifests() -> tuple[bytes, ...]:
    file = manifest.of_file(manifest.PLAIN_MODE, [5, 5], bytes(64))
    long = manifest.of_file(manifest.EXECUTABLE_MODE, [1 << 20] * 300 + [7], bytes(32 * 301))
    tree = manifest.of_tree(12, [12, 30], bytes(64))
    return tuple(map(manifest.encode, (file, long, tree)))


def listings() -> tuple[bytes, ...]:
    few = [
        Entry("bin/digits", listing.LINK, target="../digits.txt"),
        Entry("bin/run", listing.EXECUTABLE, 5),
        Entry("digits.txt", listing.FILE, 10),
        Entry("old", listing.FOLDER),
    ]
    many = [Entry(f"d{number // 10:03}/f{number:04}", listing.FILE, 1) for number in range(300)]
    linked = [
        Entry("d1", listing.LINK, target="d2/a"),
        Entry("d2/a", listing.LINK, target="../d3"),
        Entry("d3/b", listing.LINK, target="../d2"),
        Entry("d3/c1", listing.FILE, 1 << 20),
    ]
    return tuple(map(listing.encode, ([], few, many, linked)))


def _plan(data: bytes) -> object:
    """Read a listing, and plan a fetch of all of its tree or of a part."""
    chosen, data = SELECTIONS[(data or b"\0")[0] % len(SELECTIONS)], data[1:]
    known = listing.decode(data)
    try:
        cut = tree_cut(len(data), known.sizes)
    except ValueError as error:  # More chunks than a manifest has.
        raise MalformedMessageError(str(error)) from None
    plan = TreePlan(manifest.of_tree(len(data), cut, bytes(32 * len(cut))), known, chosen)
    part = plan.part
    told = part and (part.lack, part.leads_out_of(part.inside))
    return told, plan.needed, *plan.chosen_files(), *plan.chosen_links(), *plan.chosen_folders()


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _name(data: bytes) -> object:
    text = _text(data)
    names.display(text)
    listing.respelled("a/b/c", text)
    return names.check_name(text)


def _address(data: bytes) -> object:
    text = _text(data)
    addresses.may_be_holder(text, ("tcp://10.0.0.1:12000",))
    return addresses.split(text)


def _pattern(data: bytes) -> object:
    text = _text(data)
    check_pattern(text)
    return Selection((text,)).chooses("a/b.txt")


def _listing_seeds() -> tuple[bytes, ...]:
    return tuple(bytes([which]) + one for one in listings() for which in range(len(SELECTIONS)))


def _key(data: bytes) -> object:
    is_secret = data.startswith(keys.SECRET[:6].encode())
    return (keys.secret_in if is_secret else keys.public_in)(_text(data))


CONTENTS: dict[str, Callable[[], Decoder]] = {
    "manifest": lambda: pure(
        _manifests(),
        manifest.decode,
        MalformedMessageError,
        most_bytes=manifest.MAX_MANIFEST_BYTES,
    ),
    "listing": lambda: pure(listings(), listing.decode, MalformedMessageError),
    "tree-plan": lambda: pure(_listing_seeds(), _plan, MalformedMessageError),
    "names": lambda: pure(
        (b"data/net.txt", "ü/é".encode()), _name, ValueError, most_bytes=2 * names.MAX_NAME_BYTES
    ),
    "keys": lambda: pure(
        (keys.public_text(bytes(32)).encode(), keys.secret_text(bytes(range(32))).encode()),
        _key,
        ValueError,
        most_bytes=1 << 12,
    ),
    "secret-file": lambda: pure(
        (b"# of n1\n" + keys.secret_text(bytes(32)).encode() + b"\n",),
        lambda data: secrets_of._secret_in(Path("n1.key"), data),
        OperatorError,
        most_bytes=secrets_of.MAX_FILE_BYTES,
    ),
    "what": lambda: pure(
        (b"data/net.txt", b"dir/", b"b3:" + b"0a" * 32),
        lambda data: checked_what(_text(data)),
        OperatorError,
        most_bytes=2 * names.MAX_NAME_BYTES,
    ),
    "addresses": lambda: pure(
        (b"tcp://10.0.0.1:11001", b"tcp://[::1]:11001", b"tcp://h.example:11001"),
        _address,
        ValueError,
        most_bytes=2 * names.MAX_NAME_BYTES,
    ),
    "patterns": lambda: pure(
        (b"*.txt", b"/d/**/x", b"!a[0-9]?", b"a/"),
        _pattern,
        ValueError,
        most_bytes=control.MAX_PATTERN_CHARACTERS,
    ),
}
