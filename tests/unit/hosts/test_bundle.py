"""What is in a bundle, and what it is called."""

import io
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest
from shoal.hosts import wheels
from shoal.hosts.bundle import Bundle, Bundles
from shoal.hosts.machine import this_machine
from shoal.protocol.errors import DiskError

MACHINE = this_machine()


def test_the_same_files_have_the_same_name_for_the_same_python(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("B = 1\n")
    one = Bundle({"b.py": tmp_path / "b.py", "a.py": b"A = 1\n"})
    two = Bundle({"a.py": b"A = 1\n", "b.py": b"B = 1\n"})
    assert one.name_for(MACHINE) == two.name_for(MACHINE)
    other = msgspec.structs.replace(MACHINE, python="/usr/bin/python3.12")
    assert one.name_for(MACHINE) != one.name_for(other)
    for differs in ({"a.py": b"A = 2\n", "b.py": b"B = 1\n"}, {"a.py": b"A = 1\nb.py"}):
        assert Bundle(differs).name_for(MACHINE) != one.name_for(MACHINE)
    with tarfile.open(fileobj=io.BytesIO(one.archive())) as tar:
        assert tar.getnames() == ["a.py", "b.py"]
        assert {(one.uid, one.mode) for one in tar} == {(0, 0o644)}


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"a.py: No such file or directory; install shoal again"):
        Bundle({"a.py": tmp_path / "a.py"})


def test_machines_like_this_share_one() -> None:
    bundles = Bundles()
    other = msgspec.structs.replace(MACHINE, python="/usr/bin/python3.12")
    assert bundles.of(MACHINE) is bundles.of(other)


def test_a_wheel_is_opened_as_if_it_were_installed(tmp_path: Path) -> None:
    path = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/x.py", "a-1.data/platlib/a/y.py", "a-1.data/scripts/a", "a-1.data/data/z"):
            archive.writestr(name, name)
    assert wheels._opened(path) == {"a/x.py": b"a/x.py", "a/y.py": b"a-1.data/platlib/a/y.py"}
