"""What every store of the tracker's log must do: SQLite, Redis and Valkey, each a real one."""

import contextlib
import itertools
import random
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from shoal.broker import redis_log
from shoal.broker.compacting import compact
from shoal.broker.redis_link import Link
from shoal.broker.redis_log import Keys
from shoal.broker.redis_store import RedisStore
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import NOTHING, NotSavedError, Store
from shoal.broker.tracking.changes import Change, Gone, Published, Renewed, Seen
from shoal.broker.tracking.state import State
from shoal.protocol.pushing import Push, Target, Unpush

from tests.integration.cutting import Cutting
from tests.integration.redis_server import RedisServer, found_servers
from tests.unit.broker.scene import Scene, content_id
from tests.unit.broker.states import shown_timeless

SHARED = sorted(found_servers())
NODES = ("n1", "n2", "n3")
NAMES = ("a", "ü")
Open = Callable[[], Store]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RedisServer]]:
    """One server of each kind; each test has keys of its own."""
    with ExitStack() as stack:
        yield {
            kind: stack.enter_context(closing(RedisServer(program, tmp_path_factory.mktemp(kind))))
            for kind, program in found_servers().items()
        }


@pytest.fixture(params=["sqlite", *SHARED])
def place(
    request: pytest.FixtureRequest, servers: dict[str, RedisServer], tmp_path: Path
) -> Iterator[Open]:
    """Return what opens the store, as a tracker that starts does."""
    with ExitStack() as stack:

        def opened() -> Store:
            store: Store
            if request.param == "sqlite":
                stack.close()  # One tracker at a time.
                store = SqliteStore(tmp_path / "tracker.db")
            else:
                store = RedisStore(f"{servers[request.param].url}?prefix={tmp_path.name}")
            return stack.enter_context(closing(store))

        yield opened


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest, servers: dict[str, RedisServer], tmp_path: Path) -> str:
    return f"{servers[request.param].url}?prefix={tmp_path.name}"


def at_random(scene: Scene, rng: random.Random) -> None:
    """Have a node say something, or time pass."""
    node, name, content = rng.choice(NODES), rng.choice(NAMES), rng.randrange(3)
    told = f"{name}={content}"
    match rng.randrange(8):
        case 0:
            scene.leave(node)
        case 1:
            scene.wait(rng.choice((1, 40)))
            scene.expire()
        case 2:
            scene.ask(name, node)  # It has lost it.
        case 3:
            scene.update(node, without=told)
        case 4:
            scene.send(Push(name, content_id(content), 10, Target(("n1",))))
        case 5:
            scene.send(Unpush(name))
        case kind:
            scene.update(node, told + rng.choice(("~", "!1", "!2")), replace=kind == 6)


def shown(state: State) -> dict[str, object]:
    wishes = [(each.name, each.id, each.to) for each in state.wishes.after("")]
    return {**shown_timeless(state), "wishes": wishes}


def folded(scene: Scene, log: Sequence[Change]) -> dict[str, object]:
    """Return the state that a log leads to after a restart."""
    state = State(scene.initial, scene.settings)
    state.replay(log, scene.now)
    return shown(state)


def snapshot(url: str) -> None:
    """Make one, as the process does that a tracker starts."""
    with closing(Link(url, None)) as link:
        keys = Keys(link.address.prefix)
        link.call("SET", keys.compacting, name := secrets.token_hex(8))
        assert compact(link, keys, name) is not None


def test_a_log_leads_to_the_same_state_after_a_restart(place: Open) -> None:
    rng = random.Random(7)
    scene = Scene({"net.txt": ("n1", "n2")}, accepts_pushes=True)
    saved = 0
    store = place()
    assert list(store.load()) == []
    for _ in range(12):
        for _ in range(rng.randrange(60)):
            at_random(scene, rng)
        changes = scene.changes()
        exchanged = store.exchange(changes[saved:])
        assert (list(exchanged.others), exchanged.unsaved) == ([], 0)
        assert store.trouble() == ""
        saved = len(changes)
        if isinstance(store, RedisStore) and rng.random() < 0.5:
            snapshot(f"{store._link.address.url}?prefix={store._keys.prefix}")
        store = place()
        assert folded(scene, store.load()) == shown(scene.tracker._state)
    assert saved > 100


