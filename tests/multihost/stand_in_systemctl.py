#!/usr/bin/env python3
"""A service manager in the place of systemd, which does not run here as process 1. A script.

It runs what a unit says, waits for READY=1 as Type=notify does, and knows the processes it has
started. Enabling is left to the real systemctl where there is one: that works offline. `loginctl`
in place of `systemctl`, by a link, agrees to everything.
"""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

STATE = Path(os.environ.get("SHOAL_STAND_IN", "/nonexistent"))
REAL = Path("/usr/bin/systemctl")
READY_S = 60.0


def unit_file(name: str, *, is_user: bool) -> Path:
    places = {
        True: Path(os.environ["HOME"], ".config/systemd/user"),
        False: Path("/etc/systemd/system"),
    }
    return places[is_user] / f"{name.removesuffix('.service')}.service"


def setting(unit: Path, name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)
    return str(value)


def pid_of(unit: Path) -> int:
    """Return the process of a unit; 0 if it does not run."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((STATE / unit.name).read_text())
        if (Path("/proc") / str(pid) / "cmdline").read_bytes():
            return pid
    return 0


def start(unit: Path) -> int:
    if pid_of(unit):
        return 0
    if not unit.exists():
        print(f"Failed to start {unit.name}: Unit {unit.name} not found.", file=sys.stderr)
        return 5
    place = f"@shoal-stand-in-{os.getpid()}"  # A path might be too long for a socket.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind("\0" + place[1:])
        notify.settimeout(0.1)
        command = shlex.split(setting(unit, "ExecStart").replace("%%", "%").replace("$$", "$"))
        limit_us = int(setting(unit, "WatchdogSec")) * 1_000_000
        environ = {**os.environ, "NOTIFY_SOCKET": place, "WATCHDOG_USEC": str(limit_us)}
        with (STATE / f"{unit.name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in notify.recv(4096).splitlines():
                    (STATE / unit.name).write_text(str(process.pid))
                    return 0
            if process.poll() is not None:
                (STATE / f"{unit.name}.code").write_text(str(process.returncode))
                break
    print(f"Job for {unit.name} failed because the control process exited.", file=sys.stderr)
    return 1


def stop(unit: Path) -> int:
    while pid := pid_of(unit):
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)
    return 0


def enable(unit: Path, action: str, *, is_user: bool) -> int:
    if REAL.exists() and not is_user:
        return subprocess.run([REAL, "--root=/", action, unit.name], check=False).returncode
    (STATE / f"{unit.name}.enabled").write_text(action)
    return 0


def show(unit: Path, words: list[str]) -> int:
    code = STATE / f"{unit.name}.code"
    main = code.read_text() if code.exists() else "0"
    print(pid_of(unit) if "MainPID" in words else main)
    return 0


def reload(unit: Path) -> int:
    os.kill(pid_of(unit), signal.SIGHUP)
    return 0


def is_active(unit: Path) -> int:
    print("active" if pid_of(unit) else "inactive")
    return 0 if pid_of(unit) else 3


ACTIONS = {"start": start, "stop": stop, "reload": reload, "is-active": is_active}


def main(words: list[str]) -> int:
    STATE.mkdir(exist_ok=True)
    with (STATE / "calls").open("a") as calls:
        calls.write(f"{' '.join(words)}\n")
    is_user = "--user" in words
    action, *rest = [word for word in words if word not in {"--user", "-q"}]
    if action == "is-system-running":
        print("running")
    if action in {"is-system-running", "daemon-reload", "enable-linger"}:
        return 0
    unit = unit_file(rest[-1], is_user=is_user)
    if action == "show":
        return show(unit, rest)
    if action in ACTIONS:
        return ACTIONS[action](unit)
    if "--now" in rest:
        stop(unit)
    return enable(unit, action, is_user=is_user)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
