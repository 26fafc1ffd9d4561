"""The numbers of host names, looked up in threads of our own.

libzmq would look a name up in the thread that sends and receives for everybody: as long as the name
service does not answer, nothing is served. So it is given numbers alone. Only names of the cluster
file come here, never a peer's (`protocol.addresses.may_be_holder`).
"""

import socket
import threading
import time
from collections.abc import Callable

from shoal.protocol import addresses

KEEP_S = 60.0  # Found numbers are looked up again after this; until then, and meanwhile, they hold.
RETRY_S = 2.0  # The same for a name that was not found: the service may just be starting.
LIMIT_S = 5.0  # Then nobody waits any more; the thread is left to the C library, for 30 s or so.
LOOK_S = 0.02
MOST_LOOKUPS = 64  # At a time. Each is a thread, and one for each host at most.


class HostNameError(Exception):
    """No numbers for a host name; the message is a phrase that says so."""


class _Host:
    """What is known of one host."""

    def __init__(self) -> None:
        self.numbers: tuple[str, ...] = ()  # In the order in which to try them.
        self.began_at: float | None = None  # While it is being looked up.
        self.ended_at: float | None = None
        self.trouble = ""

    def is_due(self, now: float) -> bool:
        if self.began_at is not None:
            return False
        return self.ended_at is None or now >= self.ended_at + (RETRY_S if self.trouble else KEEP_S)


class HostNames:
    """Knows the numbers of each host that was asked for. May be used from any thread."""

    def __init__(self, look_up: Callable[[str], tuple[str, ...]] | None = None) -> None:
        """`look_up` returns the numbers of a host, or raises OSError or UnicodeError."""
        self._look_up = look_up or _look_up
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._running = 0

    def find(self, address: str) -> str | None:
        """Return an address with numbers for its host name; None while they are looked up.

        Waits for nothing. An address of numbers is returned as it is.

        Raises:
            HostNameError: there are none, or the name service has not answered in time.
        """
        name, port = addresses.split(address)
        if addresses.ip(name) is not None:
            return address
        numbers = self._find(name)
        if not numbers:
            return None
        return f"tcp://[{numbers[0]}]:{port}" if ":" in numbers[0] else f"tcp://{numbers[0]}:{port}"

    def known(self, name: str) -> tuple[str, ...]:
        """Return all numbers of a host that are known now; if none are, they are looked up."""
        if addresses.ip(name) is not None:
            return (name,)
        try:
            return self._find(name)
        except HostNameError:
            return ()

    def best(self, address: str) -> str:
        """Return an address with numbers for its host name if they are known, else as it is."""
        try:
            return self.find(address) or address
        except HostNameError:
            return address

    def wait(self, address: str) -> str:
        """Return the same, after at most LIMIT_S; a signal's handler may run meanwhile.

        Raises:
            HostNameError: as `find`.
        """
        self.wait_for_all(addresses.split(address)[0])
        found = self.find(address)
        assert found is not None
        return found

    def wait_for_all(self, name: str) -> tuple[str, ...]:
        """Return all numbers of a host, after at most LIMIT_S.

        Raises:
            HostNameError: as `find`.
        """
        if addresses.ip(name) is not None:
            return (name,)
        until = time.monotonic() + LIMIT_S
        while not (found := self._find(name)):
            if time.monotonic() >= until:
                raise HostNameError(f"the name service does not answer for {name}")
            time.sleep(LOOK_S)
        return found

    def _find(self, name: str) -> tuple[str, ...]:
        now = time.monotonic()
        with self._lock:
            host = self._hosts.setdefault(name.lower(), _Host())
            if host.is_due(now) and self._running < MOST_LOOKUPS:
                self._begin(name, host, now)
            if host.numbers:
                return host.numbers
            if host.began_at is not None and now - host.began_at >= LIMIT_S:
                raise HostNameError(f"the name service does not answer for {name}")
            if host.trouble:
                raise HostNameError(f"the name service does not know {name}: {host.trouble}")
        return ()

    def _begin(self, name: str, host: _Host, now: float) -> None:
        host.began_at = now
        self._running += 1
        threading.Thread(target=self._run, args=(name, host), name="look-up", daemon=True).start()

    def _run(self, name: str, host: _Host) -> None:
        numbers: tuple[str, ...] = ()
        trouble = ""
        try:
            numbers = self._look_up(name)
        except (OSError, UnicodeError) as error:
            trouble = getattr(error, "strerror", None) or str(error)
        with self._lock:
            self._running -= 1
            host.began_at, host.ended_at = None, time.monotonic()
            host.trouble = trouble
            host.numbers = numbers or host.numbers  # Old ones are better than none.


def _look_up(name: str) -> tuple[str, ...]:
    host = name.encode() if name.isascii() else name  # A str is taken for IDNA: 2 ms of imports.
    found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(place[0]) for *_, place in found))


HOST_NAMES = HostNames()  # One for a process: whoever asks next finds what is known.
