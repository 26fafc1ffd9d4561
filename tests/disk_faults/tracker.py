"""A tracker whose disk fails, or loses its power: what it remembers is what it knew at a moment."""

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from shoal.api.asking import ask
from shoal.broker.tracking.changes import Change
from shoal.protocol.errors import OperatorError
from shoal.protocol.messages import Holding, Leave, Ok, Update, Withdrawal
from shoal.protocol.trackers import Trackers

from tests.disk_faults.failing import KILLED, Trouble, what_it_said_is_wrong
from tests.disk_faults.log import recorded
from tests.disk_faults.losses import Checked, Effort, Recording, checked
from tests.disk_faults.model import Disk, after_power_loss, pool_of
from tests.disk_faults.processes import NO_FAULT, Ended, Fault, How, Warm
from tests.disk_faults.recovery import loaded_log
from tests.integration.cluster import free_address
from tests.unit.broker.test_sqlite_store import timeless

NODES = {f"n{number}": f"tcp://127.0.0.1:1100{number}" for number in range(1, 4)}
ROUNDS = 3  # Updates of each node.


def after_each_loss_of_the_tracker(folder: Path, warm: Warm, effort: Effort) -> Checked:
    """Check what a tracker knows after a loss of power at every `effort.step`-th change."""
    made = _recording(folder, warm)
    disk, changes, _ = made
    with pool_of(folder / "disk", disk.nodes) as pool:
        moments = set()
        for count in range(len(changes) + 1):
            with pool.made(after_power_loss(disk, changes[:count], {})) as place:
                moments.add(_known(place))

        def wrong_in(place: Path, _: bool) -> Iterator[str]:  # noqa: FBT001 (as losses.WrongIn)
            known = _known(place)
            if known not in moments:
                yield f"it never knew just this: {sorted(map(repr, known))}"
            if set_aside := [path.name for path in place.glob("*.corrupt-*")]:
                yield f"it takes its file for damaged: {set_aside}"

        return checked("tracker", made, effort, pool, wrong_in)


def failing_tracker(
    folder: Path, warm: Warm, mode: str, chosen: Iterator[Fault], calls: Counter[str]
) -> list[Trouble]:
    """Run a tracker with each of these faults, up to the first that does not come about.

    It answers whatever its disk does, and starts again.
    """
    one, troubles = _Tracker(folder, warm), []
    shutil.copytree(one.state, folder / "prepared")
    for fault in chosen:
        shutil.rmtree(one.state)
        shutil.copytree(folder / "prepared", one.state)
        found: list[str] = []
        ended = one.run(fault, on_trouble=found.append)
        if not ended.failed:
            break
        calls[ended.failed.split()[0]] += 1
        if fault.how is How.KILL:
            found = [] if ended.exit_code == KILLED else [f"exit code {ended.exit_code}"]
        else:
            found += what_it_said_is_wrong(ended)
        found += what_it_said_is_wrong(one.run(NO_FAULT, on_trouble=found.append))
        troubles += [Trouble("tracker", mode, fault.at, ended.failed, text) for text in found]
    return troubles


class _Tracker:
    """A tracker in a process of its own, which some nodes have told what they hold."""

    def __init__(self, folder: Path, warm: Warm) -> None:
        self.state = folder / "disk"
        self._file = folder / "cluster.yaml"
        self._warm = warm
        self._address = free_address()
        self._said = itertools.count(1)  # Nodes that are started again have ever larger epochs.
        self.state.mkdir(parents=True)
        nodes = (f"  {name}: {{address: '{at}', folder: {name}}}\n" for name, at in NODES.items())
        tracker = f"tracker: {{address: '{self._address}', state_folder: {self.state}}}"
        self._file.write_text(f"{tracker}\nnodes:\n{''.join(nodes)}")
        assert self._run(NO_FAULT, None, lambda: _announce(self._address, 0)).exit_code == 0

    def run(
        self, fault: Fault, log: Path | None = None, on_trouble: Callable[[str], None] = print
    ) -> Ended:
        """Have it run while the nodes hold something else, again and again."""

        def announce() -> None:
            try:
                for number in itertools.islice(self._said, ROUNDS):
                    _announce(self._address, number)
            except OperatorError as error:
                on_trouble(f"it does not answer: {error}")

        return self._run(fault, log, announce)

    def _run(self, fault: Fault, log: Path | None, then: Callable[[], None]) -> Ended:
        command = ["tracker", "--config", str(self._file)]
        return self._warm.run(command, self.state, fault, log, "tracker at", then)


def _recording(folder: Path, warm: Warm) -> Recording:
    one, log = _Tracker(folder, warm), folder / "log"
    disk = Disk.of(one.state)
    ended = one.run(NO_FAULT, log)
    assert ended.exit_code == 0, ended
    changes = recorded(log)
    return Recording.of(disk, changes, len(changes))


def _announce(address: str, number: int) -> None:
    """Have each node hold a new version, and less of the old ones; one leaves."""
    for node, at in NODES.items():
        new = Holding("a.bin", _id(number), 10, version=number + 1, publisher="n1")
        part = Holding(f"{node}.bin", _id(100 + number), 20, complete=False)
        gone = (Withdrawal("a.bin", _id(number - 1)),) if number else ()
        update = Update(node, at, 1 + number, 1, (new, part), gone)
        ask(Trackers([address]), update, Ok)
    ask(Trackers([address]), Leave("n3", 1 + number), Ok)


def _id(number: int) -> str:
    return f"b3:{number:064x}"


def _known(place: Path) -> frozenset[Change]:
    return frozenset(map(timeless, loaded_log(place / "tracker.db")))
