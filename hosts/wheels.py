"""Packages for hosts unlike this one: wheels that pip gets here, opened as if installed."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from shoal.hosts.distributions import Files, Shoal
from shoal.hosts.machine import Machine
from shoal.protocol.errors import OperatorError

OLDEST_GLIBC = 17  # 2.17 of 2012: no wheel of today asks for an older one.
OLD_NAMES = ("manylinux2014", "manylinux2010", "manylinux1")
MOST_SAID = 200  # Characters: pip lists all versions that there are.
MUSL = ("musllinux_1_2", "musllinux_1_1")


def fetched(shoal: Shoal, machine: Machine) -> Files:
    """Return the files of all that shoal depends on, for a machine's Python, and of shoal.

    Raises:
        OperatorError: pip cannot get one of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        _download(shoal, machine, Path(folder))
        files: dict[str, Path | bytes] = dict(shoal.files)
        for wheel in sorted(Path(folder).glob("*.whl")):
            files |= _opened(wheel)
    return files


def platforms(machine: Machine) -> list[str]:
    """Return the platform tags that run on a machine, the best first."""
    if machine.libc != "glibc":
        names = list(MUSL)
    else:
        newest = machine.glibc[1]
        names = [f"manylinux_2_{minor}" for minor in range(newest, OLDEST_GLIBC - 1, -1)]
        names += OLD_NAMES
    return [f"{name}_{machine.processor}" for name in names]


def _download(shoal: Shoal, machine: Machine, folder: Path) -> None:
    pins = folder / "constraints.txt"
    pins.write_text(shoal.pins())
    python = ".".join(map(str, machine.version))
    options = ["--only-binary=:all:", "--python-version", python, "--constraint", str(pins)]
    for name in platforms(machine):
        options += ["--platform", name]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command = [*pip, "--dest", str(folder), *options, *shoal.requires]
    done = subprocess.run(  # noqa: S603 (ourselves)
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = (said or ["ERROR: it does not say why"])[0][: len("ERROR: ") + MOST_SAID]
        what = f"packages for Python {python} on {machine.processor} ({machine.libc})"
        message = f"pip here cannot get {what}: {reason.removeprefix('ERROR: ')}"
        remedy = f"see that {sys.executable} has pip and a package index"
        raise OperatorError(f"{message}; {remedy}, or name another Python there with --python")


def _opened(wheel: Path) -> Files:
    files: dict[str, Path | bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top, _, rest = name.partition("/")
            if top.endswith(".data"):  # Spread by the wheel's installer.
                kind, _, rest = rest.partition("/")
                name_there = rest if kind in {"purelib", "platlib"} else ""
            else:
                name_there = name
            if name_there and not name_there.endswith("/"):
                files[name_there] = archive.read(name)
    return files
