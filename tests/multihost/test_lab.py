"""The lab itself: what it promises to the tests that stand on it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.multihost import namespaces, tcp_stream
from tests.multihost.conftest import MakeLab, give_up
from tests.multihost.host_process import HostProcess
from tests.multihost.lab import Lab, LabError
from tests.multihost.wait import wait_until

ROOT = Path(__file__).parents[2]
SET_UP_LIMIT_S = 2.0  # Takes 0.2 s on an idle machine.
RATE_TOLERANCE = 0.12  # 4.4 % are headers; the rest is the scheduler's.
SILENCE_S = 0.2  # A 100 Mbit/s link would carry 1,600 packets in this time.


def receiver(lab: Lab, host: int) -> HostProcess:
    process = lab.start(host, [sys.executable, tcp_stream.__file__, "receive", lab.address(host)])
    wait_until(lambda: "listening" in process.stdout, 10, "the receiver listens")
    return process


def sender(lab: Lab, source: int, sink: int, duration_s: float) -> HostProcess:
    command = [sys.executable, tcp_stream.__file__, "send", lab.address(sink), str(duration_s)]
    return lab.start(source, command)


def rate_mbit(process: HostProcess) -> float:
    assert process.wait(10) == 0, process
    rate: float = json.loads(process.stdout.splitlines()[-1])["rate_mbit"]
    return rate


def labs_of_this_process() -> list[str]:
    return namespaces.existing(f"shoal-lab-{os.getpid()}-")


def test_every_host_reaches_every_other(make_lab: MakeLab) -> None:
    lab = make_lab(3)
    for source, sink in [(1, 2), (2, 3), (3, 1)]:
        receiving = receiver(lab, sink)
        assert sender(lab, source, sink, 0.01).wait(10) == 0
        assert receiving.wait(10) == 0


@pytest.mark.parametrize(("source", "sink"), [(1, 2), (2, 1)])
def test_a_hosts_link_is_limited_in_each_direction(
    make_lab: MakeLab, source: int, sink: int
) -> None:
    lab = make_lab(2)
    lab.set_rate(1, 40)
    receiving = receiver(lab, sink)
    sender(lab, source, sink, 0.7)
    assert rate_mbit(receiving) == pytest.approx(40, rel=RATE_TOLERANCE)


def test_both_directions_at_once_do_not_share_the_rate(make_lab: MakeLab) -> None:
    lab = make_lab(2, rate_mbit=100)
    receiving = [receiver(lab, 1), receiver(lab, 2)]
    sender(lab, 1, 2, 0.7)
    sender(lab, 2, 1, 0.7)
    # Acknowledgements queue behind data, so TCP gives up a lot; a shared link carries 100 in all.
    assert sum(map(rate_mbit, receiving)) > 120


def test_a_lifted_limit_no_longer_holds(make_lab: MakeLab) -> None:
    lab = make_lab(2, rate_mbit=10)
    lab.set_rate(1, None)
    lab.set_rate(2, None)
    receiving = receiver(lab, 2)
    sender(lab, 1, 2, 0.2)
    assert rate_mbit(receiving) > 200


def test_a_pulled_cable_cuts_and_a_plugged_one_carries_on(make_lab: MakeLab) -> None:
    lab = make_lab(2, rate_mbit=100)
    receiving = receiver(lab, 2)
    sending = sender(lab, 1, 2, 1.0)
    wait_until(lambda: lab.received_bytes(2) > 1_000_000, 10, "the stream flows")
    lab.link(2, up=False)
    before = lab.received_bytes(2)
    time.sleep(SILENCE_S)
    assert lab.received_bytes(2) == before
    lab.link(2, up=True)
    assert sending.wait(10) == 0, sending
    assert receiving.wait(10) == 0, receiving
    assert lab.received_bytes(2) > before


def test_two_labs_do_not_hear_each_other(make_lab: MakeLab) -> None:
    one, other = make_lab(2), make_lab(2)
    receiving = receiver(one, 2)
    assert sender(other, 1, 2, 0.01).wait(10) != 0
    assert sender(one, 1, 2, 0.01).wait(10) == 0
    assert receiving.wait(10) == 0


def test_thirty_three_hosts_are_up_in_two_seconds(make_lab: MakeLab) -> None:
    started = time.monotonic()
    lab = make_lab(33, rate_mbit=100)
    assert time.monotonic() - started < SET_UP_LIMIT_S
    receiving = receiver(lab, 33)
    assert sender(lab, 1, 33, 0.01).wait(10) == 0
    assert receiving.wait(10) == 0


def test_no_host_needs_room_in_the_table_of_neighbours(make_lab: MakeLab) -> None:
    lab = make_lab(4)
    for host in lab.hosts:
        known = lab.run(host, ["ip", "neigh", "show"], timeout_s=10).stdout.splitlines()
        assert sorted(line.split()[0] for line in known) == [
            lab.address(other) for other in lab.hosts if other != host
        ]
        assert all("PERMANENT" in line for line in known)  # They count nowhere.


def test_teardown_leaves_no_namespace_and_no_process(make_lab: MakeLab, tmp_path: Path) -> None:
    already_there = labs_of_this_process()
    with Lab(2, directory=tmp_path) as lab:
        lab.start(1, ["sleep", "60"])
        detached = lab.run(2, ["sh", "-c", "setsid sleep 60 >/dev/null & echo $!"], timeout_s=10)
        hosts = [lab.namespace(1), lab.namespace(2)]
        wait_until(lambda: len(namespaces.pids_inside(hosts)) == 2, 5, "both are inside")
        inside = namespaces.pids_inside(hosts)
        assert int(detached.stdout) in inside
    assert labs_of_this_process() == already_there
    assert not [pid for pid in inside if Path(f"/proc/{pid}/exe").exists()]


def test_a_failed_set_up_is_torn_down(make_lab: MakeLab, tmp_path: Path) -> None:
    already_there = labs_of_this_process()
    with pytest.raises(LabError, match="rate"), Lab(2, rate_mbit=0, directory=tmp_path):
        pass
    assert labs_of_this_process() == already_there


def test_a_new_lab_removes_what_a_killed_one_left(make_lab: MakeLab, tmp_path: Path) -> None:
    program = f"""if True:
        import os, pathlib
        from tests.multihost.lab import Lab
        with Lab(1, directory=pathlib.Path({str(tmp_path)!r})) as lab:
            lab.run(1, ["sh", "-c", "sleep 60 &"], timeout_s=10)
            print(os.getpid(), lab.namespace(1), flush=True)
            os.kill(os.getpid(), 9)
    """
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    pid, left = killed.stdout.split()
    assert left in namespaces.existing(f"shoal-lab-{pid}-")
    sleeping = namespaces.pids_inside([left])
    assert len(sleeping) == 1
    make_lab(1)
    assert namespaces.existing(f"shoal-lab-{pid}-") == []
    assert not Path(f"/proc/{sleeping[0]}/exe").exists()


def test_a_command_that_overruns_is_killed_and_quoted(make_lab: MakeLab) -> None:
    lab = make_lab(1)
    with pytest.raises(TimeoutError, match="as far as here"):
        lab.run(1, ["sh", "-c", "echo as far as here; sleep 60"], timeout_s=0.2)
    wait_until(lambda: not namespaces.pids_inside([lab.namespace(1)]), 5, "all of it is dead")


def test_where_no_lab_can_be_built_tests_are_skipped_but_fail_in_ci() -> None:
    with pytest.raises(pytest.skip.Exception, match="not root"):
        give_up("not root", {})
    with pytest.raises(pytest.fail.Exception, match="not root"):
        give_up("not root", {"CI": "true"})
