"""A message of each kind, to begin from."""

import types
import typing
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from shoal.protocol import control, fields, messages
from shoal.protocol.errors import WireCode

AN_ID = f"b3:{'0a' * 32}"
PLAIN: dict[Any, Any] = {
    fields.Node: "n1",
    fields.Address: "tcp://10.0.0.1:11001",
    fields.Id: AN_ID,
    fields.What: "net.txt",
    fields.Prefix: "0a",
    fields.Rate: 10_000_000,
    control.Reader: "0a" * 16,
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
    return [_value(part) for part in parts if part is not Ellipsis]
