"""What people and machines get wrong: one line that says what to do, and nothing broken."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import (
    SIGNS_OF_A_BUG,
    STOP_S,
    Cluster,
    Result,
    cluster_in,
    noise,
    port_of,
)

SMALL_DISK = "mount -t tmpfs -o size=4m shoal {folder}"
READ_ONLY = "mount -t tmpfs -o size=4m,ro shoal {folder}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n2 runs and holds seeds.txt; n3 should, but does not run; n1 has nothing."""
    folder = tmp_path_factory.mktemp("bad-input") / "cluster"
    holdings = {"gone.txt": ["n3"], "missing.txt": ["n2"], "seeds.txt": ["n2", "n3"]}
    nodes = ("n1", "n2", "n3", "odd-one")
    with cluster_in(folder, nodes=nodes, holdings=holdings) as cluster:
        cluster.put("seeds.txt", b"seeds", "n2")
        cluster.put("large.bin", noise(8 << 20), "n2")
        cluster.start("n2")
        yield cluster


@pytest.fixture(autouse=True)
def all_goes_on(lab: Cluster) -> Iterator[None]:
    """After each test the tracker and n2 are there, and n1's folder has nothing half-written."""
    yield
    assert "n2" in lab.alive()
    partial = lab.folder("n1") / ".shoal" / "partial"
    assert [*partial.glob("*")] == []
    assert set(lab.names("n1")) <= {"seeds.txt"}


def assert_fails(done: Result, exit_code: int, *words: str) -> None:
    """Check the exit code, and that there is exactly one line, with a remedy, for people."""
    assert done.exit_code == exit_code, done
    assert len(done.errors) == 1, done.stderr
    assert done.stderr.splitlines() == done.errors
    assert ";" in done.errors[0], "a remedy follows the cause"
    for word in words:
        assert word in done.errors[0]
    assert not SIGNS_OF_A_BUG.search(done.stdout + done.stderr)


# What people type.


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("node n22", ["no node n22", "did you mean n2?"]),
        ("fetch seeds.txt --as m1", ["no node m1", "n1, n2, n3"]),
        ("fetch seeds.txt", ["nodes of", "are on this machine: n1, n2, n3", "(--as NAME)"]),
        ("fetch --as n1", ["missing argument 'WHAT'", "fetch --help"]),
        ("node", ["on this machine: n1, n2, n3", "name one of them (shoal node NAME)"]),
        ("serve", ["no such command 'serve'"]),
        ("fetch seeds.txt --as n1 --retries 3", ["no such option", "--retries"]),
        ("fetch ../n2/seeds.txt --as n1", ["'..'", "cannot be a name"]),
        ("fetch /etc/passwd --as n1", ["is an absolute path"]),
        ("fetch .shoal/lock --as n1", ["not shared"]),
        ("fetch dir//file --as n1", ["empty part"]),
        ("where ../seeds.txt", ["'..'"]),
        ("share nothing.txt --as n1", ["no such file or directory: nothing.txt", "check the path"]),
        ("share n1 --as n1", ["n1", "is the node's folder"]),
        ("share . --as n1", ["has the node's folder in it"]),
        ("share n2 --as n1 --chunking sometimes", ["--chunking", "'fixed', 'content'"]),
        ("share n2/seeds.txt --as n1 --include *", ["can only be shared as a whole"]),
        ("fetch seeds.txt --as n1 --include *", ["can only be fetched as a whole"]),
        ("fetch seeds.txt --as n1 --exclude !", ["--exclude '!' is not a valid pattern"]),
        ("fetch seeds.txt --as n1 --output here --in-place", ["--in-place", "--output"]),
        ("forget ../seeds.txt --as n1", ["'..'"]),
        ("verify ../seeds.txt --as n1", ["'..'"]),
        ("fetch seeds.txt large.bin --as n1 --output here", ["--output works with a single file"]),
        ("fetch seeds.txt --as n1 --to no/such/place", ["no/such/place", "no directory"]),
        ("fetch seeds.txt --as n1 --to n1/copy", ["--to", "is in the node's folder"]),
        ("fetch seeds.txt --as n1 --to here --include x", ["--to", "must be whole"]),
        ("fetch seeds.txt --as n1 --to here --output there", ["--to", "--output"]),
        ("fetch seeds.txt --as n1 --output no/such/place", ["no/such/place", "no directory"]),
        ("fetch seeds.txt --as n1 --output n2", ["n2", "is a directory"]),
    ],
)
def test_what_cannot_be_meant_is_refused(lab: Cluster, command: str, words: list[str]) -> None:
    config = () if command == "serve" else ("--config", str(lab.file))
    assert_fails(lab.run_alone(*command.split(" "), *config), 2, *words)


