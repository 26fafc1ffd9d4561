"""The codec against bytes that are meant to break it."""

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol import codec, messages
from shoal.protocol.errors import MalformedMessageError

MIB = 1 << 20
EMPTY_MAP = b"\x80"

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


class Shelf(msgspec.Struct, frozen=True):
    """Something to convert to."""

    count: int
    data: bytes = b""


def unpack_plain(data: bytes, max_bytes: int = messages.MAX_REQUEST_BYTES) -> object:
    return codec.unpack_plain(data, max_bytes, messages.MAX_ITEMS)


def array_header(count: int) -> bytes:
    return b"\xdd" + struct.pack(">I", count)


@contextmanager
def allocating_at_most(limit_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes <= limit_bytes


@given(PLAIN)
def test_plain_data_survives(plain: object) -> None:
    assert unpack_plain(codec.pack(plain)) == plain


MALFORMED = {
    "empty": b"",
    "map cut short": b"\x82\xa1a\x01",
    "text cut short": b"\xa5net",
    "number cut short": b"\xcf\x00\x00",
    "bytes after it": b"\x80\x80",
    "reserved byte": b"\xc1",
    "reserved byte inside": b"\x81\xa1a\xc1",
    "invalid UTF-8": b"\xa2\xc3\x28",
    "overlong UTF-8": b"\xa2\xc0\xaf",
    "surrogate in UTF-8": b"\xa3\xed\xa0\x80",
    "number as key": b"\x81\x01\x01",
    "array as key": b"\x81\x90\x01",
    "key twice": b"\x82\xa1a\x01\xa1a\x01",
    "key twice inside": b"\x91\x82\xa1a\x01\xa1a\x02",
    "extension": b"\xc7\x01\x05x",
    "extension of no bytes": b"\xc7\x00\x05",
    "fixed extension": b"\xd4\x05x",
    "timestamp": msgpack.packb(msgpack.Timestamp(1, 0)),
    "text that claims 4 GiB": b"\xdb\xff\xff\xff\xffx",
    "bytes that claim 4 GiB": b"\xc6\xff\xff\xff\xffx",
    "array that claims 4 Gi items": array_header(2**32 - 1),
    "map that claims 4 Gi items": b"\xdf\xff\xff\xff\xff",
    "array of one item too many": array_header(4097) + b"\x00" * 4097,
    "map of one item too many": msgpack.packb(dict.fromkeys(map(str, range(4097)))),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_refuses(case: str) -> None:
    with pytest.raises(MalformedMessageError), allocating_at_most(MIB):
        unpack_plain(MALFORMED[case])


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    try:
        unpack_plain(data)
    except MalformedMessageError:
        return


@given(PLAIN.map(codec.pack), st.data())
def test_mangled_bytes_raise_nothing_else(packed: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(packed)))
    cut = data.draw(st.integers(0, 4))
    try:
        unpack_plain(packed[:at] + data.draw(st.binary(max_size=4)) + packed[at + cut :])
    except MalformedMessageError:
        return


@pytest.mark.parametrize("depth", [1, 10, 1000, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("one", [b"\x91", b"\x81\xa1a"])
def test_any_depth_is_read_or_refused(depth: int, one: bytes) -> None:
    with allocating_at_most(MIB):
        try:
            unpack_plain(one * depth + b"\x00")
        except MalformedMessageError:
            assert depth > 1000


def test_refuses_more_bytes_than_allowed() -> None:
    assert unpack_plain(b"\xa3net", max_bytes=4) == "net"
    with pytest.raises(MalformedMessageError, match="at most 4 are allowed"):
        unpack_plain(b"\xa4nets", max_bytes=4)


HEADERS = {
    "arrays": array_header(messages.MAX_ITEMS),
    "maps": b"\xdf" + struct.pack(">I", messages.MAX_ITEMS),
    "maps with a key": b"\xde" + struct.pack(">H", messages.MAX_ITEMS) + b"\xa0",
}


@pytest.mark.parametrize("case", HEADERS)
@pytest.mark.parametrize("depth", [1000, 5000])
def test_nested_headers_cost_only_the_depth_times_the_items(case: str, depth: int) -> None:
    with pytest.raises(MalformedMessageError), allocating_at_most(33 * MIB):
        unpack_plain(HEADERS[case] * depth)


def full_of(value: bytes, size_bytes: int) -> bytes:
    """Return at most `size_bytes` of arrays that are as full of `value` as is allowed."""
    array = array_header(messages.MAX_ITEMS) + value * messages.MAX_ITEMS
    count = size_bytes // len(array)
    return array_header(count) + array * count


@pytest.mark.parametrize("value", [EMPTY_MAP, b"\x90", b"\x81\xa1a\x80", b"\xa2ab", b"\xc4\x01a"])
def test_a_full_request_is_refused_before_it_takes_4_mib(value: bytes) -> None:
    with pytest.raises(MalformedMessageError, match="values"), allocating_at_most(4 * MIB):
        unpack_plain(full_of(value, messages.MAX_REQUEST_BYTES))


@pytest.mark.parametrize("value", [EMPTY_MAP, b"\x90", b"\x81\xa1a\x80", b"\xa2ab", b"\xc4\x01a"])
def test_a_full_reply_is_refused_before_it_takes_32_mib(value: bytes) -> None:
    with pytest.raises(MalformedMessageError, match="values"), allocating_at_most(32 * MIB):
        unpack_plain(full_of(value, messages.MAX_REPLY_BYTES), messages.MAX_REPLY_BYTES)


def with_values(count: int) -> bytes:
    """Return an array of full maps and an array of nils, which hold `count` values in all."""
    full = msgpack.packb(dict.fromkeys(map(str, range(messages.MAX_ITEMS))))
    maps, rest = divmod(count - 1, messages.MAX_ITEMS + 1)
    data: bytes = array_header(maps + 1) + full * maps + array_header(rest) + b"\xc0" * rest
    return data


def test_counts_the_values_at_all_depths() -> None:
    assert unpack_plain(with_values(codec.MAX_VALUES), messages.MAX_REPLY_BYTES)
    with pytest.raises(MalformedMessageError, match="values"):
        unpack_plain(with_values(codec.MAX_VALUES + 1), messages.MAX_REPLY_BYTES)


def refuses_to_convert(plain: object) -> bool:
    try:
        codec.unpack(codec.pack(plain), Shelf, 1000, 10)
    except MalformedMessageError:
        return True
    return False


@pytest.mark.parametrize(
    "count", [True, 1.0, float("nan"), float("inf"), "1", b"1", None, [1], {"count": 1}]
)
def test_converts_nothing_to_a_number(count: object) -> None:
    assert refuses_to_convert({"count": count})


@pytest.mark.parametrize("data", ["QUJD", "", 1, None, [65]])
def test_converts_nothing_to_bytes(data: object) -> None:
    assert refuses_to_convert({"count": 1, "data": data})


@pytest.mark.parametrize("plain", [None, 1, "x", [], [1, b""], {}, {"data": b""}])
def test_refuses_another_shape(plain: object) -> None:
    assert refuses_to_convert(plain)


def test_ignores_unknown_keys() -> None:
    packed = codec.pack({"count": 1, "colour": {"deep": [1, 2]}})
    assert codec.unpack(packed, Shelf, 1000, 10) == Shelf(1)


@pytest.mark.parametrize(
    "raising",
    [
        lambda: codec.unpack(b"\xc1", Shelf, 1000, 10),
        lambda: codec.convert({"count": "b3:secret"}, Shelf),
    ],
)
def test_says_what_is_wrong_without_the_peers_own_words(raising: Callable[[], object]) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        raising()
    assert caught.value.args[0]
    assert "secret" not in str(caught.value)


def test_what_is_as_we_write_it_is_read_and_nothing_else_is() -> None:
    written = codec.pack({"number": 7})
    assert codec.as_written(written, dict[str, int], codec.pack) == {"number": 7}
    for data in (
        b"\x82" + 2 * written[1:],  # The key stands twice.
        written[:-1] + b"\xcc\x07",  # A number that is longer than it need be.
        written[:-1] + b"\xa1x",  # A text in its place.
        written.replace(b"n", b"\xff"),  # No text at all.
        written[:-1],
        b"\x91" * 5000,
    ):
        assert codec.as_written(data, dict[str, int], codec.pack) is None
