"""A thread that dies ends the process's work; a node is never half alive."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from shoal.commands.exit_codes import ExitCode
from shoal.commands.thread_guard import ThreadGuard
from shoal.protocol.errors import BugError, Kind, OperatorError

from tests.unit.wire.places import LIMIT_S, free_address


def die() -> None:
    raise ValueError("of this")


def test_says_which_thread_died_of_what_and_ends_the_rest_once() -> None:
    kinds: list[Kind] = []
    before = threading.excepthook
    has_died = threading.Event()

    def on_death(kind: Kind) -> None:
        kinds.append(kind)
        has_died.set()

    def watch_them_die() -> None:
        with ThreadGuard(on_death, end_s=LIMIT_S / 10):
            for name in ("watch", "session"):
                thread = threading.Thread(target=die, name=name)
                thread.start()
                thread.join(LIMIT_S)
            assert has_died.wait(LIMIT_S)

    with pytest.raises(
        OperatorError, match="the thread 'watch' died of ValueError: of this"
    ) as end:
        watch_them_die()
    assert isinstance(end.value, BugError)
    assert kinds == [BugError]
    assert threading.excepthook is before
    timers = (one for one in threading.enumerate() if isinstance(one, threading.Timer))
    for timer in timers:  # Or one of them kills this process.
        timer.join(LIMIT_S)


def test_threads_that_end_are_no_deaths() -> None:
    with ThreadGuard(lambda _: pytest.fail("nobody died")):
        for target in (lambda: None, sys.exit):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join(LIMIT_S)


SCRIPT = """
import threading, time
from shoal.commands.thread_guard import ThreadGuard

def die():
    raise ValueError("of this")

with ThreadGuard(lambda _: None, end_s=0.1):
    threading.Thread(target=die, name="heal").start()
    time.sleep(60)
"""


@pytest.mark.parametrize("debug", [True, False])
def test_what_does_not_end_is_ended(*, debug: bool) -> None:
    environment = {"PATH": "", **({"SHOAL_DEBUG": "1"} if debug else {})}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == ExitCode.BUG
    assert done.stderr.splitlines()[-1].startswith("error: this is a bug: the thread 'heal' died")
    assert ("Traceback" in done.stderr) is debug
    assert debug or len(done.stderr.splitlines()) == 1


BROKEN = """
import sys
from {module} import {owner}

def die(*_):
    raise ValueError("of this")

{owner}.{method} = die
sys.argv = ["shoal", {arguments}]
from shoal.cli import main
main()
"""
NODE = '"node", "n1"'
FETCH = '"fetch", "a", "--as", "n1"'
DEATHS = [
    ("watch", "shoal.node.folder.watcher", "Watcher", "_look", NODE),
    ("session", "shoal.node.network.session", "Session", "_hear", NODE),
    ("serve", "shoal.node.network.chunk_server", "ChunkServer", "_serve", NODE),
    ("read", "shoal.node.network.readers", "_Reader", "_run", NODE),
    ("heal", "shoal.node.orders.healer", "Healer", "_run", NODE),
    ("session", "shoal.node.network.session", "Session", "_hear", FETCH),
]


@pytest.mark.parametrize(("name", "module", "owner", "method", "arguments"), DEATHS)
def test_no_node_goes_on_without_one_of_its_threads(
    tmp_path: Path, name: str, module: str, owner: str, method: str, arguments: str
) -> None:
    """A node would go on for good, and announce nothing, or notice nothing."""
    config = tmp_path / "lan.yaml"
    addresses = [free_address(), free_address()]
    config.write_text(
        f"tracker: {{address: '{addresses[0]}'}}\n"
        f"nodes:\n  n1: {{address: '{addresses[1]}', folder: '{tmp_path}/n1'}}\n"
    )
    script = BROKEN.format(module=module, owner=owner, method=method, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "", "SHOAL_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=2 * LIMIT_S,
        check=False,
    )
    assert done.returncode == ExitCode.BUG
    assert f"this is a bug: the thread '{name}' died of ValueError" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