@pytest.mark.parametrize("value", ["-1", "0", "1e99", "nan", "inf", "soon", ""])
def test_a_time_out_that_is_none_is_refused(lab: Cluster, value: str) -> None:
    options = (f"--timeout={value}",)
    assert_fails(lab.fetch("seeds.txt", node="n1", options=options), 2, "--timeout")


def test_an_option_from_the_environment_is_judged_too(lab: Cluster) -> None:
    env = {"SHOAL_TIMEOUT": "-1", "SHOAL_AS": "n1"}
    assert_fails(lab.run("fetch", "seeds.txt", env=env), 2, "SHOAL_TIMEOUT")


def test_a_failure_is_told_to_scripts_too(lab: Cluster) -> None:
    for command in (
        "fetch --json",
        "ls --json --as",
        "where ../x --json",
        "fetch ../x --as n1 --json",
    ):
        done = lab.run(*command.split())
        assert_fails(done, 2)
        assert done.json == {"error": done.errors[0].removeprefix("error: "), "exit_code": 2}


# The cluster file.


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (("nodes:", "node:"), ["cluster.yaml:3", "node", "nodes"]),
        (("address", "adress"), ["adress", "did you mean address?"]),
        (("tcp://", "udp://"), ["udp://", "tcp://HOST:PORT"]),
        (("folder: n1", "folder: [n1]"), ["folder"]),
        (("tracker:", "tracker: !!python/object:os.system"), ["cluster.yaml:1"]),
        (("tracker:", "tracker: {"), ["cluster.yaml:"]),
    ],
)
def test_a_mistake_in_the_cluster_file_is_shown(
    lab: Cluster, edit: tuple[str, str], words: list[str]
) -> None:
    broken = lab.path / "broken" / "cluster.yaml"
    broken.parent.mkdir(exist_ok=True)
    broken.write_text(lab.file.read_text().replace(*edit, 1))
    done = lab.run_alone("ls", "--config", str(broken))
    assert_fails(done, 2, *words)


def test_a_cluster_file_that_is_not_there_is_missed(lab: Cluster) -> None:
    assert_fails(lab.run_alone("ls", "--config", "lam.yaml"), 2, "lam.yaml", "shoal init")
    assert_fails(lab.run_alone("ls", "--config", str(lab.path)), 2, str(lab.path))


def test_a_holding_that_is_not_there_is_not_announced(lab: Cluster) -> None:
    warning = f"warning: {lab.file} says that n2 holds missing.txt, but it is not in"
    lab.wait(lambda: warning in lab.log("node", "n2"), "n2 warns")
    assert lab.run("where", "missing.txt").exit_code == 3


# Nobody there.


def test_a_tracker_that_does_not_answer_is_missed(tmp_path: Path) -> None:
    with cluster_in(tmp_path / "cluster") as cluster:
        commands = [cluster.launch("ls"), cluster.launch("fetch", "seeds.txt", "--as", "n1")]
        for process in commands:
            done = cluster.finish(process, 3 + STOP_S)
            assert_fails(done, 9, cluster.tracker_address, "shoal tracker")


