"""A process of its own, as its limits cannot be lowered and raised again."""

import subprocess
import sys

CODE = """
import resource
from shoal.system import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {most}))
print(descriptors.raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def raised(most: int) -> str:
    command = [sys.executable, "-c", CODE.format(most=most)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_process_may_open_as_many_as_the_system_lets_it() -> None:
    assert raised(200) == "200 200 200"
    assert raised(64) == "64 64 64"
