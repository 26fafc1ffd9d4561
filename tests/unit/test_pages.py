"""The pages: short, with links that lead somewhere, and true to the commands and the records."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
import typer.main
from shoal.cli import app
from shoal.commands.exit_codes import ExitCode
from shoal.config import cluster
from shoal.protocol import control

from tests.benchmark import records
from tests.unit.test_tidy import ROOT, SOURCES, shown

MOST_CHARACTERS = 120
LIMITS = {  # Lines. A page that grows beyond this has two subjects.
    "README.md": 110,
    "docs/use/*.md": 150,
    "docs/build/architecture.md": 150,
    "docs/build/swarm.md": 140,
    "docs/build/testing.md": 80,
    "docs/build/decisions/*.md": 40,
    "docs/build/faults-of-*.md": 150,
}
ROOT_PAGES = sorted(ROOT.glob("*.md"))
USE_PAGES = [*sorted(ROOT.glob("docs/use/*.md")), ROOT / "examples/README.md"]
PAGES = [*ROOT_PAGES, *USE_PAGES, *sorted(ROOT.glob("docs/build/**/*.md"))]
LIMITED = [(path, limit) for glob, limit in LIMITS.items() for path in sorted(ROOT.glob(glob))]
ELSEWHERE = re.compile(r"\bfaults? \d+|\(S\d+\)")  # Lists that are not in this repository.
each_page = pytest.mark.parametrize("path", PAGES, ids=shown)
each_user_page = pytest.mark.parametrize("path", [*ROOT_PAGES, *USE_PAGES], ids=shown)


@pytest.mark.parametrize(("path", "limit"), LIMITED, ids=lambda each: Path(str(each)).name)
def test_a_page_is_short(path: Path, limit: int) -> None:
    assert len(path.read_text().splitlines()) <= limit


@each_page
def test_a_pages_lines_are_short(path: Path) -> None:
    long = [line for line in prose(path.read_text()) if len(line) > MOST_CHARACTERS]
    assert not long


@each_user_page
def test_a_page_names_no_list_that_is_elsewhere(path: Path) -> None:
    assert not ELSEWHERE.findall(path.read_text())


def prose(text: str) -> Iterator[str]:
    """Yield the lines outside of code blocks."""
    is_code = False
    for line in text.splitlines():
        is_code ^= line.lstrip().startswith("```")
        if not is_code:
            yield line


def blocks(text: str, *languages: str) -> list[str]:
    """Return the code blocks in one of the languages, without their indentation."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [
        "\n".join(line.removeprefix(indent) for line in body.splitlines())
        for indent, language, body in found
        if language in languages
    ]


# Links.


def links(text: str) -> list[str]:
    plain = "\n".join(re.sub(r"`[^`]*`", "", line) for line in prose(text))
    found = re.findall(r"\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$", plain, re.MULTILINE)
    return [target for pair in found for target in pair if target and "://" not in target]


def anchors(path: Path) -> set[str]:
    """Return the headings of a page as GitHub links to them."""
    found: set[str] = set()
    for line in prose(path.read_text()):
        if heading := re.match(r"#{1,6} (.+)", line):
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
            anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            same = sum(
                re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", one) is not None for one in found
            )
            found.add(f"{anchor}-{same}" if same else anchor)
    return found


@each_page
def test_links_lead_to_pages_and_headings(path: Path) -> None:
    for link in links(path.read_text()):
        target, _, anchor = link.partition("#")
        place = path.parent / target if target else path
        assert place.exists(), link
        assert not anchor or anchor in anchors(place), link


