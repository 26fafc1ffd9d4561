"""The HTTP port with real visitors: ordinary ones, slow ones, many, and those who talk nonsense."""

import contextlib
import logging
import os
import re
import resource
import socket
import threading
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.wire import http_port
from shoal.wire.http_port import MOST_HEAD_BYTES, MOST_VISITORS, HttpPort, Reply

from tests.unit.wire.places import LIMIT_S, eventually

LONG = os.urandom(20 << 20)  # More than the buffers of a connection.


def answer(path: str, accepted: str) -> Reply:
    if path == "/bug":
        raise ValueError(path)
    return Reply(200, LONG if path == "/long" else f"{path} {accepted}".encode())


@contextlib.contextmanager
def a_port() -> Iterator[int]:
    served = HttpPort(answer)
    try:
        yield served.open("127.0.0.1", 0)
    finally:
        served.close()


@pytest.fixture
def port() -> Iterator[int]:
    with a_port() as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), LIMIT_S)


def said(visitor: socket.socket) -> bytes:
    """Return all that comes until the end."""
    parts = []
    while part := visitor.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def ask(port: int, text: bytes) -> bytes:
    with connect(port) as visitor:
        visitor.sendall(text)
        return said(visitor)


def is_served(port: int) -> bool:
    return ask(port, b"GET /x HTTP/1.0\r\n\r\n").endswith(b"/x ")


def test_answers_an_ordinary_client(port: int) -> None:
    with urlopen(f"http://127.0.0.1:{port}/a?b=c", timeout=LIMIT_S) as reply:
        assert (reply.status, reply.read()) == (200, b"/a ")
        assert reply.headers["Content-Length"] == "3"


def test_serves_ipv6_too() -> None:
    served = HttpPort(answer)
    try:
        number = served.open("::1", 0)
        with socket.create_connection(("::1", number), LIMIT_S) as visitor:
            visitor.sendall(b"GET /6 HTTP/1.1\r\n\r\n")
            assert said(visitor).endswith(b"/6 ")
    finally:
        served.close()


def test_passes_on_what_is_accepted(port: int) -> None:
    head = b"GET /a HTTP/1.1\r\nHost: x\r\naccept: text/plain\r\nAccept: b\r\n\r\n"
    assert ask(port, head).endswith(b"\r\n\r\n/a text/plain,b")


def test_sends_the_head_alone_to_whom_that_is_enough(port: int) -> None:
    reply = ask(port, b"HEAD /abc HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 5\r\n" in reply
    assert reply.endswith(b"\r\n\r\n")


def test_a_request_may_come_byte_by_byte(port: int) -> None:
    with connect(port) as visitor:
        for each in b"GET /slow HTTP/1.1\r\n\r\n":
            visitor.send(bytes([each]))
        assert said(visitor).endswith(b"/slow ")


def test_a_long_answer_arrives_whole(port: int) -> None:
    assert ask(port, b"GET /long HTTP/1.1\r\n\r\n").endswith(LONG)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", 405),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xa5\r\n\r\n", 400),
        (b"\xff\r\n\r\n", 400),
        (b"x" * (MOST_HEAD_BYTES + 1), 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_refuses_what_is_no_request_for_figures(port: int, text: bytes, status: int) -> None:
    assert ask(port, text).startswith(b"HTTP/1.1 %d " % status)
    assert is_served(port)


def test_a_bug_costs_one_answer(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "shoal.http"):
        assert ask(port, b"GET /bug HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 500 ")
    assert "a bug in answering /bug" in caplog.text
    assert is_served(port)


def test_those_who_say_nothing_do_not_keep_others_out(port: int) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(port)) for _ in range(MOST_VISITORS)]
        assert is_served(port)
        assert said(idle[0]) == b""  # It had to go for the last one.


def test_who_takes_too_long_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_port, "PATIENCE_S", 0.05)
    served = HttpPort(answer)
    port = served.open("127.0.0.1", 0)
    with connect(port) as silent:
        assert said(silent) == b""
        monkeypatch.setattr(http_port, "PATIENCE_S", 1.0)
        with connect(port) as deaf:
            deaf.sendall(b"GET /long HTTP/1.1\r\n\r\n")
            eventually(lambda: any(one.is_answered for one in list(served._visitors.values())))
            eventually(lambda: not served._visitors)  # Before it reads anything.
            with contextlib.suppress(ConnectionError):
                assert len(said(deaf)) < len(LONG)
        assert is_served(port)
    served.close()


def test_who_goes_on_talking_after_the_answer_is_dropped(port: int) -> None:
    with connect(port) as visitor:
        visitor.sendall(b"GET /x HTTP/1.1\r\n\r\n")

        def is_over() -> bool:
            try:
                visitor.sendall(b"x" * (64 << 10))
            except ConnectionError:
                return True
            return False

        eventually(is_over)
    assert is_served(port)


def test_who_leaves_before_the_answer_costs_nothing(port: int) -> None:
    for _ in range(3):
        with connect(port) as visitor:
            visitor.sendall(b"GET /long HTTP/1.1\r\n\r\n")
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert is_served(port)


def test_of_many_at_once_some_wait_and_all_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_port, "MOST_PER_S", 3)
    with a_port() as port:
        assert all(is_served(port) for _ in range(7))


def test_goes_on_when_descriptors_are_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_port, "PAUSE_S", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with a_port() as port, connect(port) as first:
        first.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        assert said(first).endswith(b"/x ")
        with socket.socket() as later:
            later.settimeout(LIMIT_S)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            later.connect(("127.0.0.1", port))
            later.sendall(b"GET /later HTTP/1.1\r\n\r\n")
            timer = threading.Timer(0.2, resource.setrlimit, (resource.RLIMIT_NOFILE, (soft, hard)))
            timer.start()
            try:
                assert said(later).endswith(b"/later ")
            finally:
                timer.join()


def test_says_that_the_port_is_taken(port: int) -> None:
    second = HttpPort(answer)
    with pytest.raises(OSError, match="in use"):
        second.open("127.0.0.1", port)
    second.close()


@given(st.binary(max_size=200) | st.from_regex(rb"(GET|HEAD) /\S* HTTP/1\.1(\r\nAccept: .*)?"))
def test_whatever_is_sent_is_answered(text: bytes) -> None:
    with a_port() as port:
        reply = ask(port, text + b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 (200 OK|400 Bad Request|405 Method Not Allowed)\r\n", reply)
