"""The installed packages that shoal is made of, file by file: no pip, and nothing is built.

Of a clone, the files that pyproject.toml names; of all else, those that its installer recorded.
"""

import contextlib
import importlib.metadata
import importlib.util
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any, NamedTuple

from shoal.protocol.errors import OperatorError

ROOT = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_")
_OPTIONAL = ("redis",)  # For trackers that share a store.
_OLD_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}

Files = Mapping[str, Path | bytes]  # By path, as in site-packages: where it is, or its contents.
Libc = tuple[int, int]


class Shoal(NamedTuple):
    """This shoal and the distributions that it depends on."""

    files: Files
    requires: list[str]
    needed: list[Distribution]

    def all_files(self) -> Files:
        """Return the files of all.

        Raises:
            OperatorError: one was installed without a record of its files.
        """
        every: dict[str, Path | bytes] = dict(self.files)
        for distribution in self.needed:
            every |= recorded(distribution)
        return every

    def pins(self) -> str:
        """Return constraints for pip: the versions that are installed here."""
        return "".join(f"{one.name}=={one.version}\n" for one in self.needed)

    def least_glibc(self, ours: Libc) -> Libc:
        """Return the oldest glibc with which all run; `ours` if they were built here."""
        wheels = (one.read_text("WHEEL") or "" for one in self.needed)
        return max((_least_glibc(wheel, ours) for wheel in wheels), default=(0, 0))


def this_shoal() -> Shoal:
    """Find this shoal and all that it depends on.

    Raises:
        OperatorError: something is not installed in a way that tells its files.
    """
    if (ROOT / "pyproject.toml").is_file():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        requires = [*project["project"]["dependencies"], *_optional()]
        return Shoal(_of_clone(project), requires, _needed(requires))
    with contextlib.suppress(PackageNotFoundError, OperatorError):
        shoal = importlib.metadata.distribution("shoal")
        files = recorded(shoal)
        if "shoal/hosts/on-host.sh" in files:  # Not so if it is an editable one.
            requires = [*(shoal.requires or ()), *_optional()]
            return Shoal(files, requires, _needed(requires))
    message = f"cannot tell which files shoal in {ROOT} is made of"
    raise OperatorError(f"{message}; run this from a clone, or install shoal with pip")


def recorded(distribution: Distribution) -> Files:
    """Return the files of an installed distribution, but for programs and compiled modules.

    Raises:
        OperatorError: they are not recorded.
    """
    files: dict[str, Path | bytes] = {}
    for file in distribution.files or ():
        name = file.as_posix()
        if not name.startswith(("../", "/", "bin/")) and file.suffix != ".pyc":
            files[name] = Path(str(distribution.locate_file(file)))
    if not files or not any(name.endswith("/METADATA") for name in files):
        message = f"cannot tell which files {distribution.name} is made of"
        raise OperatorError(f"{message}; install shoal with pip, in a virtual environment")
    return files


def _of_clone(project: Mapping[str, Any]) -> Files:
    files: dict[str, Path | bytes] = {}
    setuptools = project["tool"]["setuptools"]
    for package in setuptools["packages"]:
        for path in ROOT.joinpath(*package.split(".")[1:]).glob("*.py"):
            files[f"{package.replace('.', '/')}/{path.name}"] = path
    for pattern in setuptools["package-data"]["shoal"]:
        for path in ROOT.glob(pattern):
            files[f"shoal/{path.relative_to(ROOT).as_posix()}"] = path
    about = project["project"]
    lines = ["Metadata-Version: 2.1", f"Name: {about['name']}", f"Version: {about['version']}"]
    lines += [f"Requires-Dist: {one}" for one in about["dependencies"]]
    info = f"{about['name']}-{about['version']}.dist-info"
    files[f"{info}/METADATA"] = "".join(f"{line}\n" for line in lines).encode()
    record = "".join(f"{name},,\n" for name in sorted([*files, f"{info}/RECORD"]))
    files[f"{info}/RECORD"] = record.encode()  # With it, a host can send it on.
    return files


def _optional() -> list[str]:
    """Return what a host may need besides, and is installed here."""
    return [name for name in _OPTIONAL if importlib.util.find_spec(name) is not None]


def _needed(requires: Iterable[str]) -> list[Distribution]:
    """Return what is installed of all that is required, by what is required, too."""
    found: dict[str, Distribution] = {}
    waiting = list(requires)
    while waiting:
        requirement = waiting.pop()
        name = _NAME.match(requirement)
        if name is None or "extra ==" in requirement:
            continue
        try:
            distribution = importlib.metadata.distribution(name[0])
        except PackageNotFoundError:  # Of another system.
            continue
        if distribution.name not in found:
            found[distribution.name] = distribution
            waiting += distribution.requires or ()
    return [found[name] for name in sorted(found)]


def _least_glibc(wheel: str, ours: Libc) -> Libc:
    """Return the oldest glibc that will do for one of a wheel's tags."""
    will_do = []
    for tag in re.findall(r"^Tag: .*-(\S+)$", wheel, re.MULTILINE):
        known = _GLIBC.match(tag)
        old = next((libc for name, libc in _OLD_GLIBC.items() if tag.startswith(f"{name}_")), ours)
        will_do.append((int(known[1]), int(known[2])) if known else (0, 0) if tag == "any" else old)
    return min(will_do, default=ours)
