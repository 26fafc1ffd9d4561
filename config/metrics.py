"""Where processes tell how they are: `metrics`, at the top of a cluster file or for one process."""

from collections.abc import Hashable
from typing import NamedTuple

from shoal.config.document import Value
from shoal.config.folders import claim
from shoal.protocol import addresses

EXPECTED = "HOST:PORT of this machine, as in 127.0.0.1:9109"


class MetricsPlace(NamedTuple):
    """Where to listen for HTTP. All addresses of the machine if the host is 0.0.0.0 or ::."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def within_reach(self) -> "MetricsPlace":
        """Where this machine itself can ask."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (as somebody chose it)
        return MetricsPlace(everywhere.get(self.host, self.host), self.port)


def place_in(text: str) -> MetricsPlace:
    """Return the place that a text means.

    Raises:
        ValueError: it means none; the message is a phrase that says so.
    """
    try:
        return MetricsPlace(*addresses.split(f"tcp://{text}"))
    except ValueError:
        raise ValueError("is not of the form HOST:PORT") from None


class MetricsPlaces:
    """Gives each process of a cluster file its place."""

    def __init__(self, everywhere: Value | None) -> None:
        """Take what the file has for all processes, if anything.

        Of several processes on one machine the first gets that port, and each other the next one
        that is free.
        """
        self.taken: dict[Hashable, str] = {}  # Hosts and ports, and by whom.
        self._default = None if everywhere is None else _read(everywhere)
        self._everywhere = everywhere

    def of(self, name: str, own: Value | None, machine: str) -> MetricsPlace | None:
        """Return the place of a process on a machine, given what the file has for it alone."""
        if own is not None:
            place = _read(own)
            claim(self.taken, ("metrics", machine, place.port), f"the metrics of {name}", own)
            return place
        if self._default is None:
            return None
        port = self._default.port
        while {(machine, port), ("metrics", machine, port)} & self.taken.keys():
            port += 1
        if port > addresses.MAX_PORT:
            assert self._everywhere is not None
            found = f"found {self._default}, after which no port is left for {name}"
            raise self._everywhere.error(found, "expected a lower one")
        self.taken["metrics", machine, port] = f"the metrics of {name}"
        return MetricsPlace(self._default.host, port)


def _read(value: Value) -> MetricsPlace:
    text = value.text(EXPECTED)
    try:
        return place_in(text)
    except ValueError as error:
        raise value.error(f"found {text}, which {error}", f"expected {EXPECTED}") from None
