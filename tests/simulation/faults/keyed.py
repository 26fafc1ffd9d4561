"""Keys: what is drawn for clusters that have them, and how all have the same ones in the end."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.config.security import TRACKER
from shoal.protocol.permits import Publish

from tests.simulation.faults.hosts import Host, NodeHost
from tests.simulation.faults.keyrings import ADMIN, READER
from tests.simulation.faults.knocking import Knocker
from tests.simulation.faults.liars import Complainer, Liar

if TYPE_CHECKING:
    from tests.simulation.faults.story import Story

SHARE = 1 / 3  # Of the seeds.
MEMBERS_SHARE = 0.6  # Of the liars: the others are strangers.
ADMINS_SHARE = 0.85  # Of those who push.
COPIED_S = 5.0  # How long it takes at most until a host has the new file.


def draw(story: "Story") -> None:
    """Give keys to the cluster, in a share of the seeds, and draw how they change."""
    cluster, rng = story.cluster, story.cluster.keys_rng
    if rng.random() >= SHARE:
        return
    lying = [each.name for each in story.liars if isinstance(each, Liar | Complainer)]
    members = [name for name in lying if rng.random() < MEMBERS_SHARE]
    publish = rng.choice((Publish.MEMBERS, Publish.MEMBERS, Publish.FIRST))
    nodes = [*cluster.nodes, *members]
    listed = [name for name in nodes if name != story.joins_late]
    cluster.keyrings.switch_on(nodes, listed, cluster.scratch, publish)
    cluster.hits["keys"] += 1
    cluster.trace.note(f"there are keys; publish: {publish}")
    for number in range(140, 140 + rng.choice((0, 1, 1, 2))):
        knocker = Knocker(cluster, number, random.Random(rng.getrandbits(64)))
        story.liars.append(knocker)
        cluster.loop.at(rng.uniform(0.0, 5.0), knocker.begin)
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        act = rng.choice(ACTS)
        cluster.loop.at(rng.uniform(1.0, 45.0), _unless_calm, story, act)


def _unless_calm(story: "Story", act: Callable[["Story"], None]) -> None:
    if not story.cluster.is_calm:
        story.cluster.hits[act.__name__.replace("_", " ")] += 1
        act(story)


def spread(story: "Story", *but: str) -> None:
    """Bring the file to all hosts but some, one after the other, and send SIGHUP there."""
    cluster, rng = story.cluster, story.cluster.keys_rng
    for host in (cluster.tracker, *cluster.nodes.values()):
        if host.name not in but:
            at = cluster.loop.now + rng.uniform(0.0, COPIED_S)
            cluster.loop.at(at, _copy, story, host)


def _copy(story: "Story", host: Host) -> None:
    story.cluster.keyrings.copy_to(host.name)
    host.reload()


def joined(story: "Story", node: str) -> None:
    """Have a node in the cluster file that was not, if there are keys."""
    if story.cluster.keyrings.is_on:
        story.cluster.keyrings.put(node)
        spread(story)


def _node(story: "Story") -> NodeHost:
    cluster = story.cluster
    return cluster.nodes[cluster.keys_rng.choice(sorted(cluster.zones))]


def expel_node(story: "Story") -> None:
    """Take a node's key out of the file; later it is put back. It may not have the new file."""
    cluster, rng, node = story.cluster, story.cluster.keys_rng, _node(story)
    cluster.keyrings.take_out(node.name)
    cluster.trace.note(f"{node.name} has no key in the cluster file any more")
    spread(story, *([node.name] if rng.random() < 0.5 else []))
    cluster.loop.at(cluster.loop.now + rng.uniform(2.0, 40.0), _put_back, story, node)


def _put_back(story: "Story", node: NodeHost) -> None:
    if not story.cluster.is_calm:
        story.cluster.keyrings.put(node.name)
        story.cluster.trace.note(f"the key of {node.name} is in the cluster file again")
        spread(story)


def new_key_of_node(story: "Story") -> None:
    """Replace a node's key; the node has to be started again."""
    cluster, node = story.cluster, _node(story)
    cluster.keyrings.replace(node.name)
    cluster.trace.note(f"{node.name} has a new key")
    spread(story)
    later_s = cluster.keys_rng.uniform(0.0, 2 * COPIED_S)
    cluster.loop.at(cluster.loop.now + later_s, lambda: node.stop(node.start))


def new_key_of_tracker(story: "Story") -> None:
    """Replace the tracker's key, and start it again."""
    cluster, tracker = story.cluster, story.cluster.tracker
    cluster.keyrings.replace(TRACKER)
    cluster.keyrings.copy_to(TRACKER)
    cluster.trace.note("the tracker has a new key")
    spread(story)
    tracker.kill()
    cluster.loop.at(cluster.loop.now + cluster.keys_rng.uniform(0.1, 3.0), tracker.start)


ACTS: list[Callable[["Story"], None]] = [
    *(expel_node, expel_node, new_key_of_node, new_key_of_tracker),
]


def pusher(story: "Story") -> str:
    """Return with whose key something is pushed: now and then a reader tries."""
    return ADMIN if story.cluster.keys_rng.random() < ADMINS_SHARE else READER


def settle(story: "Story") -> None:
    """Have all nodes in the file, and all processes go by it; as the faults are over."""
    cluster, keyrings = story.cluster, story.cluster.keyrings
    if not keyrings.is_on:
        return
    for node in sorted(cluster.zones):
        keyrings.put(node)
    for host in (cluster.tracker, *cluster.nodes.values()):
        keyrings.copy_to(host.name)
        host.reload()
        if keyrings.is_outdated(host.name):
            host.kill()