def test_would_see_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` c, d\n\n## Again\n\n## Again\n[x](gone.md), `[y](code.md)`\n\n[1]: off.md\n"
    )
    assert links(page.read_text()) == ["gone.md", "off.md"]
    assert anchors(page) == {"a-b-c-d", "again", "again-1"}


# The command line.

OTHERS = {  # Options of other programs, and of the tests and benchmarks.
    "--quick": "./check",
    "--hosts": "tests.benchmark.swarm",
    "--only": "tests.benchmark",
    "--runs": "tests.benchmark",
}


def commands() -> dict[str, Any]:
    """Return all commands by their names, those of `hosts` as in `hosts up`."""
    top = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    hosts = top.pop("hosts")
    return top | {f"hosts {name}": command for name, command in hosts.commands.items()}


def options(command: Any) -> set[str]:
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)}


def told_commands(text: str) -> Iterator[list[str]]:
    """Yield the words after `shoal` of each command in a code block of a page."""
    for block in blocks(text, "sh", "console"):
        for line in block.splitlines():
            found = re.match(r"(?:\$ )?(?:shoal|python cli\.py) (.*?)(?: +#.*)?$", line)
            if found:
                yield found[1].split(" | ")[0].split()


@each_user_page
def test_the_commands_in_examples_exist(path: Path) -> None:
    known = commands()
    for words in told_commands(path.read_text()):
        name = " ".join(words[: 2 if words[0] == "hosts" else 1])
        assert name in known, words
        named = {word.partition("=")[0] for word in words if is_option(word)}
        assert named <= options(known[name]) | {"-h", "--help"}, words


def is_option(word: str) -> bool:
    return re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word) is not None


@pytest.mark.parametrize("path", [ROOT / "README.md", *USE_PAGES], ids=shown)
def test_the_options_that_a_page_names_exist(path: Path) -> None:
    top = options(typer.main.get_command(app))
    known = {"--help", *top.union(*map(options, commands().values())), *OTHERS}
    spans = re.findall(r"`([^`]+)`", "\n".join(prose(path.read_text())))
    named = {word for span in spans for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)}
    assert named <= known


def test_every_command_and_option_is_on_a_page() -> None:
    told = "\n".join(path.read_text() for path in USE_PAGES)
    for name, command in commands().items():
        assert re.search(rf"`{name}\b|shoal {name}\b", told), name
        long = {option for option in options(command) if option.startswith("--")} - {"--help"}
        assert not {option for option in long if f"{option}" not in told}, name


def test_the_page_tells_every_exit_code() -> None:
    table = page("json").split("## Exit codes\n")[1].split("\n## ")[0]
    told = {int(code) for code in re.findall(r"(?<=\| |, )\d+(?=,| \|)", table)}
    assert told == {int(code) for code in ExitCode}


def test_the_page_tells_every_key_of_json() -> None:
    told = set(re.findall(r"\w+", page("json")))
    for kind in (control.Fetched, control.Examined, control.Omission):
        assert {field.name for field in msgspec.structs.fields(kind)} <= told, kind


# What else can be tried.


def page(name: str) -> str:
    return (ROOT / f"docs/use/{name}.md").read_text()


YAML = [
    pytest.param(block, id=f"{shown(path)}-{number}")
    for path in [ROOT / "README.md", *USE_PAGES]
    for number, block in enumerate(blocks(path.read_text(), "yaml"))
]


@pytest.mark.parametrize("text", YAML)
def test_the_cluster_files_in_examples_load(text: str, tmp_path: Path) -> None:
    (tmp_path / "lan.yaml").write_text(text)
    assert cluster.load(tmp_path / "lan.yaml").nodes


def literals() -> str:
    """Return all text in the sources, each string by itself; what is filled in is an ellipsis."""
    found: list[str] = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                values = (
                    one.value if isinstance(one, ast.Constant) else "…" for one in node.values
                )
                found.append("".join(map(str, values)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    found.append((ROOT / "hosts" / "on-host.sh").read_text())
    return "\n".join(found)


def test_the_messages_on_the_troubleshooting_page_are_ours() -> None:
    rows = re.findall(r"^\| (.+?) \|", page("troubleshooting"), re.MULTILINE)
    messages = [row[1:-1] for row in rows if re.fullmatch(r"`[^`]+ [^`]+`", row)]
    ours, others = literals(), {"Permission denied (publickey…)"}
    assert len(messages) > 20
    for message in set(messages) - others:
        parts = [part.strip() for part in message.split("…") if part.strip()]
        assert all(part in ours for part in parts), message


# What was measured.


def medians(runs: list[float]) -> str:
    """Return the median and the range of some runs as the page writes them."""
    return f"{median(runs):.2f} ({min(runs):.2f} to {max(runs):.2f})"


def test_the_performance_page_tells_what_is_on_record() -> None:
    told = page("performance")
    for swarm in records.swarms():
        size = f"{swarm.size_bytes >> 20} MiB"
        link = f"{swarm.rate_mbit:g} Mbit/s"
        cells = [
            medians(swarm.last[name]) for name in ("shoal", "libtorrent") if name in swarm.last
        ]
        assert f"| {' | '.join([str(swarm.hosts), link, size, *cells])} |" in told
    for speed in records.loopback():
        assert f"| {speed.label} | {speed.rate_bytes_per_s / 1e6:.0f} |" in told


def test_the_readme_tells_the_same_figures_as_the_record() -> None:
    (swarm,) = (one for one in records.swarms() if one.hosts == 16 and not one.is_simulated)
    row = re.search(r"^\| 16 hosts .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row is not None
    ours, theirs = (f"{swarm.median(name):.2f}" for name in ("shoal", "libtorrent"))
    assert row[0].endswith(f"| {theirs} | not measured | {ours} |")


def test_the_pictures_are_those_of_the_records() -> None:
    charts = pytest.importorskip("tests.benchmark.charts", exc_type=ImportError)
    for name, svg in charts.pictures().items():
        assert texts((ROOT / "docs/use/pictures" / name).read_text()) == texts(svg)


def texts(svg: str) -> list[str]:
    """Return what is written in a picture. How it is drawn is up to matplotlib's version."""
    return re.findall(r">([^<>]+)</text>", svg)
