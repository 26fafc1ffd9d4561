"""What is drawn for one seed: which users do what, and which faults come, when."""

import contextlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from blake3 import blake3
from shoal.node.files.signature import GoneError
from shoal.node.folder.whole import Whole
from shoal.protocol.control import Chunking, FetchOrder, ShareOrder

from tests.simulation.faults import content
from tests.simulation.faults.checks import item_at
from tests.simulation.faults.content import look
from tests.simulation.faults.disk import NAMES, OTHERS, WRITES, Habits
from tests.simulation.faults.hosts import Host, NodeHost
from tests.simulation.faults.threads import Thread
from tests.simulation.faults.users import User
from tests.unit.node.disks import rot

if TYPE_CHECKING:
    from tests.simulation.faults.story import Story

Act = Callable[["Story"], None]
CALLS = (*WRITES, *NAMES, *OTHERS, "open", "renameat2", "renameat2", "syncfs", "fsync")
PATTERNS = ("*.x", "a/", "f1*")


def draw(story: "Story") -> None:
    """Put into the story what its seed says."""
    rng, loop = story.rng, story.cluster.loop
    for name in story.names:
        at = rng.uniform(0.0, 3.0)
        loop.at(at, unless_calm, story, lambda story, name=name: publish(story, name))
        for user in story.users.values():
            if rng.random() < 0.7:
                options = _options(rng, is_tree=story.names[name])
                loop.at(rng.uniform(0.5, 15.0), _begin, story, user, name, options)
    for _ in range(rng.choice((0, 3, 8, 16))):
        loop.at(rng.uniform(2.0, 40.0), unless_calm, story, rng.choice(ACTS))
    kinds = rng.sample(FAULTS, rng.choice((0, 1, 2, 3, len(FAULTS))))
    for _ in range(rng.choice((4, 10, 25)) if kinds else 0):
        loop.at(rng.uniform(1.0, 45.0), unless_calm, story, rng.choice(kinds))


def unless_calm(story: "Story", act: Act) -> None:
    """Let an act of a user, or a fault, happen unless the faults are over."""
    if not story.cluster.is_calm:
        story.cluster.hits[act.__name__.replace("_", " ").strip()] += 1
        act(story)


def _begin(story: "Story", user: User, name: str, options: dict[str, object]) -> None:
    if not story.cluster.is_calm:
        user.begin(name, **options)


def _options(rng: random.Random, *, is_tree: bool) -> dict[str, object]:
    options: dict[str, object] = {}
    if is_tree and rng.random() < 0.4:
        options["in_place"] = True
    if is_tree and rng.random() < 0.15:
        options[rng.choice(("include", "exclude"))] = (rng.choice(PATTERNS),)
    if rng.random() < 0.05:
        options["force"] = True
    return options


def _do(work: Callable[[], None]) -> None:
    """Have something done in a thread: it may have to wait."""
    Thread(target=work, name="user").start()


def _user(story: "Story") -> User:
    return story.users[story.rng.choice(sorted(story.users))]


def _name(story: "Story") -> str:
    return story.rng.choice(sorted(story.names))


def _node(story: "Story") -> NodeHost:
    return story.cluster.nodes[story.rng.choice(sorted(story.cluster.nodes))]


# What users do.


def publish(story: "Story", name: str) -> None:
    """Have the usual publisher put a version there, the first or another one."""
    publishers = sorted(story.users)
    user = story.users[publishers[sorted(story.names).index(name) % len(publishers)]]
    versions = story.cluster.archive.by_name.get(name)
    found = look(user.host.folder / name)
    if versions and found:
        items = content.changed(versions[-1].items, story.rng)
    else:
        items = story.items(name)
    _do(lambda: user.publish(name, items))


def new_version(story: "Story") -> None:
    publish(story, _name(story))


def second_publisher(story: "Story") -> None:
    user, name = _user(story), _name(story)
    if look(user.host.folder / name) is None:
        items = story.items(name)
        _do(lambda: user.publish(name, items))


def force_version(story: "Story") -> None:
    user, name = _user(story), _name(story)
    found = look(user.host.folder / name)
    if found and any(item[0] in "fx" for item in found.values()):
        items = content.changed(found, story.rng)

        def work() -> None:
            user.publish(name, items)
            user.share(name)

        _do(work)


def own_file(story: "Story") -> None:
    user, name = _user(story), _name(story)
    if look(user.host.folder / name) is None:
        items = story.items(name)
        _do(lambda: user.lay(name, items))


