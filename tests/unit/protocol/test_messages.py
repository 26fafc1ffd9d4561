"""Messages: all of them survive the wire; what is forged, missing or from the future is refused."""

import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol import codec, control, fields, messages, names, pushing, rates
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from shoal.protocol.message import Message

UNIONS: dict[str, Any] = {
    "to the tracker": messages.TrackerRequest,
    "from the tracker": messages.TrackerReply,
    "to a node": messages.NodeRequest,
    "from a node": messages.NodeReply,
}
EACH = [(way, kind) for way, union in UNIONS.items() for kind in get_args(union)]
AN_ID = f"b3:{'0a' * 32}"

NAMES = st.from_regex(r"[^\x00-\x1f\x7f-\x9f/\\.:]{1,20}", fullmatch=True)
IDS = st.binary(min_size=32, max_size=32).map(lambda digest: f"b3:{digest.hex()}")
FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    fields.Node: st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    fields.Address: st.integers(1, 65535).map(lambda port: f"tcp://10.0.0.1:{port}"),
    fields.Id: IDS,
    fields.What: NAMES,
    control.Pattern: NAMES,
    fields.Count: st.integers(0, 2**53),
    fields.Index: st.integers(0, 32_767),
    fields.Have: st.binary(max_size=4096),
    fields.Text: st.text(max_size=100),
    fields.Number: st.integers(0, fields.MAX_NUMBER),
    fields.Prefix: st.text("0123456789abcdef", max_size=64),
    fields.Token: st.text("0123456789abcdefZ_-", max_size=64),
    pushing.Zone: st.text("abc, -é", min_size=1, max_size=64),
    pushing.Reason: st.text(max_size=200),
    pushing.Version: st.text(max_size=40),
    fields.Rate: st.integers(rates.LEAST, rates.MOST),
    WireCode: st.sampled_from(WireCode),
    control.Reader: st.text("0123456789abcdef", min_size=32, max_size=32),
    bool: st.booleans(),
    bytes: st.binary(max_size=100),
    str: st.text(max_size=100),
    int: st.integers(1, 255),
    float: st.floats(0, 1e9),
}


