"""What `shoal dashboard` needs before it can serve."""

import importlib.util
import socket

import pytest
from shoal.commands import dashboard
from shoal.protocol.errors import OperatorError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        (" localhost:0 ", ("localhost", 0)),
        ("[::1]:8080", ("::1", 8080)),
    ],
)
def test_reads_a_place(text: str, expected: tuple[str, int]) -> None:
    assert dashboard.place_in(text) == expected


@pytest.mark.parametrize("text", ["", "8080", ":8080", "a:b", "h:65536", "tcp://h:80", "::1:80"])
def test_a_place_has_one_form(text: str) -> None:
    with pytest.raises(OperatorError, match=r"expected HOST:PORT, as in 127\.0\.0\.1:8080"):
        dashboard.place_in(text)


def test_says_that_a_port_is_taken() -> None:
    with dashboard.bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError, match=rf"127\.0\.0\.1:{port}/: Address already in use; "):
            dashboard.bound("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("203.0.113.1", "Cannot assign"), ("no-such-host.invalid", "address of this machine")],
)
def test_says_that_an_address_is_not_ours(host: str, reason: str) -> None:
    with pytest.raises(OperatorError, match=reason):
        dashboard.bound(host, 8080)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_ipv6_address_is_in_brackets() -> None:
    assert dashboard.url_of("::1", 80) == "http://[::1]:80/"


def test_says_which_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(OperatorError, match=r"run `pip install starlette uvicorn`$"):
        dashboard.require_packages()