def own_file_beside(story: "Story") -> None:
    user, name = _user(story), _name(story)
    _do(lambda: user.lay_beside(name))


def rename(story: "Story") -> None:
    _user(story).rename(_name(story))


def remove(story: "Story") -> None:
    _user(story).remove(_name(story))


def forget(story: "Story") -> None:
    _user(story).forget(_name(story), delete=story.rng.random() < 0.5)


def verify(story: "Story") -> None:
    _do(_user(story).verify)


def leave(story: "Story") -> None:
    host = _node(story)
    back_s = story.rng.uniform(0.5, 30.0)
    loop = story.cluster.loop
    host.stop(lambda: loop.at(loop.now + back_s, host.start))


def fetch_by_id(story: "Story") -> None:
    """Fetch a version, perhaps an older one, to a place outside of the folder."""
    user, versions = _user(story), list(story.cluster.archive.by_id.values())
    if versions:
        version = story.rng.choice(versions)
        what = story.rng.choice((version.id, f"{version.name}@{version.id[3:12]}"))
        _do(lambda: user.fetch_outside(what, version))


def fetch_part(story: "Story") -> None:
    """Fetch what is at one path in a tree."""
    user, name = _user(story), _name(story)
    user.order(FetchOrder(f"{name}/{story.rng.choice(('a', 'a/b', 'link', 'f1.x'))}"))


def share_by_content(story: "Story") -> None:
    """Have something cut by its content from now on, or by its size again."""
    chunking: Chunking = story.rng.choice(("content", "fixed"))
    user, name = _user(story), _name(story)
    if user.host.name not in story.cluster.checks.bad_disks:  # It would be hashed as it is now.
        user.order(ShareOrder(name, chunking=chunking))


def share_in_part(story: "Story") -> None:
    user, name = _user(story), _name(story)
    if user.host.name not in story.cluster.checks.bad_disks:
        user.order(ShareOrder(name, exclude=(story.rng.choice(PATTERNS),)))


def fetch_again(story: "Story") -> None:
    user, name = _user(story), _name(story)
    user.begin(name, **_options(story.rng, is_tree=story.names[name]))


ACTS: list[Act] = [
    *(new_version, new_version, second_publisher, force_version, own_file, own_file_beside),
    *(rename, remove, forget, verify, leave, fetch_again, fetch_again, fetch_by_id),
    *(fetch_part, share_by_content, share_in_part),
]


# Faults.


def kill(story: "Story") -> None:
    _kill(story, _node(story))


def kill_tracker(story: "Story") -> None:
    _kill(story, story.cluster.tracker)


def lose_tracker(story: "Story") -> None:
    """Kill the tracker, and lose its state."""
    tracker = story.cluster.tracker
    _kill(story, tracker)
    story.cluster.loop.at(story.cluster.loop.now + 0.05, tracker.forget)


def _kill(story: "Story", host: Host) -> None:
    loop = story.cluster.loop
    host.kill()
    loop.at(loop.now + story.rng.choice((0.1, 2.0, 20.0)) * (0.1 + story.rng.random()), host.start)


def pause(story: "Story") -> None:
    story_rng, loop = story.rng, story.cluster.loop
    host: Host = story.cluster.tracker if story_rng.random() < 0.25 else _node(story)
    process = host.process
    if process is not None and not process.is_dead:
        process.pause()
        story.cluster.trace.note(f"{host.name} is stopped")
        loop.at(loop.now + story_rng.choice((0.2, 4.0, 40.0)) * story_rng.random(), process.go_on)


def cut(story: "Story") -> None:
    """Let nothing through between some hosts and the others, perhaps in one direction only."""
    rng, cluster = story.rng, story.cluster
    hosts = sorted(cluster.net.places)
    some = set(rng.sample(hosts, rng.randint(1, len(hosts) - 1)))
    ways = [(a, b) for a in sorted(some) for b in hosts if b not in some]
    if rng.random() < 0.6:
        ways += [(b, a) for a, b in ways]
    cluster.trace.note(f"{sorted(some)} are cut off from the others")
    cluster.net.cut(ways)
    until = cluster.loop.now + rng.choice((0.5, 5.0, 40.0)) * rng.random()
    cluster.loop.at(until, cluster.net.mend, ways)


