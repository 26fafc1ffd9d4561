"""Commands on the hosts, on all at the same time, each by what on-host.sh does."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from shoal.hosts.connections import Connections
from shoal.hosts.roles import Role

ON_HOST = Path(__file__).with_name("on-host.sh")
MAX_CONNECTIONS = 256  # At a time: each is a process here.
LOOK_S = 0.1
READ = "sh -c 'eval \"$(dd bs=1 count={size} 2>/dev/null)\"' on-host"  # Not a byte too many.

Look = Callable[[Mapping[Role, str]], None]  # Given what each waits for.


class Outcome(NamedTuple):
    """How a command ended on one host."""

    role: Role
    exit_code: int  # The command's, or 255 from ssh.
    stdout: str
    stderr: str


class Payload(NamedTuple):
    """What is sent to a host."""

    name: str  # For the reader of a dry run.
    data: bytes


class Hosts:
    """The hosts, and what a cluster is called there. A context manager."""

    def __init__(
        self,
        cluster: str,
        shoal: str,
        connections: Connections,
        *,
        show: Callable[[str], None] | None = None,
        look: Look = lambda _: None,
    ) -> None:
        """Remember how to reach the hosts; connect to none.

        Args:
            cluster: the name of the cluster, and of its folder on the hosts.
            shoal: the command for shoal on the hosts, perhaps of several words.
            connections: to them.
            show: for a dry run: told of each command line, of which none is run.
            look: called ten times a second while hosts are waited for.
        """
        self.cluster = cluster
        self._connections = connections
        self._shoal = shoal
        self._show = show
        self._look = look
        self._doing: dict[Role, str] = {}

    def __enter__(self) -> Self:
        if not self.is_dry_run:
            self._connections.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connections.__exit__(kind, error, trace)

    @property
    def is_dry_run(self) -> bool:
        return self._show is not None

    def on_each(
        self, roles: Sequence[Role], doing: str, do: Callable[[Role], Outcome]
    ) -> list[Outcome]:
        """Do it for all at the same time; a dry run keeps the order, for the reader.

        If this thread is interrupted, what runs here and on the hosts is ended first.

        Args:
            roles: for which.
            doing: what it is, for the one who looks: "starting".
            do: called in a thread for each role.
        """
        self._doing = dict.fromkeys(roles, doing)  # In this order.
        with ThreadPoolExecutor(1 if self.is_dry_run else MAX_CONNECTIONS) as pool:
            futures = {role: pool.submit(self._done, role, do) for role in roles}
            try:
                self._wait(list(futures.values()))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._connections.processes.end()
                raise
            return [future.result() for future in futures.values()]

    def tell(self, role: Role, doing: str) -> None:
        """Say what a host is doing, for the one who looks."""
        self._doing[role] = doing

    def act(self, role: Role, action: str, *arguments: str) -> Outcome:
        """Do something to the role, or `run` a shoal command on its host."""
        return self.over_ssh(role, [action, self.cluster, self._shoal, *arguments])

    def put(self, role: Role, payload: Payload, name: str, *how: str) -> Outcome:
        """Copy something to the role's host, into ~/.shoal-hosts.

        It takes the place of the old one when it is there; a process may be reading that.

        Args:
            role: on that host.
            payload: what is sent.
            name: its path there, within ~/.shoal-hosts.
            how: as on-host.sh takes it.
        """
        return self.over_ssh(role, ["put", name, str(len(payload.data)), *how], payload)

    def over_ssh(self, role: Role, words: Sequence[str], payload: Payload | None = None) -> Outcome:
        """Do what on-host.sh does for `words`, which gets the payload as its input.

        Raises:
            OperatorError: there is no such ssh.
        """
        script = _script()
        command = f"{READ.format(size=len(script))} {shlex.join(words)}"
        if self._show is not None:
            parts = shlex.join(["cat", str(ON_HOST), payload.name if payload else "-"])
            self._show(f"{parts} | {shlex.join(self._connections.argv(role.host, command))}")
            return Outcome(role, 0, "", "")
        doing = self._doing.get(role, "")
        self.tell(role, "connecting")
        code, out, err = self._connections.connect(role.host)
        self.tell(role, doing)
        if code == 0:
            code, out, err = self._connections.processes.run(
                role.name,
                self._connections.argv(role.host, command),
                script + (payload.data if payload else b""),
                stays_open=payload is None,
                sent=lambda done: self._sent(role, payload, done - len(script)),
            )
        return Outcome(role, code, out, err)

    def _done(self, role: Role, do: Callable[[Role], Outcome]) -> Outcome:
        try:
            return do(role)
        finally:
            del self._doing[role]

    def _wait(self, futures: Sequence[Future[Outcome]]) -> None:
        waiting = set(futures)
        while waiting:  # In short steps: a signal may come to another thread than this.
            waiting = wait(waiting, LOOK_S).not_done
            said = self._connections.processes.last_said()
            doing = dict(self._doing)
            self._look({role: said.get(role.name, does) for role, does in doing.items()})

    def _sent(self, role: Role, payload: Payload | None, done: int) -> None:
        if payload is not None and done > 0:
            is_sent = done == len(payload.data)
            percent = 100 * done // len(payload.data)
            self.tell(
                role, "checking what was sent" if is_sent else f"sent {percent} % of {payload.name}"
            )


@cache
def _script() -> bytes:
    return ON_HOST.read_bytes()


def failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return those that went wrong."""
    return [outcome for outcome in outcomes if outcome.exit_code != 0]


def reached(outcomes: Iterable[Outcome]) -> list[Role]:
    """Return the roles for which it went well."""
    return [outcome.role for outcome in outcomes if outcome.exit_code == 0]
