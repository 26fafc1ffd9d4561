"""Trackers on a real server that cuts connections, forgets everything, and is compacted meanwhile.

The tracker's machine and its exchanges are the real ones; time is the scene's.
"""

import random
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from shoal.broker.compacting import compact
from shoal.broker.exchanges import Exchanges, carried_out
from shoal.broker.redis_link import Link
from shoal.broker.redis_log import Keys
from shoal.broker.redis_store import RedisStore
from shoal.broker.settings import ServerSettings
from shoal.broker.tracking.tracker import Tracker

from tests.integration.cutting import Cutting
from tests.integration.redis_server import RedisServer, found_servers
from tests.integration.test_store_contract import at_random, folded, shown
from tests.unit.broker.scene import Scene
from tests.unit.broker.states import check

KEYS = Keys("shoal")
AT_ONCE = replace(ServerSettings(), exchange_every_s=0.0, retry_exchange_s=0.0)
STEPS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if "redis" not in found_servers():
        pytest.skip("there is no redis-server here")
    folder = tmp_path_factory.mktemp("redis")
    with closing(RedisServer(found_servers()["redis"], folder)) as server:
        yield server


class Peer(Scene):
    """One of several trackers."""

    def __init__(self, url: str, now: float = 1000.0) -> None:
        self.store = RedisStore(url)
        self._log = self.store.load()
        super().__init__({"net.txt": ("n1", "n2")}, accepts_pushes=True)
        self.now = now
        self.exchanges = Exchanges(self.tracker, AT_ONCE, now)

    def _started(self) -> Tracker:
        given = self.initial, random.Random(6), self.now, self._log, self.settings
        return Tracker(*given, self._token_rng, shares=True)

    def turn(self) -> None:
        """Have a round end."""
        self.expire()
        self.exchanges.add(self.changes(), self.now)
        self.log.clear()
        job = self.exchanges.next_job(self.now)
        assert job is not None
        result = carried_out(job, self.store, lambda log: self.tracker.folded(log, self.now))
        self.exchanges.done(result, self.now)


def snapshot(server: RedisServer) -> None:
    with closing(Link(server.url, None)) as link:
        link.call("SET", KEYS.compacting, token := secrets.token_hex(8))
        compact(link, KEYS, token)


@pytest.mark.parametrize("seed", range(5))
def test_all_trackers_agree_with_the_log_in_the_end(server: RedisServer, seed: int) -> None:
    rng = random.Random(seed)
    server.ask("FLUSHALL")
    with closing(Cutting(server.port, seed)) as way, ExitStack() as stack:
        url = server.url.replace(str(server.port), str(way.port))
        peers = [Peer(url) for _ in range(3)]
        for peer in peers:
            stack.enter_context(closing(peer.store))
        way.request_loss = way.reply_loss = 0.05
        for _ in range(STEPS):
            peer = rng.choice(peers)
            at_random(peer, rng)
            for each in peers:
                each.now = peer.now
            rng.choice(peers).turn()
            if rng.random() < 0.03:
                snapshot(server)
            if seed and rng.random() < 0.01:
                server.ask("FLUSHALL")
        way.request_loss = way.reply_loss = 0.0
        for peer in peers * 8:
            peer.turn()
        with closing(RedisStore(server.url)) as store:
            said = folded(peers[0], store.load())
        for peer in peers:
            assert peer.exchanges.unsaved_count == 0
            check(peer.tracker._state)
            assert shown(peer.tracker._state) == said
