"""Who pushes: the commands' own code, in processes of their own."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.api import push as api
from shoal.api.asking import Line
from shoal.api.push import State
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.pushing import Target
from shoal.protocol.trackers import Trackers

from tests.simulation.faults.keyrings import ADMIN
from tests.simulation.faults.threads import Process

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster

DESK, ADDRESS = "desk", "tcp://10.0.0.240:5000"


class Desk:
    """A host at which somebody gives the commands `push`, `push --cancel` and `push --wait`."""

    def __init__(self, cluster: "Cluster") -> None:
        self.verdicts: dict[str, State] = {}  # As last told, by name.
        self._cluster = cluster
        self._asked = 0
        cluster.link(DESK)
        cluster.net.hosts[ADDRESS] = DESK

    def push(self, what: str, to: Target, by: str = ADMIN) -> None:
        """Push something, once; if there are keys, with that of `by`."""

        def work(line: Line) -> None:
            content = api.found(line, what)
            api.begin(line, content, to)
            self._note("is pushed", f"{content.name}, {content.id[:11]}")
            self._cluster.ledger.acknowledged(content.name, (content.id, to))

        self._do(work, by)

    def cancel(self, name: str) -> None:
        """Cancel a push, once."""

        def work(line: Line) -> None:
            try:
                api.cancel(line, name)
            except NotFoundError:  # It promises nothing: what ended it may not be saved yet.
                self._note("push over already", name)
                return
            self._note("push cancelled", name)
            self._cluster.ledger.acknowledged(name, None)

        self._do(work)

    def look(self, name: str) -> None:
        """Ask how far a push is, once."""

        def work(line: Line) -> None:
            self.verdicts[name] = api.state_of_push(line, name)

        self.verdicts.pop(name, None)
        self._do(work)

    @property
    def is_busy(self) -> bool:
        """Whether a command is running."""
        return self._asked > 0

    def _do(self, work: Callable[[Line], None], by: str = ADMIN) -> None:
        loop, keyrings = self._cluster.loop, self._cluster.keyrings
        process = Process(loop, DESK, loop.next_number())
        who = f"{DESK}{process.number}"  # Each prefers another tracker, if there are several.

        def command() -> None:
            try:
                trackers = Trackers(self._cluster.tracker_addresses, who)
                with Line(trackers, keyrings.towards_tracker(by)) as line:
                    work(line)
            except OperatorError as error:
                self._note("push refused", f"a command, by {error}")
            self._asked -= 1
            process.end()

        self._asked += 1
        process.start(command)

    def _note(self, what: str, text: str) -> None:
        self._cluster.hits[what] += 1
        self._cluster.trace.note(f"{what}: {text}")
