"""What is drawn for several trackers: their deaths, pauses and cuts, and what ails their store."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.faults import pushing
from tests.simulation.faults.acts import unless_calm
from tests.simulation.faults.shared_store import STORE

if TYPE_CHECKING:
    from tests.simulation.faults.several import Several
    from tests.simulation.faults.story import Story

Act = Callable[["Story", "Several"], None]
QUICK_S = (0.0002, 0.002)
AGAIN_S = (0.3, 3.0, 20.0)


def draw(story: "Story", several: "Several") -> None:
    """Put faults into the story, some of them often."""
    rng, loop = several.rng, story.cluster.loop
    kinds = rng.sample(ACTS, rng.choice((1, 2, 4, len(ACTS))))
    for _ in range(rng.choice((3, 8, 20))):
        loop.at(rng.uniform(1.0, 45.0), _unless_calm, story, several, rng.choice(kinds))


def _unless_calm(story: "Story", several: "Several", act: Act) -> None:
    if not story.cluster.is_calm:
        what = act.__name__.replace("_", " ")
        story.cluster.hits[what] += 1
        story.cluster.trace.note(what)
        act(story, several)


def mend(several: "Several") -> None:
    """Have the store as it should be."""
    log = several.server.log
    log.is_away = several.server.is_stopped = False
    log.refusal, log.delay_s, log.lost_share = "", QUICK_S, 0.0


def _later(story: "Story", several: "Several", act: Callable[[], None]) -> None:
    loop, rng = story.cluster.loop, several.rng
    loop.at(loop.now + rng.choice((0.5, 4.0, 15.0, 45.0)) * rng.uniform(0.2, 1.0), act)


# The trackers.


def kill_one_tracker(story: "Story", several: "Several") -> None:
    host, loop = several.one(), story.cluster.loop
    host.kill()
    loop.at(loop.now + several.rng.choice(AGAIN_S) * several.rng.uniform(0.1, 1.0), host.start)


def kill_all_trackers(story: "Story", several: "Several") -> None:
    loop, rng = story.cluster.loop, several.rng
    for host in several.in_file:
        host.kill()
        loop.at(loop.now + rng.choice(AGAIN_S) * rng.uniform(0.1, 1.0), host.start)


def restart_tracker(story: "Story", several: "Several") -> None:
    """Stop one as SIGTERM does, and start it again when it has stopped."""
    host, loop = several.one(), story.cluster.loop
    host.stop()
    loop.at(loop.now + 0.5, host.start)


def pause_tracker(story: "Story", several: "Several") -> None:
    process, loop, rng = several.one().process, story.cluster.loop, several.rng
    if process is not None and not process.is_dead:
        process.pause()
        loop.at(loop.now + rng.choice((0.2, 4.0, 40.0)) * rng.random(), process.go_on)


def cut_tracker(story: "Story", several: "Several") -> None:
    """Cut one off from the nodes, the store or both; perhaps in one direction only."""
    rng, cluster, name = several.rng, story.cluster, several.one().name
    others = [host for host in sorted(cluster.net.places) if host not in {name, STORE}]
    there = rng.choice(([STORE], others, [STORE, *others]))
    ways = [(name, host) for host in there]
    back = [(host, name) for host in there]
    ways = rng.choice((ways, back, ways + back, ways + back))
    cluster.trace.note(f"{name} is cut off: {ways[0]} and others")
    cluster.net.cut(ways)
    _later(story, several, lambda: cluster.net.mend(ways))


def tracker_leaves_file(story: "Story", several: "Several") -> None:
    """Take one out of the cluster file and stop it; who runs learns of it at the next start."""
    if len(several.in_file) > 1:
        host = several.one()
        several.in_file.remove(host)
        host.stop()
        story.cluster.reload_trackers()


def tracker_joins_file(story: "Story", several: "Several") -> None:
    """Put one that is not in the cluster file into it, and start it."""
    for host in several.hosts:
        if host not in several.in_file:
            several.in_file.append(host)
            host.start()
            story.cluster.reload_trackers()
            return


def troubled_push(story: "Story", several: "Several") -> None:
    """Push something while the store hangs, and kill those that have taken it in."""
    if not story.has_pushes:
        return
    loop, rng, server = story.cluster.loop, several.rng, several.server
    server.is_stopped = True
    loop.at(loop.now + rng.uniform(0.0, 0.5), unless_calm, story, pushing.push)
    loop.at(loop.now + rng.uniform(0.2, 2.5), _unless_calm, story, several, kill_all_trackers)
    loop.at(loop.now + rng.uniform(0.2, 2.5), lambda: setattr(server, "is_stopped", False))


# The store.


def store_away(story: "Story", several: "Several") -> None:
    log = several.server.log
    log.is_away = True
    _later(story, several, lambda: setattr(log, "is_away", False))


def store_hangs(story: "Story", several: "Several") -> None:
    several.server.is_stopped = True
    _later(story, several, lambda: setattr(several.server, "is_stopped", False))


def store_slow(story: "Story", several: "Several") -> None:
    log = several.server.log
    log.delay_s = several.rng.choice(((0.001, 0.05), (0.01, 0.3), (0.5, 2.5)))
    several.is_excused = True
    _later(story, several, lambda: setattr(log, "delay_s", QUICK_S))


def store_connections_lost(story: "Story", several: "Several") -> None:
    log = several.server.log
    log.lost_share = several.rng.choice((0.02, 0.2, 0.7))
    _later(story, several, lambda: setattr(log, "lost_share", 0.0))


def store_full(story: "Story", several: "Several") -> None:
    """Have it refuse changes, as one that is full or a read-only replica does."""
    log, reasons = several.server.log, ("its memory is full", "it is a read-only replica")
    log.refusal = several.rng.choice(reasons)
    _later(story, several, lambda: setattr(log, "refusal", ""))


def store_fails_over(story: "Story", several: "Several") -> None:
    """Have a replica take its place, perhaps one that lacks the last entries."""
    log = several.server.log
    several.lose(min(several.rng.choice((0, 1, 2, 5, 20)), len(log.batches)))
    if several.rng.random() < 0.5:
        store_away(story, several)


def store_emptied(story: "Story", several: "Several") -> None:
    """Have it lose everything, as FLUSHALL or a restart without a disk does."""
    del story
    several.lose(len(several.server.log.batches))


ACTS: list[Act] = [
    *(kill_one_tracker, kill_all_trackers, restart_tracker, pause_tracker, cut_tracker),
    *(tracker_leaves_file, tracker_joins_file, troubled_push),
    *(store_away, store_hangs, store_slow, store_connections_lost, store_full),
    *(store_fails_over, store_emptied),
]
