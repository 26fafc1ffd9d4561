"""Who is let in, and with which headers: the site over real sockets is tested in a browser."""

import asyncio
from typing import Any

import pytest
from shoal.dashboard.guard import HEADERS, own_names
from shoal.dashboard.site import FRONT, KINDS, PAGE, site
from shoal.dashboard.streams import MOST_STREAMS, Streams
from starlette.types import Message

NAMES = own_names("lab-7.example")


def answer(
    path: str = "/",
    host: str = "127.0.0.1:8080",
    method: str = "GET",
    streams: Streams | None = None,
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body that the site sends, asked as ASGI has it."""
    sent: list[Message] = []
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = site(streams or Streams(), lambda: None, NAMES)
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(each.get("body", b"") for each in sent[1:])


def test_serves_the_page_and_all_its_files() -> None:
    names = {path.name for path in PAGE.iterdir()}
    assert {FRONT, "main.js", "style.css", "icon.svg"} <= names
    for name in names:
        status, headers, body = answer("/" if name == FRONT else f"/{name}")
        assert (status, body) == (200, (PAGE / name).read_bytes()), name
        assert headers["content-type"] == KINDS[f".{name.rpartition('.')[2]}"]


@pytest.mark.parametrize("path", ["/", "/none", "/../site.py", "/%2e%2e/site.py", "/site.py"])
def test_every_answer_forbids_what_a_page_could_be_made_to_do(path: str) -> None:
    status, headers, _ = answer(path)
    assert status == (200 if path == "/" else 404)
    assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
    assert "unsafe" not in headers["content-security-policy"]


def test_no_script_or_style_is_inline() -> None:
    page = (PAGE / FRONT).read_text()
    assert "<style" not in page
    assert " style=" not in page
    assert all("src=" in tag for tag in page.split("<script")[1:])
    for path in PAGE.glob("*.js"):
        assert "innerHTML =" not in path.read_text(), path.name
        assert "insertAdjacentHTML" not in path.read_text(), path.name


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "localhost",
        "LOCALHOST:9000",
        "[::1]:8080",
        "[::1]",
        "192.168.1.7:8080",
        "lab-7.example:8080",
    ],
)
def test_answers_to_its_own_names(host: str) -> None:
    assert answer(host=host)[0] == 200


@pytest.mark.parametrize("host", ["", "evil.example", "evil.example:8080", "127.0.0.1.evil", ":80"])
def test_refuses_a_name_that_somebody_else_has_chosen(host: str) -> None:
    status, _, body = answer("/events", host=host)
    assert (status, b"another name" in body) == (421, True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_shows(method: str) -> None:
    status, headers, _ = answer(method=method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_other_sites_can_link_to_it_and_nothing_else() -> None:
    assert answer(sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200
    assert answer("/events", sec_fetch_site="cross-site", sec_fetch_mode="cors")[0] == 403
    assert answer("/main.js", sec_fetch_site="same-site", sec_fetch_mode="no-cors")[0] == 403
    assert answer("/events", sec_fetch_site="same-origin", sec_fetch_mode="cors")[0] == 200


def test_a_stream_ends_with_its_page() -> None:
    streams = Streams()
    status, headers, _ = answer("/events?about=thing%3Aa", streams=streams)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert headers["cache-control"] == "no-store"
    assert streams.viewers == 0


def test_says_so_if_too_many_pages_are_open() -> None:
    streams = Streams()
    for _ in range(MOST_STREAMS):
        streams.open("")
    status, headers, body = answer("/events", streams=streams)
    assert (status, headers["retry-after"], b"too many" in body) == (503, "5", True)