def drawn(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of one field."""
    if hint in FIELDS:
        return FIELDS[hint]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return all_of(hint)
    parts = get_args(hint)
    if get_origin(hint) in {types.UnionType, typing.Union}:
        return st.one_of(*(st.none() if part is type(None) else drawn(part) for part in parts))
    made: dict[Any, Callable[[], st.SearchStrategy[Any]]] = {
        Annotated: lambda: drawn(parts[0]),
        Literal: lambda: st.sampled_from(parts),
        tuple: lambda: (
            st.lists(drawn(parts[0]), min_size=1, max_size=3).map(tuple)
            if parts[-1] is Ellipsis
            else st.tuples(*map(drawn, parts))
        ),
        dict: lambda: st.dictionaries(*map(drawn, parts), max_size=3),
    }
    return made[get_origin(hint)]()


def all_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{field: drawn(hints[field]) for field in kind.__struct_fields__})


def plain(kind: type[Message], **changed: Any) -> dict[str, Any]:
    """Return the keys and values that a message of that kind needs, but for what is changed."""
    needed: dict[Any, Any] = {
        fields.Node: "n1",
        fields.Address: "tcp://10.0.0.1:11001",
        fields.Id: AN_ID,
        fields.What: "net.txt",
        WireCode: 404,
        fields.Text: "no such file",
        fields.Have: b"",
    }
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {"v": messages.VERSION, "type": kind.__struct_config__.tag}
    for field in msgspec.structs.fields(kind):
        if field.required:
            hint = hints[field.name]
            values[field.name] = needed.get(hint, [1] if get_origin(hint) is Annotated else [])
            if hint in {fields.Count, fields.Index}:
                values[field.name] = 1
            if type(None) in get_args(hint):
                values[field.name] = None
    return values | changed


def decode(way: str, values: object) -> Any:
    return messages.decode(codec.pack(values), UNIONS[way])


def test_each_type_of_message_has_a_way() -> None:
    defined = {
        kind
        for module in (messages, pushing)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Message) and kind is not Message
    }
    assert {kind for _, kind in EACH} == defined


@pytest.mark.parametrize(("way", "kind"), EACH)
@given(data=st.data())
def test_survives_the_wire(way: str, kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(all_of(kind))
    assert messages.decode(messages.encode(message), UNIONS[way]) == message
    plain_data = msgspec.to_builtins(message, builtin_types=(bytes,))
    assert messages.encode(message) == codec.pack({"v": messages.VERSION, **plain_data})


@pytest.mark.parametrize(("way", "kind"), EACH)
def test_ignores_unknown_keys(way: str, kind: type[Message]) -> None:
    message = decode(way, plain(kind))
    assert type(message) is kind
    assert decode(way, plain(kind, colour="green", deep={"er": [1, {}]})) == message


@pytest.mark.parametrize(("way", "kind"), EACH)
def test_refuses_missing_keys(way: str, kind: type[Message]) -> None:
    for field in plain(kind):
        values = plain(kind)
        del values[field]
        with pytest.raises(MalformedMessageError):
            decode(way, values)


LENIENT = {pushing.Target, pushing.Doing | None}  # All keys have defaults; others are ignored.


@pytest.mark.parametrize(("way", "kind"), EACH)
@pytest.mark.parametrize("wrong", [1.5, float("nan"), -1, 2**64 - 1, True, b"\xff", [[]], {"a": 1}])
def test_refuses_wrong_values(way: str, kind: type[Message], wrong: object) -> None:
    for field in msgspec.structs.fields(kind):
        if isinstance(wrong, bool) and field.type is bool:
            continue
        if isinstance(wrong, bytes) and field.type == fields.Have:
            continue
        if isinstance(wrong, dict) and field.type in {dict[str, int], *LENIENT}:
            continue
        with pytest.raises(MalformedMessageError):
            decode(way, plain(kind, **{field.name: wrong}))


@pytest.mark.parametrize(("way", "kind"), EACH)
@pytest.mark.parametrize(
    "changed", [{"v": -1}, {"v": 3}, {"v": 2**64 - 1}, {"v": 0}, {"type": "sing"}]
)
def test_knows_what_it_does_not_support(
    way: str, kind: type[Message], changed: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedMessageError):
        decode(way, plain(kind) | changed)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        1,
        "query",
        {},
        {"v": 2},
        {"type": "query", "what": "net.txt"},
        {"v": True, "type": "query", "what": "net.txt"},
        {"v": 2.0, "type": "query", "what": "net.txt"},
        {"v": "2", "type": "query", "what": "net.txt"},
        {"v": 2, "type": 1, "what": "net.txt"},
        {"v": 2, "type": b"query", "what": "net.txt"},
        {"v": 2, "type": ["query"], "what": "net.txt"},
        [1, "query", "net.txt"],
    ],
)
def test_rejects_malformed_messages(values: object) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        decode("to the tracker", values)
    assert not isinstance(caught.value, UnsupportedMessageError)


@pytest.mark.parametrize(("way", "kind"), EACH)
def test_understands_version_1(way: str, kind: type[Message]) -> None:
    values = plain(kind) | {"v": 1}
    if kind is messages.ChunkRequest:
        values |= {"offered": [values.pop("index"), 7]}
    assert decode(way, values) == decode(way, plain(kind))


@pytest.mark.parametrize("offered", [None, [], 1, ["1"], [-1]])
def test_a_chunk_request_of_version_1_offers_a_chunk(offered: object) -> None:
    values = plain(messages.ChunkRequest) | {"v": 1, "offered": offered}
    del values["index"]
    with pytest.raises(MalformedMessageError):
        decode("to a node", values)


def test_a_reply_is_no_request() -> None:
    with pytest.raises(UnsupportedMessageError):
        decode("to the tracker", plain(messages.Ok))
    with pytest.raises(UnsupportedMessageError):
        decode("to a node", plain(messages.Query))


def holding(**fields: Any) -> dict[str, Any]:
    return {"name": "net.txt", "id": AN_ID, "size_bytes": 174} | fields


OUT_OF_BOUNDS: dict[str, tuple[type[Message], dict[str, Any]]] = {
    "name that climbs": (messages.Query, {"what": "../net.txt"}),
    "name with an escape": (messages.Query, {"what": "\x1b[2J"}),
    "name that is too long": (messages.Query, {"what": "n" * 100_000}),
    "no name": (messages.Query, {"what": ""}),
    "node with a space": (messages.Query, {"node": "n 1"}),
    "node with a newline": (messages.Query, {"node": "n1\n"}),
    "node that is too long": (messages.Query, {"node": "n" * 65}),
    "no node": (messages.Renew, {"node": ""}),
    "address of another transport": (messages.Update, {"address": "ipc:///tmp/socket"}),
    "address without a port": (messages.Update, {"address": "tcp://10.0.0.1"}),
    "address with an escape": (messages.TrackerStatus, {"address": "tcp://\x1b[2J:11001"}),
    "port out of range": (messages.Update, {"address": "tcp://10.0.0.1:65536"}),
    "epoch out of range": (messages.Update, {"epoch": 2**53 + 1}),
    "holding by id": (messages.Update, {"holdings": [holding(name=AN_ID)]}),
    "holding that climbs": (messages.Update, {"holdings": [holding(name="../net.txt")]}),
    "holding of negative size": (messages.Update, {"holdings": [holding(size_bytes=-1)]}),
    "upper-case id": (messages.Update, {"holdings": [holding(id=AN_ID.upper())]}),
    "id cut short": (messages.Update, {"holdings": [holding(id=AN_ID[:19])]}),
    "id of another kind": (messages.Update, {"holdings": [holding(id="sha256:" + "0" * 64)]}),
    "too many holdings": (messages.Update, {"holdings": [holding()] * 501}),
    "too many withdrawn": (messages.Update, {"withdrawn": [holding()] * 501}),
    "several chunks": (messages.ChunkRequest, {"index": [1]}),
    "negative index": (messages.ChunkRequest, {"index": -1}),
    "index out of range": (messages.ChunkRequest, {"index": 32_768}),
    "float as index": (messages.ChunkRequest, {"index": 1.0}),
    "bool as index": (messages.ChunkRequest, {"index": True}),
    "bitmap that is too long": (messages.ChunkRequest, {"have": bytes(4097)}),
    "bitmap as text": (messages.Nothing, {"have": "QUJD"}),
    "unknown code": (messages.Error, {"code": 200}),
    "text that is too long": (messages.Error, {"message": "x" * 4097}),
}


@pytest.mark.parametrize("case", OUT_OF_BOUNDS)
def test_refuses(case: str) -> None:
    kind, fields = OUT_OF_BOUNDS[case]
    (way,) = [way for way, kinds in UNIONS.items() if kind in get_args(kinds)][:1]
    with pytest.raises(MalformedMessageError) as caught:
        decode(way, plain(kind, **fields))
    assert not isinstance(caught.value, UnsupportedMessageError)


@given(st.binary(max_size=500))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for union in UNIONS.values():
        with pytest.raises(MalformedMessageError):
            messages.decode(data, union)


@given(st.sampled_from(EACH), st.data())
def test_mangled_messages_raise_nothing_else(
    each: tuple[str, type[Message]], data: st.DataObject
) -> None:
    way, kind = each
    packed = messages.encode(data.draw(all_of(kind)))
    at = data.draw(st.integers(0, len(packed)))
    cut = data.draw(st.integers(0, 3))
    try:
        decoded = packed[:at] + data.draw(st.binary(max_size=3)) + packed[at + cut :]
        messages.decode(decoded, UNIONS[way])
    except MalformedMessageError:
        return


def test_a_full_update_fits_in_one_request() -> None:
    name = names.check_name("n" * 240)
    each = messages.Holding(
        name, AN_ID, 2**41, version=fields.MAX_NUMBER, publisher="n" * 64, claims=True
    )
    update = messages.Update(
        "n" * 64, f"tcp://{'h' * 253}:65535", 2**53, 2**53, (each,) * messages.MAX_UPDATE_HOLDINGS
    )
    assert len(messages.encode(update)) <= messages.MAX_REQUEST_BYTES


def test_a_full_chunk_request_fits_in_one_request() -> None:
    request = messages.ChunkRequest(AN_ID, 32_767, "n" * 64, bytes(4096), 2**53)
    assert len(messages.encode(request)) <= messages.MAX_CHUNK_REQUEST_BYTES


def test_refuses_a_message_that_is_too_long() -> None:
    packed = codec.pack(plain(messages.List, padding=b"\x00" * messages.MAX_REQUEST_BYTES))
    with pytest.raises(MalformedMessageError, match="at most"):
        messages.decode(packed, messages.TrackerRequest, messages.MAX_REQUEST_BYTES)
    assert messages.decode(packed, messages.TrackerRequest) == messages.List()


@pytest.mark.parametrize("keys", [-1, 1])
def test_one_key_more_or_less_than_it_says_is_refused(keys: int) -> None:
    written = messages.encode(messages.ChunkRequest(AN_ID, 1, "n1", b"\1", 2000))
    with pytest.raises(MalformedMessageError):
        messages.decode(bytes([written[0] + keys]) + written[1:], messages.NodeRequest)


def test_a_key_that_stands_twice_is_refused_though_it_begins_as_we_write_it() -> None:
    written = messages.encode(messages.Nothing(b"\1"))
    twice = bytes([written[0] + 1]) + written[1:] + codec.pack("have") + codec.pack(b"\2")
    with pytest.raises(MalformedMessageError, match="duplicate key"):
        messages.decode(twice, messages.NodeReply)


@pytest.mark.parametrize(("way", "kind"), EACH)
@given(data=st.data())
def test_reads_alike_what_we_write_and_what_others_do(
    way: str, kind: type[Message], data: st.DataObject
) -> None:
    message = data.draw(all_of(kind))
    plain_data = msgspec.to_builtins(message, builtin_types=(bytes,))
    in_another_order = dict(reversed(plain_data.items())) | {"v": messages.VERSION, "more": [1]}
    assert decode(way, in_another_order) == message


def test_text_that_is_no_text_is_refused_though_it_begins_as_we_write_it() -> None:
    written = messages.encode(messages.Error(WireCode.BUSY, "full"))
    with pytest.raises(MalformedMessageError):
        messages.decode(written.replace(b"full", b"\xff" * 4), messages.NodeReply)
