"""Snapshots of the trackers' log: whole at any moment, and the log is short afterwards."""

import contextlib
import random
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing

import msgspec
import pytest
from shoal.broker import compaction, redis_log
from shoal.broker.compacting import compact
from shoal.broker.redis_link import Link
from shoal.broker.redis_log import Keys, Snapshot
from shoal.broker.redis_store import RedisStore
from shoal.broker.stores import LostError, NotSavedError
from shoal.broker.tracking.changes import Change, Dropped, Held, Published, Seen
from shoal.broker.tracking.dump import dump
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State

from tests.integration.cutting import Cutting
from tests.integration.redis_server import RedisServer, found_servers
from tests.multihost.wait import wait_until
from tests.unit.broker.scene import content_id

PROGRAM = found_servers().get("redis", "")
if not PROGRAM:
    pytest.skip("there is no redis-server here", allow_module_level=True)
KEYS = Keys("shoal")
N1 = Seen("n1", "tcp://127.0.0.1:1", 1, 1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with closing(RedisServer(PROGRAM, tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    shared.ask("FLUSHALL")
    return shared


@pytest.fixture
def opened(server: RedisServer) -> Iterator[Callable[[], RedisStore]]:
    """Return what opens another tracker's store, loaded."""
    with contextlib.ExitStack() as stack:

        def open_one() -> RedisStore:
            store = stack.enter_context(closing(RedisStore(server.url)))
            store.load()
            return store

        yield open_one


def loaded(server: RedisServer) -> list[Change]:
    """Return what the log comes to as it is read now, without ages."""
    with closing(RedisStore(server.url)) as store:
        return in_order(store.load())


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Return what a log comes to."""
    state = State(Initial(""), TrackerSettings())
    state.replay(changes, 0.0)
    return sorted(map(timeless, dump(state, 0.0)), key=repr)


def timeless(change: Change) -> Change:
    is_aged = isinstance(change, Published)
    return msgspec.structs.replace(change, age_s=0) if is_aged else change


def history(count: int) -> list[Change]:
    """Return changes that all still count in the end."""
    things = [Published("a", content_id(number), 1, number + 1, "n1") for number in range(count)]
    return [N1, *things, *(Held("a", each.id, "n1", complete=True) for each in things)]


def append(server: RedisServer, changes: Sequence[Change], *, ago_s: int) -> None:
    """Append each change as one entry, as a tracker did that is no more."""
    with closing(Link(server.url, None)) as link:
        then_ms = redis_log.now_ms(link.call("TIME")) - 1000 * ago_s
        for nth, change in enumerate(changes, start=1):
            verb, key, _, *fields = redis_log.addition(
                KEYS, redis_log.piece(f"gone {ago_s}", nth, [change])
            )
            link.call(verb, key, f"{then_ms + nth}-0", *fields)


def snapshot(url: str) -> Snapshot | None:
    """Make one, as the process does that a tracker starts."""
    with closing(Link(url, None)) as link:
        token = secrets.token_hex(8)
        link.call("SET", KEYS.compacting, token)
        return compact(link, KEYS, token)


def test_the_log_is_cut_and_a_tracker_that_was_not_so_far_loads_it_again(
    server: RedisServer, opened: Callable[[], RedisStore]
) -> None:
    everything = history(200)
    append(server, everything[:300], ago_s=3600)
    behind = opened()
    append(server, everything[300:], ago_s=2000)
    at_the_end = opened()
    assert snapshot(server.url) is not None
    assert server.ask("XLEN", KEYS.log) == 101
    assert at_the_end.exchange([N1]).others == ()
    with pytest.raises(LostError):
        behind.exchange([])
    assert in_order(behind.load()) == in_order(everything)
    for _ in range(2):  # The second one has nothing to add.
        assert snapshot(server.url) is not None
        assert loaded(server) == in_order(everything)
    assert len(server.ask("KEYS", f"{KEYS.snapshot}:*")) == 3
    server.ask("DEL", KEYS.snapshot)  # As if evicted: what is left of the log is no log.
    assert loaded(server) == []


def test_a_snapshot_has_what_still_counts_alone(server: RedisServer) -> None:
    kept = history(3)
    past: list[Change] = [Published("b", content_id(9), 1), Dropped("b", content_id(9)), N1]
    append(server, [N1, *past, *kept], ago_s=3600)
    assert snapshot(server.url) is not None
    with closing(RedisStore(server.url)) as store:
        assert len(store.load()) == len(kept)
    assert loaded(server) == in_order(kept)


def test_one_that_has_lost_its_turn_changes_nothing(server: RedisServer) -> None:
    append(server, history(3), ago_s=3600)
    with closing(Link(server.url, None)) as link:
        link.call("SET", KEYS.compacting, "another")
        assert compact(link, KEYS, "slow") is None
    assert server.ask("EXISTS", KEYS.snapshot) == 0
    assert server.ask("GET", KEYS.compacting) in {"another", b"another"}
    assert loaded(server) == in_order(history(3))


def test_a_snapshot_that_is_given_up_at_any_moment_changes_nothing(server: RedisServer) -> None:
    rng = random.Random(3)
    everything = history(40)
    with closing(Cutting(server.port, seed=4)) as way:
        way.request_loss = way.reply_loss = 0.07
        made = 0
        for nth, change in enumerate(everything):
            append(server, [change], ago_s=3600 - nth)
            with contextlib.suppress(NotSavedError):
                made += snapshot(server.url.replace(str(server.port), str(way.port))) is not None
            if rng.random() < 0.3:
                assert loaded(server) == in_order(everything[: nth + 1])
        assert 10 < made < 70
    current = msgspec.json.decode(server.ask("GET", KEYS.snapshot), type=Snapshot)
    for key in server.ask("KEYS", f"{KEYS.snapshot}:*"):
        assert (server.ask("TTL", key) == -1) == (key == KEYS.chunks(current.name))


def test_one_process_makes_the_snapshot_when_the_log_is_long(
    server: RedisServer, opened: Callable[[], RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MAX_CHANGES", 100)
    one, two = opened(), opened()
    everything = history(100)
    one.exchange(everything)
    two.exchange([])
    assert (one._compaction._process, two._compaction._process).count(None) == 1

    def is_made() -> bool:
        one.exchange([])
        two.exchange([])
        return one._compaction._process is None and server.ask("EXISTS", KEYS.snapshot) == 1

    wait_until(is_made, 60, "a snapshot")
    assert server.ask("EXISTS", KEYS.compacting) == 0
    assert loaded(server) == in_order(everything)
    one.exchange([N1])
    assert one._compaction._process is None  # The log is short again, as far as that goes.


def test_a_process_that_fails_says_why_and_is_not_started_again_at_once(
    server: RedisServer,
    opened: Callable[[], RedisStore],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(compaction, "MAX_CHANGES", 10)
    store = opened()
    server.ask("ACL", "SETUSER", "default", "-rpush")
    store.exchange(history(10))

    def has_ended() -> bool:
        store.exchange([])
        return store._compaction._process is None

    wait_until(has_ended, 60, "the end of the process")
    server.ask("ACL", "SETUSER", "default", "+rpush")
    assert "cannot shorten the log in the store (127.0.0.1:" in caplog.text
    assert "its user may not use these keys or commands); trying again" in caplog.text
