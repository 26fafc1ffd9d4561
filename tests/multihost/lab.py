"""Several hosts on one Linux machine: network namespaces joined by a switch, with limited links.

Real processes over the real TCP stack, at the speed of a chosen network card. A relay in place of a
host's cable loses and delays packets: not every kernel has netem. Needs root and iproute2.

    with Lab(4, rate_mbit=100, directory=tmp_path) as lab:
        server = lab.start(1, [sys.executable, "-m", "http.server", "--bind", lab.address(1)])
        lab.run(2, ["curl", f"http://{lab.address(1)}:8000"], timeout_s=10)
"""

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.multihost import namespaces, relay
from tests.multihost.host_process import HostProcess, launch
from tests.multihost.namespaces import LabError
from tests.multihost.relay import Relay

MAX_HOSTS = 254  # One /24.
MIN_BURST_BYTES = 128 * 1024  # Two of the 64 KiB packets that TCP hands down at once.
BURST_S = 0.004  # A timer tick at 250 Hz: a smaller bucket runs over before it is drawn from.
QUEUE_MS = 50  # What a switch buffers; more would hide a sender that does not pace itself.

_lab_counts = itertools.count()


class Lab:
    """A context manager; hosts are numbered from 1. Leaving it kills all that runs on its hosts."""

    def __init__(self, hosts: int, rate_mbit: float | None = None, *, directory: Path) -> None:
        """Limit every link to rate_mbit in each direction (None: unlimited).

        Output files go to `directory`.
        """
        if not 1 <= hosts <= MAX_HOSTS:
            raise ValueError(f"hosts is {hosts}, must be 1 to {MAX_HOSTS}")
        self.hosts = range(1, hosts + 1)
        self._rate_mbit = rate_mbit
        self._directory = directory
        self._prefix = namespaces.name_prefix(os.getpid(), next(_lab_counts))
        self._switch = f"{self._prefix}switch"
        self._plugs = {host: _port(host) for host in self.hosts}  # Into the switch.
        self._processes: list[HostProcess] = []
        self._outputs = itertools.count()  # Threads may start processes at the same time.
        self._relays: list[Relay] = []

    def __enter__(self) -> Self:
        namespaces.remove_leftovers(self._prefix)
        try:
            self._set_up()
        except BaseException:
            self._tear_down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._tear_down()

    def address(self, host: int) -> str:
        return f"10.77.0.{host}"

    def namespace(self, host: int) -> str:
        """Give the name for `ip netns exec NAME …` and `nsenter --net=/var/run/netns/NAME …`."""
        return f"{self._prefix}{host}"

    def entering(self, host: int) -> list[str]:
        """Return what to put before a command for it to run on the host."""
        return _entering(self.namespace(host))

    def start(
        self,
        host: int,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> HostProcess:
        """Start argv on the host and return at once (about 2 ms)."""
        return self._start(self.namespace(host), argv, cwd=cwd, env=env)

    def run(
        self,
        host: int,
        argv: Sequence[str | Path],
        timeout_s: float,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> HostProcess:
        """Run argv on the host to its end; kill it and raise TimeoutError after timeout_s."""
        process = self.start(host, argv, cwd=cwd, env=env)
        try:
            process.wait(timeout_s)
        except TimeoutError:
            process.kill()
            raise
        return process

    def relay(self, host: int, seed: int = 1) -> Relay:
        """Have a relay carry all packets from and to the host, from now on.

        They come to it one by one: whatever a card is to cut into packets is cut before.
        """
        near, far = f"near{host}", f"far{host}"
        lines = [
            f"link add {near} type veth peer name {far}",
            f"link set {_port(host)} nomaster",
            f"link set {near} promisc on up",
            f"link set {_port(host)} promisc on",
            f"link set {far} gso_max_segs 1 master switch up",
        ]
        one_by_one = self._ip(self.namespace(host), "link set uplink gso_max_segs 1")
        namespaces.run_batches([self._ip(self._switch, *lines), one_by_one])
        self._plugs[host] = far
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            number = its.fileno()
            argv = [sys.executable, relay.__file__, number, seed, _port(host), near]
            process = self._start(self._switch, argv, pass_fds=[number])
        self._relays.append(Relay(ours))
        if not ours.recv(2):  # Sent when it is carrying.
            raise LabError(f"the relay has ended: {process}")
        return self._relays[-1]

    def part(self, hosts: Iterable[int]) -> None:
        """Divide the network: these hosts reach each other, and the others each other."""
        lines = [f"link set {self._plugs[host]} master other" for host in hosts]
        namespaces.run_batches(
            [self._ip(self._switch, "link add other type bridge", "link set other up", *lines)]
        )

    def heal(self) -> None:
        """Make one network of both halves again."""
        lines = [f"link set {plug} master switch" for plug in self._plugs.values()]
        namespaces.run_batches([self._ip(self._switch, *lines, "link del other")])

    def link(self, host: int, *, up: bool) -> None:
        """Pull the host's cable or put it back. The host keeps its address, sees no carrier."""
        state = "up" if up else "down"
        namespaces.run_batches([self._ip(self._switch, f"link set {_port(host)} {state}")])

    def set_rate(self, host: int, rate_mbit: float | None) -> None:
        """Limit the host's link to rate_mbit in each direction; None lifts the limit."""
        namespaces.run_batches(
            [
                (["tc", "-n", self.namespace(host), "-batch", "-"], [_limit("uplink", rate_mbit)]),
                (["tc", "-n", self._switch, "-batch", "-"], [_limit(_port(host), rate_mbit)]),
            ]
        )

    def received_bytes(self, host: int) -> int:
        """Count what has come in over the host's link so far, headers included."""
        return self._bytes(host, "rx")

    def sent_bytes(self, host: int) -> int:
        """Count what has gone out over the host's link so far, headers included."""
        return self._bytes(host, "tx")

    def _start(
        self,
        namespace: str,
        argv: Sequence[object],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> HostProcess:
        enter = _entering(namespace)
        output = self._directory / f"{namespace}-{next(self._outputs):03}"
        command = [*enter, *map(str, argv)]
        process = launch(command, output, cwd=cwd, env=env, pass_fds=pass_fds)
        self._processes.append(process)
        return process

    def _bytes(self, host: int, direction: str) -> int:
        show = ["ip", "-n", self.namespace(host), "-json", "-stats", "link", "show", "uplink"]
        answer = json.loads(subprocess.check_output(show))
        count: int = answer[0]["stats64"][direction]["bytes"]
        return count

    def _set_up(self) -> None:
        names = [self._switch, *map(self.namespace, self.hosts)]
        cables = [
            f"link add uplink netns {self.namespace(host)} type veth "
            f"peer name {_port(host)} netns {self._switch}"
            for host in self.hosts
        ]
        namespaces.run_batches(
            [(["ip", "-batch", "-"], [*(f"netns add {name}" for name in names), *cables])]
        )
        namespaces.run_batches([self._switch_on(), *map(self._host_on, self.hosts)])
        if self._rate_mbit is not None:
            self._limit_every_link(self._rate_mbit)

    def _switch_on(self) -> tuple[list[str], list[str]]:
        plug = [f"link set {_port(host)} master switch up" for host in self.hosts]
        return self._ip(self._switch, "link add switch type bridge", "link set switch up", *plug)

    def _host_on(self, host: int) -> tuple[list[str], list[str]]:
        # All namespaces share one table of neighbours: 33 hosts overflow it, and cannot connect.
        neighbours = [
            f"neigh add {self.address(other)} lladdr {_card(other)} dev uplink nud permanent"
            for other in self.hosts
            if other != host
        ]
        return self._ip(
            self.namespace(host),
            f"link set uplink address {_card(host)}",
            f"address add {self.address(host)}/24 dev uplink",
            "link set lo up",
            "link set uplink up",
            *neighbours,
        )

    def _ip(self, namespace: str, *lines: str) -> tuple[list[str], list[str]]:
        return ["ip", "-n", namespace, "-batch", "-"], list(lines)

    def _limit_every_link(self, rate_mbit: float) -> None:
        downward = [_limit(_port(host), rate_mbit) for host in self.hosts]
        upward = [
            (["tc", "-n", self.namespace(host), "-batch", "-"], [_limit("uplink", rate_mbit)])
            for host in self.hosts
        ]
        namespaces.run_batches([(["tc", "-n", self._switch, "-batch", "-"], downward), *upward])

    def _tear_down(self) -> None:
        for process in self._processes:
            process.kill()
        for each in self._relays:
            each.close()
        if names := namespaces.existing(self._prefix):
            namespaces.remove(names)


def _entering(namespace: str) -> list[str]:
    # Not `ip netns exec`: it mounts /sys anew for each process.
    return ["nsenter", f"--net={namespaces.DIRECTORY / namespace}", "--"]


def _port(host: int) -> str:
    return f"port{host}"


def _card(host: int) -> str:
    return f"02:00:0a:4d:00:{host:02x}"


def _limit(device: str, rate_mbit: float | None) -> str:
    if rate_mbit is None:
        return f"qdisc replace dev {device} root noqueue"
    burst_bytes = max(MIN_BURST_BYTES, round(rate_mbit * 1e6 / 8 * BURST_S))
    return (
        f"qdisc replace dev {device} root tbf "
        f"rate {round(rate_mbit * 1e6)}bit burst {burst_bytes}b latency {QUEUE_MS}ms"
    )


__all__ = ["Lab", "LabError"]