def test_what_nobody_alive_holds_is_not_waited_for(lab: Cluster) -> None:
    assert_fails(lab.fetch("gone.txt", node="n1"), 4, "gone.txt", "n3", "start")


def test_what_nobody_holds_is_not_found(lab: Cluster) -> None:
    for command in ("fetch sead.txt --as n1", "where sead.txt"):
        assert_fails(lab.run(*command.split()), 3, "no such file was found: sead.txt", "shoal ls")


# Taken.


def test_a_port_that_is_taken_is_told(lab: Cluster) -> None:
    for command, address in (
        ("tracker", lab.tracker_address),
        ("node n1", lab.addresses["n1"]),
    ):
        other = lab.path / "other" / "cluster.yaml"
        other.parent.mkdir(exist_ok=True)
        other.write_text(lab.file.read_text())
        with socket.socket() as squatter:
            if command != "tracker":
                squatter.bind(("127.0.0.1", port_of(address)))
                squatter.listen()
            done = lab.run_alone(*command.split(), "--config", str(other))
        assert_fails(done, 11, address, "the port is in use")


def test_a_fetch_without_a_free_port_serves_nobody(lab: Cluster) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port_of(lab.addresses["n1"])))
        squatter.listen()
        done = lab.fetch("seeds.txt", node="n1")
    assert done.exit_code == 0
    assert "fetching without serving" in done.stderr


def test_a_node_or_tracker_is_not_started_twice(lab: Cluster) -> None:
    assert_fails(lab.run("node", "n2"), 11, "n2", str(lab.process("node", "n2").pid))
    assert_fails(lab.run("tracker"), 11, "another tracker")


# The disk.


def on_disk(lab: Cluster, mount: str, *command: str) -> tuple[Result, list[str]]:
    """Run a command while odd-one's folder is a disk of its own; return what it left there too."""
    folder = lab.folder("odd-one")
    script = (
        f'{mount.format(folder=folder)} && {{ "$@"; code=$?; find . -type f >&3; exit $code; }}'
    )
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    left = lab.path / "left"
    prefix = [
        "unshare",
        "--mount",
        *who,
        "sh",
        "-c",
        f"cd {folder}; exec 3> {left}; {script}",
        "sh",
    ]
    done = lab.run(*command, prefix=prefix)
    return done, [line for line in left.read_text().splitlines() if ".shoal" not in line]


def test_a_full_disk_is_told(lab: Cluster) -> None:
    done, left = on_disk(lab, SMALL_DISK, "fetch", "large.bin", "--as", "odd-one")
    assert_fails(done, 8, "large.bin", "the disk is full", "free some space")
    assert left == []
    source = str(lab.folder("n2") / "large.bin")
    done, left = on_disk(lab, SMALL_DISK, "share", source, "--as", "odd-one")
    assert_fails(done, 8, "large.bin", "the disk is full")
    assert left == []


def test_a_folder_that_cannot_be_written_to_is_told(lab: Cluster) -> None:
    for command in ("fetch seeds.txt --as odd-one", "node odd-one"):
        done, left = on_disk(lab, READ_ONLY, *command.split())
        assert_fails(done, 8, str(lab.folder("odd-one")), "Read-only", "state_folder")
        assert left == []


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with cluster_in(tmp_path / "cluster") as cluster:
        cluster.folder("n1").rmdir()
        cluster.folder("n1").write_text("a file")
        assert_fails(cluster.run("node", "n1"), 8, str(cluster.folder("n1")))


def as_directory(target: Path) -> None:
    target.mkdir()


def as_link(target: Path) -> None:
    target.symlink_to("/etc/passwd")


def as_pipe(target: Path) -> None:
    os.mkfifo(target)


