"""A context for each test, which must be empty in the end."""

from collections.abc import Iterator

import pytest
import zmq


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    left_open = [sock for sock in context._sockets if not sock.closed]
    context.destroy(linger=0)
    assert not left_open
