"""The wheel in a program of somebody else's, which has modules of the same names."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.integration.cluster import ROOT

OWN = ("broker", "cli", "commands", "config", "node", "protocol", "wire")
PROGRAM = """
import gc, logging, os, signal, sys, warnings

def state():
    umask = os.umask(0o022)
    os.umask(umask)
    return (
        umask, dict(os.environ), gc.get_threshold(), gc.isenabled(), list(sys.path),
        warnings.filters[:], sys.excepthook,
        [signal.getsignal(number) for number in signal.valid_signals()],
        logging.root.handlers[:], logging.root.level, logging._srcfile,
    )

import zmq
from zmq.utils import garbage
collector = type(garbage.gc)
before = state()
import shoal, shoal.cli, shoal.__main__, shoal.node.agent, shoal.broker.server
import shoal.api.fetch, shoal.api.share, shoal.api.where, shoal.commands.fetch
import shoal.commands.tracker, shoal.wire.releases, shoal.config.cluster
assert state() == before
assert type(garbage.gc) is collector
import broker, cli, commands, config, node, protocol, wire
for module in (broker, cli, commands, config, node, protocol, wire):
    assert module.MINE, module
print(shoal.__version__, shoal.__file__)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel is installed, made of a copy of what git tracks."""
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "site"
    source.mkdir()
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    archive = subprocess.run(
        ["tar", "-c", "--null", "-T", "-"],
        cwd=ROOT,
        input=names.stdout,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x"], cwd=source, input=archive.stdout, check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)
    return target


def test_it_lies_beside_modules_of_the_same_names_and_does_nothing(
    site: Path, tmp_path: Path
) -> None:
    for name in OWN:
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version, place = done.stdout.split()
    assert Path(place).is_relative_to(site)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version == project["version"]


def test_the_wheel_has_the_package_and_nothing_else(site: Path) -> None:
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} <= {
        "shoal",
        "bin",
    }
    assert (site / "shoal" / "py.typed").is_file()
    assert not (site / "shoal" / "tests").exists()


def test_it_runs_as_a_module_too(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shoal", "--version"],
        env={"PATH": "", "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("shoal "), done.stderr


AGAIN = """
import sys
from pathlib import Path
from shoal.hosts import wheel
wheel.gather(Path(sys.argv[1]), with_dependencies=False)
"""


def test_an_installed_shoal_makes_the_wheel_that_it_came_from(site: Path, tmp_path: Path) -> None:
    """`shoal hosts up` sends it: there is no package index that has shoal."""
    places = os.pathsep.join([str(site), sysconfig.get_paths()["purelib"]])
    run = [sys.executable, "-S", "-c", AGAIN, str(tmp_path)]
    subprocess.run(run, env={"PATH": "", "PYTHONPATH": places}, cwd=tmp_path, check=True)
    (again,) = tmp_path.glob("*.whl")
    (wheel,) = site.parent.glob("*.whl")
    assert again.name == wheel.name
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as two:
        names = {name for name in one.namelist() if not name.endswith(("/", "/RECORD"))}
        assert names == {name for name in two.namelist() if not name.endswith("/RECORD")}
        assert all(one.read(name) == two.read(name) for name in names)
    pins = (tmp_path / "constraints.txt").read_text().splitlines()
    assert {"pyzmq", "msgpack", "typer"} <= {pin.partition("==")[0] for pin in pins}
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    target = tmp_path / "site"
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", target, again], check=True)
    assert (target / "bin/shoal").is_file()
    assert (target / "shoal/hosts/on-host.sh").is_file()
