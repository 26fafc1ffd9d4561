"""What a store in Redis does when the server fails: one plain error, and nothing twice or lost."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.broker.redis_store import RedisStore
from shoal.broker.stores import LostError, NotSavedError
from shoal.broker.tracking.changes import Change, Renewed, Seen
from shoal.commands.check import _reached
from shoal.commands.finding import Finding
from shoal.config.store import StorePlace
from shoal.protocol.errors import OperatorError, UnavailableError

from tests.integration.redis_server import RedisServer, found_servers
from tests.multihost.wait import wait_until

PROGRAM = found_servers().get("redis", "")
if not PROGRAM:
    pytest.skip("there is no redis-server here", allow_module_level=True)


def seen(number: int) -> Seen:
    return Seen(f"n{number}", f"tcp://127.0.0.1:{number}", number, 1)


N1, N2, N3, N4 = (seen(number) for number in range(1, 5))
LASTING = ("--appendonly", "yes", "--appendfsync", "always")
RENEWED = [Renewed("n1")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(PROGRAM, tmp_path / "redis", *LASTING)
    yield server
    server.close()


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    with_it = RedisStore(server.url)
    with_it.load()
    yield with_it
    with_it.close()


def fails(store: RedisStore, words: str, *changes: Change) -> None:
    """Assert that an exchange fails once with these words, which `trouble` repeats."""
    with pytest.raises(NotSavedError, match=re.escape(words)):
        store.exchange(changes, RENEWED)
    assert words in store.trouble()


def logged(url: str) -> list[Change]:
    """Return the log, as a tracker reads it that starts now."""
    store = RedisStore(url)
    try:
        return list(store.load())
    finally:
        store.close()


def test_a_server_that_is_down_is_named_and_used_again_when_it_is_back(
    server: RedisServer, store: RedisStore
) -> None:
    store.exchange([N1])
    server.kill()
    fails(store, "127.0.0.1:" + str(server.port), N2)
    fails(store, "it refuses connections; is it running?", N2)
    server.start()
    assert store.exchange([N2]).others == ()
    assert store.trouble() == ""
    assert logged(server.url) == [N1, N2]


def test_what_a_hanging_server_had_received_counts_once(server: RedisServer) -> None:
    store, other = RedisStore(f"{server.url}?socket_timeout=0.2"), RedisStore(server.url)
    store.load()
    other.load()
    server.pause()
    fails(store, "it does not answer within 0.2 s", N1)
    fails(store, "it does not answer within 0.2 s", N1, N3)
    server.resume()
    wait_until(lambda: server.ask("XLEN", "shoal:log") == 1, 30, "what was sent is carried out")
    assert other.exchange([N2]).others == (N1,)
    exchanged = store.exchange([N1, N3])
    assert (exchanged.others, exchanged.unsaved) == ((), 1)  # N2 came after N1, not before it.
    assert store.exchange([N3]).others == (N2,)
    assert other.exchange([]).others == (N3,)
    assert server.ask("XLEN", "shoal:log") == 4  # N1 is there twice, …
    assert logged(server.url) == [N1, N2, N3]  # … and counts once.
    store.close()
    other.close()


def test_a_server_that_refuses_to_write_says_why_and_nothing_is_saved(
    server: RedisServer, store: RedisStore
) -> None:
    store.exchange([N1])
    for words, make, undo in [
        ("its memory is full", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("it is a read-only replica", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        (
            "too few replicas",
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("it refuses the password", "CONFIG SET requirepass a", "CONFIG SET requirepass ''"),
        ("may not use these", "ACL SETUSER default -xadd", "ACL SETUSER default +xadd"),
    ]:
        server.ask(*shlex.split(make))
        if "password" in words:
            store._link.close()
        fails(store, words, N2)
        fails(store, words, N2)
        server.ask(*shlex.split(undo))
        assert store.exchange([N2]).unsaved == 0
    assert logged(server.url) == [N1, *[N2] * 5]


def test_a_password_is_used_and_a_wrong_one_is_refused(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "requirepass", "it's me")
    wrong, right = RedisStore(server.url, "you"), RedisStore(server.url, "it's me")
    with pytest.raises(NotSavedError, match="it refuses the password"):
        wrong.load()
    assert right.load() == []
    wrong.close()
    right.close()


def test_keys_of_somebody_else_are_left_alone(server: RedisServer, store: RedisStore) -> None:
    server.ask("SET", "shoal:log", "mine")
    fails(store, "somebody else's; give shoal a ?prefix= of its own", N1)
    with pytest.raises(NotSavedError, match="somebody else's"):
        store.load()
    assert server.ask("GET", "shoal:log") == "mine"
    elsewhere = RedisStore(f"{server.url}?prefix=lab")
    assert elsewhere.load() == []
    elsewhere.exchange([N1])
    assert server.ask("XLEN", "lab:log") == 1
    elsewhere.close()


def test_a_log_that_was_flushed_or_replaced_is_lost_until_it_is_loaded(
    server: RedisServer, store: RedisStore
) -> None:
    store.exchange([N1])
    server.ask("FLUSHALL")
    for _ in range(2):
        with pytest.raises(LostError):
            store.exchange([])
    assert store.load() == []
    store.exchange([N2])
    server.kill()
    server.start("--appendonly", "no")
    other = RedisStore(server.url)
    other.load()
    other.exchange([N3])
    fails(store, "it closed the connection", N4)
    with pytest.raises(LostError):
        store.exchange([N4])  # Nothing is appended to a log that we do not know.
    assert store.load() == [N3]
    other.close()


def test_changes_that_came_after_the_loss_count_once(
    server: RedisServer, store: RedisStore
) -> None:
    store.exchange([N1])
    server.ask("FLUSHALL")
    with pytest.raises(LostError):  # Noticed by the reply alone: the connection is the same.
        store.exchange([N2])
    assert store.load() == [N2]
    store.exchange([N3])
    assert logged(server.url) == [N2, N3]


def test_a_failover_that_loses_writes_is_noticed(server: RedisServer, tmp_path: Path) -> None:
    replica = RedisServer(PROGRAM, tmp_path / "replica", "--replicaof", f"127.0.0.1 {server.port}")
    stores = [RedisStore(server.url), RedisStore(server.url)]
    for each in stores:
        each.load()
    stores[0].exchange([N1])
    stores[1].exchange([])
    wait_until(lambda: replica.ask("XLEN", "shoal:log") == 1, 30, "the replica has caught up")
    replica.ask("REPLICAOF", "NO", "ONE")  # The network parted them; …
    stores[0].exchange([N2])  # … this the old master alone has heard.
    server.kill()
    replica.move_to(server.port)
    for each in stores:
        fails(each, "it closed the connection", N3)
    with pytest.raises(LostError):
        stores[0].exchange([N3])
    assert stores[1].exchange([N3]).others == ()
    assert stores[0].load() == [N1, N3]
    for each in stores:
        each.close()
    replica.close()


def test_an_entry_of_a_later_release_stops_a_tracker_with_one_line(
    server: RedisServer, store: RedisStore
) -> None:
    store.exchange([N1])
    server.ask("XADD", "shoal:log", "*", "f", 2, "t", "later", "n", 1, "c", "")
    for _ in range(2):
        fails(store, "is in format 2 at ", N2)
    assert server.ask("XLEN", "shoal:log") == 3  # Once: nothing is sent again and again.
    with pytest.raises(NotSavedError, match="is in format 2"):
        store.load()
    later = RedisStore(server.url)
    with pytest.raises(UnavailableError, match="this shoal knows 1; update shoal here"):
        later.load()
    later.close()


def test_what_no_tracker_has_written_is_ignored(server: RedisServer, store: RedisStore) -> None:
    store.exchange([N1])
    server.ask("XADD", "shoal:log", "*", "hello", "you")
    server.ask("XADD", "shoal:liveness", "*", "f", 1, "t", "x", "r", "hm")
    server.ask("XADD", "shoal:log", "*", "f", 1, "t", "x", "n", 7, "c", "hm")
    assert store.exchange([]).others == ()
    assert store.exchange([N2]).others == ()
    assert logged(server.url) == [N1, N2]


def test_a_store_that_cannot_be_used_is_refused_at_once() -> None:
    with pytest.raises(OperatorError, match=r"cannot use the store 127\.0\.0\.1:1: "):
        RedisStore("redis://127.0.0.1:1/0?colour=red")
    with pytest.raises(OperatorError, match="cannot read /no/ca, which the store's URL names: No"):
        RedisStore("rediss://127.0.0.1:1/0?ssl_ca_certs=/no/ca")
    unknown = RedisStore("redis://no-such-host.invalid/0")
    with pytest.raises(NotSavedError, match="its host name is unknown"):
        unknown.load()
    unknown.close()


def test_check_says_whether_the_store_takes_changes(server: RedisServer) -> None:
    place = StorePlace(server.url)
    assert _reached(place) == Finding("ok", "store", "it answers and takes changes")
    server.ask("REPLICAOF", "127.0.0.1", "1")
    found = f"127.0.0.1:{server.port}: it is a read-only replica"
    assert _reached(place) == Finding("wrong", "store", found)
