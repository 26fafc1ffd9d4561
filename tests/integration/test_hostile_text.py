"""Text from others is escaped wherever it is shown: on a terminal, in pipes and in logs.

Scripts get it as it is, in `--json`.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from shoal.api.asking import ask
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Holding, Leave, Ok, Update
from shoal.protocol.trackers import Trackers

from tests.integration.cluster import CLI, LIMIT_S, Cluster, cluster_in, environment
from tests.terminals import on_terminal
from tests.unit.node.hostile import NUISANCES, AnyHolder, Way
from tests.unit.node.things import id_of

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
ESCAPES = "\x1b]8;;http:x\x07\x1b[31m\x1b[2J\r\n\x9b5m"
MARKUP = "a[ b][bold]x[@click=app.bell]"
LINK = "[link=http:x]x[blink].bin"
BACKWARDS = "gnp\u202egpj.\u2066exe\u200b\u2028x"
NAMES = (MARKUP, LINK, BACKWARDS)
ONLY_HERE = f"x{ESCAPES}y"  # Cannot be announced: it stays in the folder.


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n2 runs and holds things with these names; n1 may fetch them."""
    with cluster_in(tmp_path_factory.mktemp("text") / "cluster") as cluster:
        for name in NAMES:
            (cluster.folder("n2") / name).write_bytes(b"x" * 1000)
        (cluster.folder("n2") / ONLY_HERE).write_bytes(b"x")
        tree = cluster.folder("n2") / "tree"
        tree.mkdir()
        (tree / BACKWARDS).write_bytes(b"y")
        (tree / ONLY_HERE).write_bytes(b"z")
        cluster.start_tracker()
        cluster.launch("node", "n2")
        cluster.wait(lambda: cluster.alive().get("n2") == len(NAMES) + 1, "n2 has announced all")
        yield cluster


def is_harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def every_command(name: str) -> list[list[str]]:
    """Return commands of which one name is a part; `OF_ALL` tell of all names."""
    return [
        ["fetch", name, "--as", "n1"],
        ["fetch", name, "--as", "n1"],  # It is here by now.
        ["where", name],
        ["verify", name, "--as", "n1"],
        ["fetch", name, "--as", "n1", "--discard"],
        ["share", name, "--as", "n1"],
        ["forget", name, "--as", "n1", "--delete"],
        ["fetch", f"{name}x", "--as", "n1"],
        ["where", f"{name}x"],
        ["forget", f"{name}x", "--as", "n1"],
        ["verify", f"{name}x", "--as", "n1"],
        ["share", f"{name}x", "--as", "n1"],
        ["fetch", "x", "--as", name],
    ]


OF_ALL = [["ls"], ["ls", "--long"], ["status"], ["check"]]


@pytest.mark.parametrize("name", [*NAMES, "tree", ONLY_HERE])
def test_no_command_prints_what_a_name_does_to_a_terminal(lab: Cluster, name: str) -> None:
    require_harmless(lab, every_command(name))


def test_no_command_prints_what_any_name_does_to_a_terminal(lab: Cluster) -> None:
    require_harmless(lab, OF_ALL)


def require_harmless(lab: Cluster, commands: list[list[str]]) -> None:
    for command in commands:
        done = lab.run(*command)
        assert is_harmless(done.stdout), (command, done.stdout)
        assert is_harmless(done.stderr), (command, done.stderr)
        assert "Traceback" not in done.stderr
        assert "is a bug" not in done.stderr
    for log in (lab.log("tracker"), lab.log("node", "n2")):
        assert is_harmless(log)
    assert "x\\x1b]8;;http:x" in lab.log("node", "n2")


@pytest.mark.parametrize("name", NAMES)
def test_scripts_get_names_as_they_are(lab: Cluster, name: str) -> None:
    assert lab.fetch(name, node="n1").json["name"] == name
    assert lab.run("where", name, "--json").json["name"] == name
    assert name in {one["name"] for one in lab.run("ls", "--json").json}
    assert lab.run("verify", name, "--as", "n1", "--json").json[0]["name"] == name
    assert lab.run("forget", name, "--as", "n1", "--delete", "--json").json["name"] == name


def on_a_terminal(lab: Cluster, columns: int, *command: str) -> tuple[int, str]:
    """Run a command on a terminal that wide; return its exit code, and what it wrote."""
    argv = [*CLI, *command, "--config", str(lab.file)]
    return on_terminal(argv, columns, LIMIT_S, environ=environment())


@pytest.fixture(scope="module")
def context() -> Iterator[Context]:
    context: Context = zmq.Context()
    yield context
    context.term()


@contextlib.contextmanager
def announced(lab: Cluster, context: Context, name: str, way: Way) -> Iterator[str]:
    """Have a stranger hold some bytes under a name, and answer in its way; yield their id."""
    holder = AnyHolder(context, os.urandom(4000), way)
    content_id = id_of(holder.thing)
    holding = Holding(name, content_id, 4000)
    stranger = f"stranger-{content_id[3:15]}"
    update = Update(stranger, holder.address, 1, 1, (holding,), replace=True)
    assert isinstance(ask(Trackers([lab.tracker_address]), update, Ok), Ok)
    yield content_id
    ask(Trackers([lab.tracker_address]), Leave(stranger, 1), Ok)
    holder.stop()


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("name", [*NAMES, "a[/b].bin"])
def test_the_bar_takes_no_name_for_markup(
    lab: Cluster, context: Context, name: str, columns: int
) -> None:
    name = f"{name}{columns}"
    with announced(lab, context, name, NUISANCES["slow"]) as content_id:
        code, written = on_a_terminal(lab, columns, "fetch", content_id, "--as", "n3")
    assert code == 0, written
    assert "\x1b[" in written  # There was a bar …
    assert name[:3] in written  # … with the name.
    for forged in ("\x1b]", "\x1b[5m", "\u202e", "\u2066", "\u2028"):
        assert forged not in written
    for listing in (("ls",), ("where", name)):
        code, written = on_a_terminal(lab, columns, *listing)
        assert code == 0, written
        assert is_harmless(written.replace("\r\n", "\n"))


def _complains(tag: bytes, _: object, __: object) -> list[list[bytes]]:
    return [[tag, b"", messages.encode(Error(WireCode.NOT_FOUND, 40 * ESCAPES))]]


def test_a_holder_s_words_are_escaped_and_cut(lab: Cluster, context: Context) -> None:
    with announced(lab, context, "complains", _complains):
        done = lab.run("fetch", "complains", "--as", "n1", "--timeout", "3", limit_s=60)
    assert done.exit_code != 0
    assert is_harmless(done.stderr)
    assert len(done.errors) == 1
    assert len(done.stderr) < 4000