@pytest.mark.parametrize(
    ("put", "exit_code"),
    [(as_directory, 2), (as_pipe, 8), (as_link, 2)],  # A link to a file is a file to the user.
)
def test_what_is_another_thing_or_none_is_not_replaced(
    lab: Cluster, put: Callable[[Path], None], exit_code: int
) -> None:
    lab.put("fixed.txt", b"fixed", "n2")
    lab.wait(lambda: "n2 holds fixed.txt" in lab.log("tracker"), "announced")
    target = lab.folder("odd-one") / "fixed.txt"
    put(target)
    before = target.lstat().st_ino, target.lstat().st_mode
    done = lab.fetch("fixed.txt", node="odd-one", options=())
    assert_fails(done, exit_code, "fixed.txt", "move it")
    assert (target.lstat().st_ino, target.lstat().st_mode) == before
    target.rmdir() if target.is_dir() else target.unlink()


@pytest.mark.parametrize("way", ["deep", "deep/er"])
def test_a_link_on_the_way_is_not_followed(lab: Cluster, way: str) -> None:
    lab.put("deep/er/seeds.txt", b"deep", "n2")
    lab.wait(lambda: "deep" in lab.announced("n2"), "n2 announced it")
    outside = lab.path / "outside"
    (outside / "er").mkdir(parents=True, exist_ok=True)
    link = lab.folder("odd-one") / way
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    done = lab.fetch("deep/er/seeds.txt", node="odd-one", options=())
    assert_fails(done, 8, f"{link.name} is not a directory", "move it")
    link.unlink()
    assert [path.name for path in outside.rglob("*")] == ["er"]


# The terminal.


def test_a_terminal_of_few_letters_shows_others_escaped(lab: Cluster) -> None:
    lab.put("köln.txt", b"k", "n2")
    lab.wait(lambda: "köln.txt" in lab.log("tracker"), "n2 announced it")
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    for command, words in (
        ("ls", "k\\xf6ln.txt"),
        ("fetch köln.txt --as n3", "k\\xf6ln.txt v1, published by n2: 1 B"),
    ):
        done = lab.run(*command.split(), env=env)
        assert done.exit_code == 0, done.stderr
        assert words in done.stdout
    assert_fails(lab.run("where", "münchen.txt", env=env), 3, "m\\xfcnchen.txt")


@pytest.mark.parametrize("close", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stdout_hinders_nothing(lab: Cluster, close: str) -> None:
    prefix = ["sh", "-c", f'"$@" {close}', "sh"]
    for command in ("fetch seeds.txt --as n3", "ls", "status"):
        done = lab.run(*command.split(), prefix=prefix)
        assert (done.exit_code, done.stdout) == (0, "")
        assert not SIGNS_OF_A_BUG.search(done.stderr)
    assert lab.files("n3")["seeds.txt"] == b"seeds"


def test_a_reader_that_goes_away_hinders_nothing(lab: Cluster) -> None:
    done = lab.run("ls", prefix=["sh", "-c", '"$@" | head -n 0', "sh"])
    assert (done.stdout, done.stderr) == ("", "")


def test_an_answer_that_cannot_be_written_is_missed(lab: Cluster) -> None:
    done = lab.run("ls", prefix=["sh", "-c", '"$@" > /dev/full', "sh"])
    assert_fails(done, 8, "cannot write to standard output")


# The machine.


def test_a_machine_that_lacks_much_will_do(lab: Cluster) -> None:
    """Fault 136: no home, nothing temporary, nothing shared in memory."""
    env = {"HOME": "/nowhere", "TMPDIR": "/nowhere", "LC_ALL": "C"}
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'mount -t tmpfs -o ro none /dev/shm && "$@"'
    prefix = ["unshare", "--mount", *who, "sh", "-c", script, "sh"]
    for command in ("fetch seeds.txt", "verify", "share n3/seeds.txt", "forget seeds.txt"):
        done = lab.run(*command.split(), "--as", "n3", env=env, prefix=prefix)
        assert (done.exit_code, done.errors) == (0, []), done
