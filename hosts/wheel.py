"""The wheel that is sent to the hosts: of this shoal, whether it is a clone or installed.

Shoal is in no package index. A clone is built anew; an installed shoal is put together again from
the files that its installer has recorded.
"""

import base64
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from shoal.protocol.errors import DiskError, OperatorError

ROOT = Path(__file__).resolve().parents[1]
PINS = "constraints.txt"  # Which versions of its dependencies the hosts get: those that are here.
_INSTALLERS = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}  # Not the wheel's own.
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def gather(folder: Path, *, with_dependencies: bool) -> None:
    """Put this shoal's wheel, its pins and, if wanted, all that it depends on into `folder`.

    Raises:
        OperatorError: pip cannot build or find something, or shoal was installed in another way.
        DiskError: some of shoal's files cannot be read.
    """
    if (ROOT / "pyproject.toml").is_file():
        shutil.copy(ROOT / PINS, folder)
        _build(folder)
    else:
        shoal = _installed()
        pins = "".join(f"{name}=={version}\n" for name, version in sorted(_needed(shoal).items()))
        (folder / PINS).write_text(pins)
        put_together(shoal, folder)
    if with_dependencies:
        (wheel,) = folder.glob("shoal-*.whl")
        _pip_wheel(folder, ["--constraint", str(folder / PINS), "--find-links", folder, wheel])


def put_together(shoal: Distribution, folder: Path) -> Path:
    """Write the wheel from which a distribution might have been installed; return its path."""
    wheel = folder / f"shoal-{shoal.version}-py3-none-any.whl"
    records = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(shoal.files or ()):
            name = file.as_posix()
            is_own = not name.startswith("..") and not name.startswith("bin/")
            if not is_own or file.suffix == ".pyc" or file.name in _INSTALLERS:
                continue
            data = _read(Path(str(shoal.locate_file(file))))
            archive.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            records.append(f"{name},sha256={digest},{len(data)}\n")
        record = f"shoal-{shoal.version}.dist-info/RECORD"
        archive.writestr(record, "".join([*records, f"{record},,\n"]))
    return wheel


def _installed() -> Distribution:
    try:
        shoal = importlib.metadata.distribution("shoal")
    except PackageNotFoundError:
        shoal = None
    if shoal is None or not any(file.name == "on-host.sh" for file in shoal.files or ()):
        message = f"cannot tell which files shoal in {ROOT} is made of"
        raise OperatorError(f"{message}; run this from a clone, or install shoal with pip")
    return shoal


def _needed(shoal: Distribution) -> dict[str, str]:
    """Return the versions of all that a distribution depends on, as far as they are installed."""
    versions: dict[str, str] = {}
    waiting = [shoal]
    while waiting:
        for requirement in waiting.pop().requires or ():
            name = _NAME.match(requirement)
            if name is None or name[0] in versions or "extra ==" in requirement:
                continue
            try:
                found = importlib.metadata.distribution(name[0])
            except PackageNotFoundError:  # Of an extra, or another system.
                continue
            versions[name[0]] = found.version
            waiting.append(found)
    return versions


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise DiskError(f"{message}; install shoal again") from None


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as copy:
        source = Path(copy, "source")
        # A copy: `build/` in the clone would keep modules that are long gone.
        skipped = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, source, ignore=skipped)
        _pip_wheel(folder, ["--no-deps", source])


def _pip_wheel(folder: Path, arguments: list[str | Path]) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command = [*pip, "--wheel-dir", folder, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it does not say why"]
        message = f"pip cannot gather shoal's wheels: {said[-1]}"
        raise OperatorError(f"{message}; see that {sys.executable} has pip and a package index")
