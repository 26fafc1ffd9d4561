"""Inputs that the decoders accept, to begin from: made by shoal's own code."""

import tempfile
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from shoal.broker.sqlite_store import SqliteStore
from shoal.node.files.signature import Signature
from shoal.node.folder.cache import Cache
from shoal.node.folder.rules import Damage, Rule, Rules
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.titles import Title

from tests.unit.broker.test_sqlite_store import EVERYTHING

ROOT = Path(__file__).parents[2]
SIGNATURE = Signature(10, 1, 2, 0o644)
AN_ID = f"b3:{'0a' * 32}"
PLAIN: dict[Any, Any] = {
    messages.Node: "n1",
    messages.Address: "tcp://10.0.0.1:11001",
    messages.Id: AN_ID,
    messages.What: "net.txt",
    messages.Prefix: "0a",
    WireCode: 404,
    bool: True,
    str: "text",
    bytes: b"\x07",
    int: 1,
    float: 0.5,
}


def each_of(union: Any) -> list[dict[str, Any]]:
    """Return a message of each kind of the union as plain data, with a value for each key."""
    return [
        {"v": messages.VERSION, "type": kind.__struct_config__.tag, **_fields(kind)}
        for kind in _kinds(union)
    ]


def _kinds(union: Any) -> list[type[msgspec.Struct]]:
    return [kind for part in get_args(union) for kind in (_kinds(part) or [part])]


def _fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field: _value(hints[field]) for field in kind.__struct_fields__}


def _value(hint: Any) -> Any:
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _fields(hint)
    parts = get_args(hint)
    origin = get_origin(hint)
    if origin in {types.UnionType, typing.Union, Annotated}:
        return _value(parts[0])
    if origin is Literal:
        return parts[0]
    if origin is dict:
        return {_value(parts[0]): _value(parts[1])}
    assert origin is tuple, hint
    return [_value(parts[0])]


def cluster_files() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((ROOT / "config").glob("*.yaml")))


def rules() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        kept = Rules(Path(folder))
        kept.set("a.bin", Rule("its bytes have rotted", damage=Damage(AN_ID, "1 2", 3, 1)))
        kept.set("photos", Rule(include=("*.jpg",), exclude=("/raw",), follow_links=True))
        return ((Path(folder) / "rules.json").read_bytes(),)


def caches() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.db"
        cache = Cache(path)
        cache.remember("a.bin", SIGNATURE, b"manifest")
        cache.entitle("a.bin", Title(AN_ID, 3, "n1"))
        cache.next_epoch()
        cache.close()
        return (path.read_bytes(),)


def tracker_files() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.db"
        store = SqliteStore(path)
        store.load()
        store.apply(EVERYTHING)
        store.close()
        return (path.read_bytes(),)
