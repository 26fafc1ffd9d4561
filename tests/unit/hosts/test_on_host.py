"""What runs on a host, under whatever shell its user has: the same for all."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shoal.hosts.bundle import Bundle
from shoal.hosts.machine import told
from shoal.hosts.ssh import ON_HOST, READ

SCRIPT = ON_HOST.read_bytes()
PACKAGES = {
    "shoal/__main__.py": b"import sys\ndef main():\n    print('here', *sys.argv[1:])\n",
    "shoal/__init__.py": b"",
    "shoal/cli.py": b"",
    "shoal/node/__init__.py": b"",
    "shoal/node/agent.py": b"",
    "shoal/broker/__init__.py": b"",
    "shoal/broker/server.py": b"",
}


class Host:
    """A home on this machine, and a login shell."""

    def __init__(self, shell: str, home: Path) -> None:
        self.home = home
        self._shell = shell
        self._environ = {**os.environ, "HOME": str(home)}

    def run(self, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = f"{READ.format(size=len(SCRIPT))} {shlex.join(words)}"
        return subprocess.run(
            [self._shell, "-c", command],
            input=SCRIPT + data,
            env=self._environ,
            capture_output=True,
            check=False,
            timeout=60,
        )

    @property
    def bundles(self) -> list[str]:
        return sorted(path.name for path in (self.home / ".shoal-hosts" / "bundle").iterdir())


@pytest.fixture(params=["dash", "bash", "tcsh", "fish", "zsh"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    if shutil.which(request.param) is None:
        pytest.skip(f"needs {request.param}")
    return Host(request.param, tmp_path)


def test_it_says_what_it_is(host: Host) -> None:
    machine = told(host.run("ask", "no-such-python", sys.executable).stdout.decode().strip())
    assert machine.version == (sys.version_info.major, sys.version_info.minor)
    none = host.run("ask", "no-such-python")
    assert none.returncode == 2
    assert b"error: there is no no-such-python there; install Python 3.11 or newer" in none.stderr


def test_a_bundle_is_installed_whole_or_not_at_all(host: Host) -> None:
    archive = Bundle(PACKAGES).archive()
    half = host.run("install", sys.executable, "one", data=archive[: len(archive) // 2])
    assert half.returncode == 8
    assert b"error: cannot unpack shoal in " in half.stderr
    assert host.bundles == []
    done = host.run("install", sys.executable, "one", data=archive)
    assert (done.returncode, done.stdout) == (0, b"installed\n"), done
    shoal = str(host.home / ".shoal-hosts" / "bin" / "shoal")
    environ = {"HOME": str(host.home), "PATH": os.environ["PATH"]}
    assert subprocess.check_output([shoal, "a b"], env=environ) == b"here a b\n"
    assert host.run("use", "one").returncode == 0
    assert host.run("use", "other").returncode == 3
    assert host.bundles == [f"current.{os.uname().nodename}", "one"]


def test_packages_that_do_not_run_there_are_no_bundle(host: Host) -> None:
    broken = Bundle(PACKAGES | {"shoal/cli.py": b"raise ImportError('GLIBC_2.38 not found')\n"})
    refused = host.run("install", sys.executable, "one", data=broken.archive())
    assert refused.returncode == 2
    assert b"error: shoal does not run with " in refused.stderr
    assert refused.stderr.endswith(b"there: ImportError: GLIBC_2.38 not found\n")
    assert host.bundles == []


def test_a_file_arrives_whole_or_not_at_all(host: Host) -> None:
    folder = host.home / ".shoal-hosts" / "my lab"
    assert host.run("put", "my lab/it's.yaml", "3", "only", data=b"abc").returncode == 0
    short = host.run("put", "my lab/it's.yaml", "4", "only", data=b"xyz")
    assert short.returncode == 8
    assert [path.name for path in folder.iterdir()] == ["it's.yaml"]
    assert (folder / "it's.yaml").read_bytes() == b"abc"


def test_a_command_ends_with_its_input(host: Host) -> None:
    (host.home / ".shoal-hosts" / "lab").mkdir(parents=True)
    sleeper = host.home / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 100\n")
    sleeper.chmod(0o755)
    assert host.run("run", "lab", str(sleeper)).returncode == 143
    none = host.run("run", "lab", "no-such-shoal")
    assert (none.returncode, none.stdout) == (2, b"")
    assert b"error: no-such-shoal is not installed there; run `shoal hosts up`" in none.stderr
