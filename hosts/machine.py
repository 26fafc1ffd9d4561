"""What a host runs: its Python, processor and C library. Judges whether shoal can run there."""

import platform
import re
import sys
import sysconfig

import msgspec
from shoal.protocol.errors import OperatorError

OLDEST_PYTHON = (3, 11)


class Machine(msgspec.Struct, frozen=True):
    """A host's answer, or what this machine would answer."""

    python: str  # The path of its interpreter.
    version: tuple[int, int]
    implementation: str
    platform: str
    libc: str
    libc_version: str
    bundles: tuple[str, ...] = ()  # The names of those that are there.

    @property
    def processor(self) -> str:
        return self.platform.rpartition("-")[2]

    @property
    def glibc(self) -> tuple[int, int]:
        """The version of glibc; (0, 0) if it is another C library, or does not say."""
        numbers = re.match(r"(\d{1,3})\.(\d{1,3})(?!\d)", self.libc_version, re.ASCII)
        if self.libc != "glibc" or numbers is None:
            return (0, 0)
        return int(numbers[1]), int(numbers[2])

    def runs_the_same(self, least_glibc: tuple[int, int]) -> bool:
        """Return whether compiled packages of this machine run there.

        They do if they need no newer glibc than that; with another C library, if it is ours.
        """
        ours = this_machine()
        return (
            (self.version, self.implementation) == (ours.version, ours.implementation)
            and (self.platform, self.libc) == (ours.platform, ours.libc)
            and (self.libc != "glibc" or self.glibc >= least_glibc)
        )


def told(answer: str) -> Machine:
    """Read a host's answer.

    Raises:
        OperatorError: it makes no sense, or shoal cannot run there; the message says why.
    """
    try:
        machine = msgspec.json.decode(answer.rpartition("\n")[2], type=Machine)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        message = f"it answered {answer[:80]!r} and not what its Python is"
        raise OperatorError(f"{message}; see what its shell prints at login") from None
    if machine.version < OLDEST_PYTHON:
        version = ".".join(map(str, machine.version))
        message = f"{machine.python} there is {version}; shoal needs 3.11 or newer"
        raise OperatorError(f"{message}: install it, or name another with --python")
    if machine.implementation != "CPython":
        message = f"{machine.python} there is {machine.implementation}; shoal needs CPython"
        raise OperatorError(f"{message}: name another with --python")
    if not machine.platform.startswith("linux-"):
        raise OperatorError(f"{machine.platform} is there; `shoal hosts up` needs Linux")
    return machine


def this_machine() -> Machine:
    """Return what this machine would answer."""
    libc, version = platform.libc_ver()
    return Machine(
        sys.executable,
        (sys.version_info.major, sys.version_info.minor),
        platform.python_implementation() + sys.abiflags,
        sysconfig.get_platform(),
        libc if libc == "glibc" else "musl",
        version,
    )