def test_nothing_to_save_is_fine(place: Open) -> None:
    store = place()
    store.load()
    assert store.exchange([]) == store.exchange([], [Renewed("n1")]) == NOTHING
    assert list(place().load()) == []


def numbered(number: int) -> Seen:
    return Seen(f"n{number}", "tcp://127.0.0.1:1", number, 1)


def test_others_changes_come_once_and_before_ours(url: str) -> None:
    with closing(RedisStore(url)) as one, closing(RedisStore(url)) as two:
        one.load()
        one.exchange([numbered(1)])
        assert two.load() == [numbered(1)]
        one.exchange([numbered(2), numbered(3)], [Renewed("n1", wants=5)])
        found = two.exchange([numbered(4)])
        assert found.others == (numbered(2), numbered(3))
        assert found.renewed == (Renewed("n1", wants=5),)
        assert two.exchange([]) == NOTHING
        assert one.exchange([]).others == (numbered(4),)
    with closing(RedisStore(url)) as later:
        later.load()
        assert later.exchange([]).renewed == found.renewed  # So that it knows who is alive.


def test_ages_go_on_in_the_store(url: str) -> None:
    with closing(RedisStore(url)) as one, closing(RedisStore(url)) as two:
        one.load()
        entry_id = f"{redis_log.now_ms(one._link.call('TIME')) - 100_000}-0"
        old: list[Change] = [
            Published("a", content_id(1), 1, age_s=5),
            Gone("n1", left=False),
            numbered(1),
        ]
        command = redis_log.addition(one._keys, redis_log.piece("x", 1, old))
        one._link.call(*(entry_id if each == "*" else each for each in command))
        gone = Gone("n1", left=False, silent_s=100)
        aged = [Published("a", content_id(1), 1, age_s=105), gone, numbered(1)]
        assert list(one.exchange([]).others) == aged
        assert two.load() == aged


class Tracker:
    """One of several, as far as its part of the log goes."""

    def __init__(self, url: str) -> None:
        self.store = RedisStore(url)
        self.log = [*self.store.load()]
        self.unsaved: list[Change] = []
        self.has_more = False

    def turn(self, changes: Iterable[Change]) -> None:
        self.unsaved += changes
        with contextlib.suppress(NotSavedError):
            found = self.store.exchange(self.unsaved)
            self.has_more = found.has_more
            saved = len(self.unsaved) - found.unsaved
            self.log += [*found.others, *self.unsaved[:saved]]
            del self.unsaved[:saved]


def test_all_trackers_have_one_order_whatever_is_lost_on_the_way(
    servers: dict[str, RedisServer], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_log, "PAGE_ENTRIES", 3)
    rng, numbers = random.Random(5), itertools.count()
    port = next(server.port for server in servers.values() if f":{server.port}/" in url)
    with closing(Cutting(port, seed=6)) as way, ExitStack() as stack:
        trackers = [Tracker(url.replace(f":{port}/", f":{way.port}/")) for _ in range(3)]
        for each in trackers:
            stack.enter_context(closing(each.store))
        way.request_loss = way.reply_loss = 0.1
        for turn in range(150):
            count = rng.choice((0, 0, 1, 2, 90))
            rng.choice(trackers).turn(numbered(next(numbers)) for _ in range(count))
            if turn % 50 == 0:
                snapshot(url)
        way.request_loss = way.reply_loss = 0.0
        while any(each.unsaved for each in trackers):
            for each in trackers:
                each.turn(())
        for each in trackers:
            each.turn(())
            while each.has_more:
                each.turn(())
        assert len(set(trackers[0].log)) == len(trackers[0].log) == next(numbers)
        assert trackers[0].log == trackers[1].log == trackers[2].log
        with closing(RedisStore(url)) as fresh:
            scene = Scene()
            assert folded(scene, fresh.load()) == folded(scene, trackers[0].log)
