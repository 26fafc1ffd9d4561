"""The process that has imported everything, and forks for each command. Run by `processes`."""

import importlib
import json
import os
import sys
from typing import Any

from tests.disk_faults.processes import begin, die_with_parent

COMMANDS = ("fetch", "share", "forget", "discard", "verify", "node", "tracker", "ls", "status")


def main() -> None:
    die_with_parent()
    for name in ("cli", "__main__", *(f"commands.{command}" for command in COMMANDS)):
        importlib.import_module(f"shoal.{name}")
    while line := sys.stdin.readline():
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(order)
            return
        say(pid=pid)
        _, status = os.waitpid(pid, 0)
        say(exit=os.waitstatus_to_exitcode(status))


def say(**answer: int) -> None:
    print(json.dumps(answer), flush=True)


def become(order: dict[str, Any]) -> None:
    """Be the command; this process ends with its exit code."""
    die_with_parent()
    for descriptor, path in enumerate([os.devnull, *order["streams"]]):
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.pop("LD_PRELOAD")
    sys.argv = ["shoal", *order["command"]]
    begin(order["shim"])
    importlib.import_module("shoal.__main__").main()


if __name__ == "__main__":
    main()
