"""The swarm benchmark leaves nothing behind when it is ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.multihost import namespaces
from tests.multihost.conftest import give_up
from tests.multihost.swarm import ROOT
from tests.multihost.wait import wait_until

LIMIT_S = 60.0


def test_ended_by_a_signal_it_takes_its_hosts_with_it(
    lab_obstacle: str | None, tmp_path: Path
) -> None:
    if lab_obstacle is not None:
        give_up(lab_obstacle, os.environ)
    command = ["-m", "tests.benchmark.swarm", "--only", "shoal", "--hosts", "1", "--size-mib", "1"]
    command += ["--folder", str(tmp_path)]
    with subprocess.Popen([sys.executable, *command], cwd=ROOT) as benchmark:
        hosts = f"shoal-lab-{benchmark.pid}-"

        def has_hosts() -> bool:
            assert benchmark.poll() is None, "it ended by itself"
            return namespaces.pids_inside(namespaces.existing(hosts)) != []

        wait_until(has_hosts, LIMIT_S, hosts)
        benchmark.terminate()
        assert benchmark.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert namespaces.existing(hosts) == []
    assert list(tmp_path.iterdir()) == []
