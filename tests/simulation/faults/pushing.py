"""Pushes: what is drawn for those who push; and what must have come of it in the end."""

import random
from typing import TYPE_CHECKING

from shoal.broker.tracking.pushes import DISOBEYS
from shoal.protocol.pushing import Target, Verdict

from tests.simulation.faults import keyed, threads
from tests.simulation.faults.acts import unless_calm
from tests.simulation.faults.trace import Finding
from tests.simulation.faults.users import is_in_the_way

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.story import Story

RACKS = ("rack-1", "rack-2")
PUSHED_S = 300.0  # After that everybody has what is pushed: failures are retried less and less.
COMMAND_S = 20.0
LOOKS = 8  # At the verdicts, until they are right, …
LOOK_AGAIN_S = 3.0  # … as nodes tell what they have.


def target(rng: random.Random, nodes: list[str]) -> Target:
    """Return whom something is pushed to."""
    match rng.randrange(4):
        case 0:
            return Target(tuple(rng.sample(nodes, rng.randint(1, len(nodes)))))
        case 1:
            return Target(zones=(rng.choice(RACKS),))
        case _:
            return Target()


def push(story: "Story") -> None:
    """Push the newest version, or perhaps another one."""
    rng, cluster = story.rng, story.cluster
    name = rng.choice(sorted(story.names))
    versions = cluster.archive.by_name.get(name, [])
    what = name
    if versions and rng.random() < 0.3:
        what = f"{name}@{rng.choice(versions).id[3:]}"
    cluster.desk.push(what, target(rng, sorted(cluster.nodes)), keyed.pusher(story))


def cancel_push(story: "Story") -> None:
    story.cluster.desk.cancel(story.rng.choice(sorted(story.names)))


def change_racks(story: "Story") -> None:
    """Put nodes into other zones, and have the tracker read its file again."""
    zones = {node: story.rng.choice((*RACKS, None)) for node in story.cluster.zones}
    story.cluster.zones = zones
    story.cluster.reload_trackers()


def draw(story: "Story") -> None:
    """Put pushes into the story, in two of three seeds; perhaps a node joins the cluster later."""
    rng, cluster = story.rng, story.cluster
    nodes = sorted(cluster.nodes)
    cluster.zones = {node: rng.choice((*RACKS, None)) for node in nodes}
    count = rng.choice((0, 1, 3))
    for _ in range(count):
        cluster.loop.at(rng.uniform(1.0, 30.0), unless_calm, story, push)
    for _ in range(count if rng.random() < 0.7 else 0):
        act = rng.choice((push, cancel_push, change_racks))
        cluster.loop.at(rng.uniform(3.0, 40.0), unless_calm, story, act)
    if count and rng.random() < 0.5:
        story.joins_late = nodes[-1]
        del cluster.zones[nodes[-1]]
        cluster.loop.at(rng.uniform(3.0, 50.0), join, story)
    story.has_pushes = count > 0
    for node in cluster.nodes.values():
        node.obeys, node.in_place = rng.random() < 0.95, rng.random() < 0.3


def join(story: "Story") -> None:
    """Have the last node in the cluster file, unless it is: it may run already, or not."""
    cluster, node = story.cluster, story.joins_late
    if not node or node in cluster.zones:
        return
    cluster.hits["node joins"] += 1
    cluster.zones[node] = story.rng.choice((*RACKS, None))
    cluster.trace.note(f"{node} is in the cluster file now")
    cluster.reload_trackers()
    keyed.joined(story, node)


ACTS = (push, cancel_push, change_racks)


# What must have come of it.


