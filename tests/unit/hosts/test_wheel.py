"""The wheel of an installed shoal, as far as tests/integration/test_package.py does not look."""

import sys
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from shoal.hosts import wheel
from shoal.protocol.errors import DiskError, OperatorError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed package: two modules, one of which has been compiled."""
    info = tmp_path / "shoal-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: shoal\nVersion: 1.2\nRequires-Dist: none; extra == 'x'\n")
    (info / "INSTALLER").write_text("pip\n")
    (tmp_path / "shoal/__pycache__").mkdir(parents=True)
    (tmp_path / "shoal/__init__.py").write_text("")
    (tmp_path / "shoal/a.py").write_text("A = 1\n")
    names = ["shoal/__init__.py", "shoal/a.py", "shoal/__pycache__/a.cpython-311.pyc"]
    names += ["../../../bin/shoal", *(f"{info.name}/{name}" for name in ("METADATA", "INSTALLER"))]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    return info


def test_only_what_was_in_the_wheel_is_put_into_it_again(site: Path, tmp_path: Path) -> None:
    made = wheel.put_together(Distribution.at(site), tmp_path)
    assert made.name == "shoal-1.2-py3-none-any.whl"
    with zipfile.ZipFile(made) as archive:
        record = archive.read("shoal-1.2.dist-info/RECORD").decode().splitlines()
        assert archive.namelist() == [line.partition(",")[0] for line in record]
    names = [line.partition(",")[0] for line in record]
    info = [f"shoal-1.2.dist-info/{name}" for name in ("METADATA", "RECORD")]
    assert names == ["shoal/__init__.py", "shoal/a.py", *info]
    assert record[1].startswith("shoal/a.py,sha256=")
    assert record[1].endswith(",6")


def test_a_file_that_is_gone_is_told(site: Path, tmp_path: Path) -> None:
    (site.parent / "shoal/a.py").unlink()
    with pytest.raises(DiskError, match=r"a.py: No such file or directory; install shoal again"):
        wheel.put_together(Distribution.at(site), tmp_path)


def test_an_editable_shoal_elsewhere_cannot_be_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = wheel.ROOT
    monkeypatch.setattr(wheel, "ROOT", tmp_path)  # No clone; and here shoal is not all recorded, …
    elsewhere = [path for path in sys.path if Path(path).resolve() != clone]
    monkeypatch.setattr(sys, "path", elsewhere)  # … but for what setuptools leaves in a clone.
    with pytest.raises(OperatorError, match=r"cannot tell which files shoal in .* is made of; run"):
        wheel.gather(tmp_path, with_dependencies=False)
