"""Which files an installed package is made of, as far as test_package.py does not look."""

import importlib.metadata
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from shoal.hosts import distributions
from shoal.hosts.distributions import Shoal, recorded, this_shoal
from shoal.protocol.errors import OperatorError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed package: two modules, one of which has been compiled."""
    info = tmp_path / "thing-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: thing\nVersion: 1.2\n")
    names = ["thing/__init__.py", "thing/a.py", "thing/__pycache__/a.cpython-311.pyc"]
    names += ["../../../bin/thing", "bin/thing", f"{info.name}/METADATA"]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    return info


def wheel(site: Path, *tags: str) -> Shoal:
    (site / "WHEEL").write_text("".join(f"Tag: cp311-cp311-{tag}\n" for tag in tags))
    return Shoal({}, [], [Distribution.at(site)])


def test_programs_and_compiled_modules_stay_here(site: Path) -> None:
    files = recorded(Distribution.at(site))
    assert set(files) == {"thing/__init__.py", "thing/a.py", "thing-1.2.dist-info/METADATA"}
    assert files["thing/a.py"] == site.parent / "thing/a.py"


def test_what_was_installed_without_a_record_is_named(site: Path) -> None:
    (site / "RECORD").unlink()
    with pytest.raises(OperatorError, match="cannot tell which files thing is made of; install"):
        recorded(Distribution.at(site))


@pytest.mark.parametrize(
    ("tags", "least"),
    [
        (["any"], (0, 0)),
        (["manylinux_2_28_x86_64"], (2, 28)),
        (["manylinux_2_28_x86_64", "manylinux2014_x86_64"], (2, 17)),
        (["manylinux1_x86_64"], (2, 5)),
        (["linux_x86_64"], (2, 36)),  # Built here.
        ([], (2, 36)),
    ],
)
def test_a_wheel_tells_the_oldest_libc(site: Path, tags: list[str], least: object) -> None:
    assert wheel(site, *tags).least_glibc((2, 36)) == least


def test_a_clone_is_sent_with_all_that_it_needs() -> None:
    shoal = this_shoal()
    names = {one.name.lower() for one in shoal.needed}
    assert {"pyzmq", "msgpack", "rich", "pygments", "redis"} <= names  # What rich needs, too.
    assert "pytest" not in names
    assert {"shoal/hosts/on-host.sh", "shoal/dashboard/page/index.html"} <= set(shoal.files)
    version = importlib.metadata.version("msgpack")
    assert f"msgpack=={version}\n" in shoal.pins()


def test_an_editable_shoal_elsewhere_cannot_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = distributions.ROOT
    monkeypatch.setattr(distributions, "ROOT", tmp_path)  # No clone; shoal is not all recorded, …
    elsewhere = [path for path in sys.path if Path(path).resolve() != clone]
    monkeypatch.setattr(sys, "path", elsewhere)  # … but for what setuptools leaves in a clone.
    with pytest.raises(OperatorError, match=r"cannot tell which files shoal in .* is made of; run"):
        this_shoal()
