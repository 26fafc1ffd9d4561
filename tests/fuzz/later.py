"""Decoders of what stores, tokens, rates, the hub's names and browsers say, and of files edited."""

from collections.abc import Callable
from pathlib import Path

from shoal.api import hub
from shoal.broker import redis_log
from shoal.broker.stores import NotSavedError
from shoal.broker.tracking.changes import Renewed
from shoal.config import cluster
from shoal.config.editing import UnusualFormError, with_entries
from shoal.dashboard.guard import Guard, own_names
from shoal.node.folder import token
from shoal.protocol import rates
from shoal.protocol.errors import OperatorError, UnavailableError
from shoal.wire.http_port import MOST_HEAD_BYTES, HttpPort, Reply

from tests.fuzz import sample_files as samples
from tests.fuzz.decoder import Decoder, Read, pure
from tests.unit.broker.test_sqlite_store import EVERYTHING

KEYS = redis_log.Keys("shoal")
MOST_EDITED_BYTES = 4096  # The parser that knows places is ten times as slow.
FIELD_END = b"\xfe\xff\xfd"


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _entry(data: bytes) -> object:
    """Read an entry of the log: names and values, in pairs."""
    parts = data.split(FIELD_END)
    entry = b"1-1", parts[: len(parts) // 2 * 2]
    return redis_log._entry(entry), redis_log.renewed_in([entry], "another")


def _entries() -> Decoder:
    body = redis_log._encode(EVERYTHING)
    renewed = redis_log._encode([Renewed("n1", wants=8)])
    fields = b"f", b"1", b"t", b"a-tracker", b"n", b"7", b"c", body, b"r", renewed
    return pure((FIELD_END.join(fields),), _entry, UnavailableError)


def _snapshots() -> Decoder:
    seed = b'{"format":1,"name":"a","up_to":"1-1","made_ms":1,"chunks":2,"numbers":{"t":1}}'
    refusals = NotSavedError, UnavailableError
    return pure((seed,), lambda data: redis_log._snapshot(KEYS, data), *refusals)


def _token(folder: Path) -> Read:
    def read(data: bytes) -> object:
        (folder / "token").write_bytes(data)
        return token.load(folder)

    return read


def _rate(data: bytes) -> object:
    text, _, hours = _text(data).partition(" in ")
    rate = rates.parsed(text)
    rates.shown(rate)
    return rate, hours and rates.hours(hours, rate)


def _edited(folder: Path) -> Read:
    """Read a cluster file, and add to it what `shoal keys` and others add."""
    path = folder / "lan.yaml"

    def read(data: bytes) -> object:
        path.write_bytes(data)
        cluster.load(path)
        return with_entries(data.decode(), {"nodes": {"n1": {"key": "k"}}, "publish": "first"})

    return read


def _host_of_page() -> Decoder:
    guard = Guard(lambda *_: None, own_names("127.0.0.1"))  # type: ignore[arg-type]
    seeds = b"127.0.0.1:8000", b"localhost", b"[::1]:8000"
    return pure(seeds, lambda data: guard._is_own(data.decode("latin-1")))


def _http() -> Decoder:
    port = HttpPort(lambda path, accept: Reply(200, f"{path} {accept}".encode()))
    seeds = b"GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: text/plain", b"HEAD / HTTP/1.0"
    return pure(seeds, port._reply, most_bytes=MOST_HEAD_BYTES)


LATER: dict[str, Callable[[], Decoder]] = {
    "log-entry": _entries,
    "log-snapshot": _snapshots,
    "log-chunk": lambda: pure((redis_log.packed(EVERYTHING),), redis_log.unpacked, NotSavedError),
    "token": lambda: Decoder((b"abc-_9\n",), _token, ()),
    "rates": lambda: pure(
        (b"20MB/s in 08:00-18:00", b"unlimited", b"1.5 Gbit/s"), _rate, ValueError, most_bytes=4096
    ),
    "hub-names": lambda: pure(
        (b"lab/llama", b"datasets/lab/x"),
        lambda data: (hub.repo_named(_text(data)), hub.repo_named(_text(data)).folder),
        OperatorError,
        most_bytes=4096,
    ),
    "edited-file": lambda: Decoder(
        samples.cluster_files(), _edited, (OperatorError, UnusualFormError), MOST_EDITED_BYTES
    ),
    "page-host": _host_of_page,
    "http-head": _http,
}
