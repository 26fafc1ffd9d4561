"""Peer-to-peer file distribution for LANs and clusters, over ZeroMQ.

    with shoal.connect("lab.yaml", as_="n1") as s:
        path = s.fetch("llama-70b")

Each name below is imported when it is asked for: `import shoal` alone takes a millisecond.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.api.exceptions import (
        Corrupt,
        DiskTrouble,
        Invalid,
        NotAllowed,
        NotFound,
        ShoalError,
        Stopped,
        TimedOut,
        Unreachable,
    )
    from shoal.api.reading import Reader
    from shoal.api.session import Session, connect
    from shoal.api.told import Delivery, File, Place, Progress, Thing

__all__ = [
    "Corrupt",
    "Delivery",
    "DiskTrouble",
    "File",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "Place",
    "Progress",
    "Reader",
    "Session",
    "ShoalError",
    "Stopped",
    "Thing",
    "TimedOut",
    "Unreachable",
    "connect",
]

__version__: str  # From the package's metadata, which costs 10 ms to read.

_MODULES = {"Reader": "reading", "Session": "session", "connect": "session"}
_MODULES |= dict.fromkeys(("Delivery", "File", "Place", "Progress", "Thing"), "told")


def __getattr__(name: str) -> object:
    if name == "__version__":
        found = _version()
    elif name in __all__:
        module = _MODULES.get(name, "exceptions")
        found = getattr(import_module(f"shoal.api.{module}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def _version() -> object:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 (as said above)

    try:
        return version("shoal")
    except PackageNotFoundError:
        return "0+unknown"  # A clone that is not installed.
