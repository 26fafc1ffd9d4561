"""broker/sqlite_store.py on disks that are full or read-only: what can be read is used."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

BEGIN = """
import logging, os, shutil, subprocess, sys
from pathlib import Path
import msgspec
from shoal.broker.stores import NotSavedError
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.tracking.changes import Published
from tests.unit.broker.scene import content_id
from tests.unit.broker.test_salvage import killed
from tests.unit.broker.test_sqlite_store import EVERYTHING, N1, loaded, save, timeless
logging.basicConfig(format="%(message)s")
place, after = Path(sys.argv[1]), msgspec.structs.replace(N1, sequence=99)
def ageless(log):
    return set(map(timeless, log))
def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", place], check=True)
def remount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)
def tries():
    try:
        store.exchange([after])
    except NotSavedError as error:
        return str(error)
    return "saved"
path = place / "tracker.db"
"""

READ_ONLY = """
mount("size=4m")
save(path, EVERYTHING)
remount("ro")
store = SqliteStore(path)
print(ageless(store.load()) == set(EVERYTHING), "|", tries())
remount("rw")
print(tries())
store.close()
print(ageless(loaded(path)) == {*EVERYTHING, after} - {N1})
"""

READ_ONLY_AND_THEN_ANOTHER_DISK = """
mount("size=4m")
save(path, EVERYTHING)
remount("ro")
store = SqliteStore(path)
print(ageless(store.load()) == set(EVERYTHING), "|", tries())
remount("rw")
path.unlink()
print(tries())
store.close()
print(ageless(loaded(path)) == {*EVERYTHING, after} - {N1})
"""

READ_ONLY_WITH_A_JOURNAL = """
mount("size=4m")
path = killed(path, EVERYTHING)
remount("ro")
store = SqliteStore(path)
print(ageless(store.load()) == set(EVERYTHING), "|", tries())
remount("rw")
print(tries())
store.close()
print(ageless(loaded(path)) == {*EVERYTHING, after} - {N1})
"""

READ_ONLY_AND_DAMAGED = """
mount("size=4m")
save(path, EVERYTHING)
path.write_bytes(path.read_bytes().replace(b"net.txt", b"nut.txt"))
remount("ro")
store = SqliteStore(path)
print(len(ageless(store.load())) == len(EVERYTHING) - 1, "|", tries())
remount("rw")
print(tries())
store.close()
print(len(ageless(loaded(path))) == len(EVERYTHING) - 1)
"""

FULL = """
mount("size=96k")
save(path, EVERYTHING)
try:
    (place / "large").write_bytes(bytes(100_000))
except OSError:
    pass
store = SqliteStore(path)
print(ageless(store.load()) == set(EVERYTHING), "|", tries())
(place / "large").unlink()
print(tries())
store.close()
print(ageless(loaded(path)) == {*EVERYTHING, after} - {N1})
"""

FULL_AND_LARGE = """
def read_bytes():
    return int(Path("/proc/self/io").read_text().split()[1])
mount("size=4m")
many = [Published(f"{'x' * 200}/{n}", content_id(n), n) for n in range(5000)]
save(path, [*EVERYTHING, *many])
assert path.stat().st_size > 1_500_000
try:
    (place / "large").write_bytes(bytes(5_000_000))
except OSError:
    pass
store = SqliteStore(path)
print(ageless(store.load()) == {*EVERYTHING, *many}, "|", tries())
before = read_bytes()
for _ in range(10):
    tries()
assert read_bytes() - before < 500_000, "it is read anew each time"
(place / "large").unlink()
print(tries())
store.close()
print(ageless(loaded(path)) == {*EVERYTHING, *many, after} - {N1})
"""

FULL_AND_DAMAGED = """
mount("size=96k")
save(path, EVERYTHING)
path.write_bytes(path.read_bytes().replace(b"net.txt", b"nut.txt"))
try:
    (place / "large").write_bytes(bytes(100_000))
except OSError:
    pass
store = SqliteStore(path)
store.load()
store.close()
store = SqliteStore(path)
print(len(ageless(store.load())) == len(EVERYTHING) - 1, "|", tries())
(place / "large").unlink()
print(tries())
store.close()
print(len(ageless(loaded(path))) == len(EVERYTHING) - 1)
"""

NOT_ALLOWED = """
place.chmod(0o755)
save(path, EVERYTHING)
path.chmod(0o444)
place.chmod(0o555)
if os.geteuid() == 0:
    os.chown(place, 4711, 4711)
    os.chown(path, 4711, 4711)
    os.setresuid(4711, 4711, 4711)
store = SqliteStore(path)
print(ageless(store.load()) == set(EVERYTHING), "|", tries())
place.chmod(0o755)
path.chmod(0o644)
print(tries())
store.close()
print(ageless(loaded(path)) == {*EVERYTHING, after} - {N1})
"""


@pytest.mark.parametrize(
    "script",
    [
        READ_ONLY,
        READ_ONLY_AND_THEN_ANOTHER_DISK,
        READ_ONLY_WITH_A_JOURNAL,
        READ_ONLY_AND_DAMAGED,
        FULL,
        FULL_AND_LARGE,
        FULL_AND_DAMAGED,
    ],
    ids=[
        "read-only",
        "then another",
        "with a journal",
        "damaged",
        "full",
        "full and large",
        "full and damaged",
    ],
)
def test_a_file_on_a_disk_that_cannot_be_written_is_used(tmp_path: Path, script: str) -> None:
    done = run(["unshare", "-m", sys.executable, "-c", BEGIN + script, str(tmp_path)])
    if "denied" in done.stderr or "permitted" in done.stderr:
        pytest.skip("no file system may be mounted here")
    assert_used(done)


def test_a_file_without_write_permission_is_used() -> None:
    with tempfile.TemporaryDirectory() as folder:  # Others than root may go there too.
        assert_used(run([sys.executable, "-c", BEGIN + NOT_ALLOWED, folder]))


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    where = Path(__file__).parents[3]
    return subprocess.run(
        command, cwd=where, check=False, timeout=30, capture_output=True, text=True
    )


def assert_used(done: subprocess.CompletedProcess[str]) -> None:
    first, *later = done.stdout.splitlines()
    assert first.startswith("True | "), done
    assert not first.endswith("saved"), done
    assert later == ["saved", "True"], done
    assert "cannot be written" in done.stderr.splitlines()[0], done
    assert "its contents are used, but nothing new will be remembered" in done.stderr
