"""Puts units where systemd finds them, and takes them off again. What is in them: config.units."""

import contextlib
import getpass
import os
import shutil
import subprocess
from pathlib import Path

from shoal.config.units import Unit
from shoal.protocol.errors import NotAllowedError, OperatorError, UnavailableError
from shoal.protocol.names import display

SYSTEM = Path("/etc/systemd/system")
MARK = "made by `shoal service`"
LIMIT_S = 120.0  # A node may take 20 s to end, and its service manager is busy at boot.
RUNNING = {"initializing", "starting", "running", "degraded", "maintenance", "stopping"}


def place_of(unit: Unit) -> Path:
    """Return the path of a unit's file."""
    if unit.user is not None:
        return SYSTEM / f"{unit.name}.service"
    settings = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(settings, "systemd", "user", f"{unit.name}.service")


def install(unit: Unit) -> bool:
    """Have systemd start a unit with the machine; return whether that was so already.

    What runs goes on as it is.

    Raises:
        OperatorError: systemd does not run here, or another's file has that name.
        NotAllowedError: it would end when the user logs out.
    """
    _require_systemd(unit)
    place = place_of(unit)
    _require_ours(place)
    if unit.user is None:
        _linger()
    for folder in unit.folders:
        _make(folder, unit.user)
    is_same = place.exists() and place.read_text() == unit.text
    if not is_same:
        _write(place, unit.text)
        _systemctl(unit, "daemon-reload")
    _systemctl(unit, "enable", unit.name)
    return is_same


def remove(unit: Unit) -> bool:
    """Stop a unit, and have systemd know it no longer; return whether it did.

    Raises:
        OperatorError: systemd does not run here, or the file is another's.
    """
    place = place_of(unit)
    if not place.exists():
        return False
    _require_systemd(unit)
    _require_ours(place)
    _systemctl(unit, "disable", "--now", unit.name)
    place.unlink()
    _systemctl(unit, "daemon-reload")
    return True


def start_command(unit: Unit) -> str:
    """Return the command that starts a unit now."""
    return f"systemctl {'' if unit.user else '--user '}start {unit.name}"


def _require_systemd(unit: Unit) -> None:
    """Raise OperatorError unless systemd runs the machine, or the user's services."""
    state, trouble = "", "there is no systemctl"
    if shutil.which("systemctl"):
        asked = _run(unit, "is-system-running")
        state = asked.stdout.strip()
        trouble = _last(asked.stderr) or f"its state is {state or 'unknown'}"
    if state not in RUNNING:
        whose = "for services of this user" if unit.user is None else "here"
        remedy = "start it another way, as `shoal hosts start` does, or as root"
        raise OperatorError(f"systemd does not run {whose}: {trouble}; {remedy}")


def _require_ours(place: Path) -> None:
    if place.exists() and MARK not in place.read_text(errors="replace"):
        remedy = "name another unit with --unit, or move it away"
        raise OperatorError(f"{display(str(place))} was not made by shoal; {remedy}")


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(place)


def _linger() -> None:
    """Have the user's services run while nobody is logged in."""
    done = subprocess.run(
        ["loginctl", "enable-linger"],  # noqa: S607 (the user's PATH counts)
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    if done.returncode != 0:
        user = getpass.getuser()
        trouble = _last(done.stderr)
        remedy = f"have root run `loginctl enable-linger {user}`, and run this again"
        raise NotAllowedError(f"services of {user} would end at logout: {trouble}; {remedy}")


def _make(folder: Path, user: str | None) -> None:
    """Make a folder that is missing: a unit does not start without what it may write."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    if user is not None:
        with contextlib.suppress(LookupError):
            shutil.chown(folder, user)


def _systemctl(unit: Unit, *words: str) -> None:
    done = _run(unit, *words)
    if done.returncode != 0:
        what = f"`systemctl {' '.join(words)}`"
        raise UnavailableError(f"{what} failed: {_last(done.stderr)}; see `journalctl -xe`")


def _run(unit: Unit, *words: str) -> subprocess.CompletedProcess[str]:
    own = ["--user"] if unit.user is None else []
    return subprocess.run(  # noqa: S603 (our own words)
        ["systemctl", *own, *words],  # noqa: S607 (the user's PATH counts)
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip()