def break_connections(story: "Story") -> None:
    net = story.cluster.net
    ends = [end for end in net.ends if end.is_open]
    for end in story.rng.sample(ends, min(len(ends), story.rng.choice((1, 1, 5)))):
        story.cluster.trace.note(f"{end.host} - {end.peer.host}: the connection is lost")
        end.break_off()


def slow_link(story: "Story") -> None:
    host = _node(story)
    place = story.cluster.net.places[host.name]
    place.up.rate_bytes_per_s = story.rng.choice((20e3, 300e3, 12e6))


def bad_disk(story: "Story") -> None:
    """Have calls of a disk fail for a while."""
    rng = story.rng
    host: Host = story.cluster.tracker if rng.random() < 0.15 else _node(story)
    often = rng.choice((3.0, 8.0, 40.0))
    kinds = rng.sample(("fails", "fails", "short", "slow", "reads_fail"), rng.randint(1, 4))
    only = rng.choice(CALLS) if rng.random() < 0.6 else ""
    often = 1.0 + rng.random() if only else often
    host.disk.behave(Habits(only=only, **{f"{kind}_every": often for kind in kinds}))
    _heal_later(story, host)


def deadly_disk(story: "Story") -> None:
    """Have a process die at one of its next calls."""
    host: Host = story.cluster.tracker if story.rng.random() < 0.1 else _node(story)
    only = story.rng.choice(CALLS) if story.rng.random() < 0.7 else ""
    often = 1.0 + story.rng.random() if only else story.rng.choice((5.0, 30.0, 100.0))
    host.disk.behave(Habits(only=only, kills_every=often))
    loop = story.cluster.loop
    for at in (5.0, 10.0, 15.0):
        loop.at(loop.now + at, host.start)
    _heal_later(story, host)


def _heal_later(story: "Story", host: Host) -> None:
    loop = story.cluster.loop
    loop.at(loop.now + story.rng.uniform(1.0, 20.0), host.disk.behave, story.usual)


def full_disk(story: "Story") -> None:
    host, loop = _node(story), story.cluster.loop
    host.disk.is_full = True

    def empty() -> None:
        host.disk.is_full = False

    loop.at(loop.now + story.rng.uniform(0.5, 15.0), empty)


def rot_something(story: "Story") -> None:
    """Change a bit of a file in a folder, or of what is being fetched, and no time."""
    host = _node(story)
    if not host.read_only:  # There ctimes count, so that it is a change like any other.
        _do(lambda: _rot(story, host))


def _rot(story: "Story", host: NodeHost) -> None:
    rng, user = story.rng, story.users[host.name]
    names = [name for name in story.names if user.is_done_with(name) and _is_known(host, name)]
    names = [one for one in names if not (host.folder / one).is_symlink()]
    places = [host.folder / name for name in names] + [host.folder / ".shoal/partial"]
    files = [path for place in places for path in (place, *sorted(place.rglob("*")))]
    files = [path for path in files if path.is_file() and not path.is_symlink()]
    ours = [path for path in files if path.stat().st_size]
    if not ours:
        return
    path = rng.choice(ours)
    before = item_at(path)
    rot(path, rng.randrange(path.stat().st_size))
    inside = str(path.relative_to(host.folder))
    story.cluster.checks.bad_disks.add(host.name)
    if ".shoal" in path.parts:
        _, _, part = inside.partition("/tree/")
        story.cluster.checks.rotten_parts.add((host.name, part))
    story.cluster.trace.note(f"{host.name}: {inside} rots")
    if ".shoal" not in path.parts:
        now = item_at(path)
        assert before is not None
        assert now is not None
        story.cluster.checks.rotted(host.name, inside, before, now)


def _is_as_hashed(whole: Whole) -> bool:
    with contextlib.suppress(GoneError):
        every = range(whole.chunk_count)
        return all(blake3(whole.read(at)).digest() == whole.manifest.digest(at) for at in every)
    return False


def _is_known(host: NodeHost, name: str) -> bool:
    """Say whether a node has hashed something as it is, and will know it: what rots is no news."""
    whole = host.agent.inventory.whole(name) if host.agent else None
    if whole is None or host.agent is None:
        return False
    cached = host.agent._cache.manifest_of(name, whole.signature)
    found = look(host.folder / name)
    return cached is not None and found is not None and _is_as_hashed(whole)


FAULTS: list[Act] = [
    *(kill, kill_tracker, lose_tracker, pause, cut, break_connections, slow_link),
    *(bad_disk, deadly_disk, full_disk, rot_something),
]
