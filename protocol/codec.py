"""Bytes to checked values and back, with a limit on everything. Knows no message by name.

Decoding raises nothing but MalformedMessageError, whatever the bytes (docs/build/protocol.md).
"""

import functools
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import msgspec
from shoal.protocol.errors import MalformedMessageError

T = TypeVar("T")

OWN_BYTES = 8 << 10  # Data up to this size is first read as if shoal had written it (`as_written`).
REQUEST_BYTES = 256 << 10  # In data of up to this size, which strangers may send, …
MAX_REQUEST_VALUES = 1 << 14  # … so many values: one costs 0.1 us. The largest update has 7,000.
MAX_VALUES = 1 << 18  # In one message, at all depths: as one-key maps they take 24 MiB.


def pack(value: Any) -> bytes:
    """Return the msgpack of `value`, a msgspec Struct or plain data."""
    packed = msgpack.packb(msgspec.to_builtins(value, builtin_types=(bytes,)))
    assert isinstance(packed, bytes)
    return packed


def unpack(data: bytes, expected: type[T], max_bytes: int, max_items: int) -> T:
    """Return the `expected` value that `data` holds.

    Args:
        data: msgpack.
        expected: a msgspec Struct, or anything that `msgspec.convert` takes.
        max_bytes: the most that the whole, or one string in it, may have.
        max_items: the most that one array or map in it may have. An array is allocated when its
            header is read, so nested headers cost depth (1024 at most) x max_items x 8 bytes.

    Raises:
        MalformedMessageError: too long, not msgpack, a key twice, an extension, or not of the
            expected shape.
    """
    return convert(unpack_plain(data, max_bytes, max_items), expected)


def unpack_plain(data: bytes, max_bytes: int, max_items: int) -> Any:
    """Return the plain data that `data` holds; takes and raises what `unpack` does."""
    if len(data) > max_bytes:
        raise MalformedMessageError(f"{len(data)} bytes, at most {max_bytes} are allowed")
    values = _Values(MAX_REQUEST_VALUES if max_bytes <= REQUEST_BYTES else MAX_VALUES)
    try:
        return msgpack.unpackb(
            data,
            object_pairs_hook=values.mapping,
            list_hook=values.array,
            ext_hook=_refuse_extension,
            max_str_len=max_bytes,
            max_bin_len=max_bytes,
            max_array_len=max_items,
            max_map_len=max_items,
            max_ext_len=0,
        )
    except MalformedMessageError:
        raise
    except (ValueError, msgpack.UnpackException, RecursionError, MemoryError) as error:
        raise MalformedMessageError(f"not msgpack: {type(error).__name__}") from None


def convert(plain: Any, expected: type[T]) -> T:
    """Return plain data as an `expected` value; raises as `unpack` does."""
    try:
        # Without `builtin_types`, text would be read as base64 where bytes are expected.
        return msgspec.convert(plain, expected, builtin_types=(bytes,))
    except (msgspec.ValidationError, RecursionError) as error:
        raise MalformedMessageError(str(error)) from None


def as_written(data: bytes, expected: Any, write: Callable[[Any], bytes]) -> Any:
    """Return the `expected` value that `data` holds if `write` gives just these bytes, else None.

    Then no key stands twice and nothing is unknown: it is what `unpack` returns, in a third of the
    time. For data of up to OWN_BYTES, as it limits nothing else.
    """
    try:
        value = _decoder_of(expected).decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # Invalid UTF-8 is a ValueError.
        return None
    return value if write(value) == data else None


@functools.cache
def _decoder_of(expected: Any) -> "msgspec.msgpack.Decoder[Any]":
    return msgspec.msgpack.Decoder(expected)


class _Values:
    """Counts the values in one message: 4 MiB of empty maps would take 290 MiB."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def mapping(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        self._add(len(pairs))
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            raise MalformedMessageError("duplicate key")
        return mapping

    def array(self, items: list[Any]) -> list[Any]:
        self._add(len(items))
        return items

    def _add(self, count: int) -> None:
        self._count += count
        if self._count > self._most:
            raise MalformedMessageError(f"more than {self._most} values")


def _refuse_extension(*_: object) -> NoReturn:  # `max_ext_len=0` lets empty ones through.
    raise MalformedMessageError("a msgpack extension")
