"""The wheel in a program of somebody else's, which has modules of the same names."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from shoal.hosts.distributions import this_shoal

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
    page = ROOT / "dashboard" / "page"
    shipped = {path.name for path in (site / "shoal" / "dashboard" / "page").iterdir()}
    assert shipped == {path.name for path in page.iterdir()}


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
import json
from shoal.hosts.distributions import this_shoal
shoal = this_shoal()
print(json.dumps([sorted(shoal.files), [one.name for one in shoal.needed]]))
"""


def test_an_installed_shoal_knows_its_files_and_all_that_it_needs(site: Path) -> None:
    """`shoal hosts up` sends them: there is no package index that has shoal."""
    places = os.pathsep.join([str(site), sysconfig.get_paths()["purelib"]])
    told = subprocess.check_output(
        [sys.executable, "-S", "-c", AGAIN], env={"PATH": "", "PYTHONPATH": places}, cwd="/"
    )
    files, needed = json.loads(told)
    (wheel,) = site.parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    own = {"INSTALLER", "REQUESTED", "direct_url.json"}  # Of the installer.
    assert {name for name in files if name.rpartition("/")[2] not in own} == names
    assert {"pyzmq", "msgpack", "typer", "Pygments"} <= set(needed)
    clone = {name for name in this_shoal().files if name.startswith("shoal/")}
    assert clone == {name for name in names if name.startswith("shoal/")}
