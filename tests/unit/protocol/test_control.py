"""Orders and reports: all of them survive the local socket."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol import control, messages
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.message import Message

from tests.unit.protocol.test_messages import all_of

UNIONS: dict[str, Any] = {"order": control.Order, "report": control.Report}
EACH = [(way, kind) for way, union in UNIONS.items() for kind in get_args(union)]


@pytest.mark.parametrize(("way", "kind"), EACH)
@given(data=st.data())
def test_survives_the_socket(way: str, kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(all_of(kind))
    assert messages.decode(messages.encode(message), UNIONS[way]) == message


@given(st.binary(max_size=500))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for union in UNIONS.values():
        with pytest.raises(MalformedMessageError):
            messages.decode(data, union)