class Settlement:
    """Has everybody get what is pushed once all faults are over, and then cancels it."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._cluster: Cluster = story.cluster

    def settle(self) -> None:
        """Raise Finding if somebody does not get it in time, or the verdicts are wrong."""
        cluster = self._cluster
        join(self._story)
        for user in self._story.users.values():
            threads.Thread(target=user.verify, name=f"{user.host.name}-user").start()
        self._push_more()
        cluster.run(PUSHED_S, lambda: not self._missing())
        if missing := self._missing():
            raise Finding("liveness", missing)
        self._require_verdicts()
        self._cancel_all()

    def require_over(self) -> None:
        """Require that all nodes know that nothing is pushed any more."""
        cluster = self._cluster
        cluster.run(COMMAND_S, lambda: not self._waiting())
        if waiting := self._waiting():
            raise Finding("cancelled", f"{waiting} does not know that nothing is pushed")

    def _push_more(self) -> None:
        rng, cluster = self._story.rng, self._cluster
        for name in self._story.names if rng.random() < 0.5 else ():
            if rng.random() < 0.5 and cluster.checks.can_be_had(name):
                cluster.desk.push(name, target(rng, sorted(cluster.zones)))
        self._wait_for_the_desk()
        if cluster.several is not None:
            cluster.run(LOOK_AGAIN_S)  # One tracker may answer what another has not heard yet.

    def _wait_for_the_desk(self) -> None:
        desk = self._cluster.desk
        self._cluster.run(COMMAND_S, lambda: not desk.is_busy)
        if desk.is_busy:
            raise Finding("liveness", "a command does not end")

    def _missing(self) -> str:
        """Return who lacks what; empty if nobody lacks anything. Makes way for what is pushed."""
        cluster = self._cluster
        missing = ""
        for name, (content_id, to) in cluster.ledger.current().items():
            meant = [node for node in cluster.ledger.meant(to) if self._obeys(node)]
            without = [node for node in meant if not self._has(node, name, content_id)]
            if without and self._can_be_had(name, content_id):
                missing = f"{without[0]} did not get {name}, {content_id}, which was pushed"
                for node in without:
                    self._make_way(node, name)
        return missing

    def _obeys(self, node: str) -> bool:
        host = self._cluster.nodes[node]
        return host.obeys and not host.read_only  # Its user must say where to.

    def _make_way(self, node: str, name: str) -> None:
        agent = self._cluster.nodes[node].agent
        if agent is not None and node not in self._cluster.ledger.obeyed:
            failures = agent._obeying._wished.failures(self._cluster.clock())
            if any(one.name == name and is_in_the_way(one.reason) for one in failures):
                self._story.users[node].move_away(name)

    def _has(self, node: str, name: str, content_id: str) -> bool:
        agent = self._cluster.nodes[node].agent
        whole = agent.inventory.whole(name) if agent is not None else None
        return whole is not None and whole.id == content_id

    def _can_be_had(self, name: str, content_id: str) -> bool:
        return any(self._has(node, name, content_id) for node in self._cluster.nodes)

    def _require_verdicts(self) -> None:
        cluster, wrong = self._cluster, ""
        for _ in range(LOOKS):
            current = cluster.ledger.current()
            for name in current:
                cluster.desk.look(name)
            self._wait_for_the_desk()
            wrong = self._wrong_verdict(list(current)) or cluster.split_verdicts()
            if not wrong:
                return
            cluster.run(LOOK_AGAIN_S)
        raise Finding("verdicts", wrong)

    def _wrong_verdict(self, names: list[str]) -> str:
        cluster = self._cluster
        for name in names:
            state = cluster.desk.verdicts.get(name)
            if state is None:
                return f"there are none on {name}"
            _, to = cluster.ledger.current()[name]
            cluster.ledger.require_verdicts(to, state.verdicts)
            for one in state.verdicts:
                if not self._is_right(one, name, state.content.id):
                    return f"{one.node} is said to be {one.state} with {name}: {one.reason}"
        return ""

    def _is_right(self, verdict: Verdict, name: str, content_id: str) -> bool:
        if self._has(verdict.node, name, content_id):
            return verdict.state == "done"
        if not self._cluster.nodes[verdict.node].obeys:
            return (verdict.state, verdict.reason) == ("failed", DISOBEYS)
        return verdict.state in {"waiting", "hashing", "fetching", "failed"}

    def _cancel_all(self) -> None:
        cluster = self._cluster
        for name in cluster.ledger.current():
            cluster.desk.cancel(name)
        self._wait_for_the_desk()
        if left := list(cluster.ledger.current()):
            raise Finding("liveness", f"the push of {left[0]} cannot be cancelled")

    def _waiting(self) -> str:
        agents = {name: node.agent for name, node in self._cluster.nodes.items()}
        knowing = (name for name, agent in agents.items() if agent and len(agent._obeying._wished))
        return next(knowing, "")
