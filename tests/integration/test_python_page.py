"""docs/use/python.md: each of its examples runs as it stands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shoal

from tests import reference
from tests.integration.cluster import Cluster, cluster_in, environment, noise

PAGE = Path(__file__).parents[2] / "docs/use/python.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def ran(lab: Cluster, example: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import shoal\n{example}"],
        cwd=lab.path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), (example, done)
    return done.stdout


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    with cluster_in(tmp_path / "lab", nodes=("n1", "n2")) as lab:
        text = lab.file.read_text()
        lab.file.unlink()
        lab.file = lab.path / "lab.yaml"
        lab.file.write_text(f"accept_pushes: true\n{text}")
        lab.put("photos/a.jpg", noise(1000), "n1")
        lab.put("photos/b.png", noise(2000, seed=2), "n1")
        lab.put("big.bin", noise(3000, seed=3), "n1")
        lab.put("llama/config.json", b"{}", "n1")
        (lab.path / "results.bin").write_bytes(noise(4000, seed=4))
        lab.start("n1")
        first, *others = EXAMPLE.findall(PAGE.read_text())
        told = [ran(lab, first)]
        shutil.rmtree(lab.folder("n2") / "photos")  # Or there is nothing to tell of.
        told += [ran(lab, example) for example in others]
        assert told[0] == f"{lab.folder('n2') / 'photos'} 3000\n"
        assert "photos: " in told[1]
        assert (lab.path / "copy.bin").read_bytes() == noise(3000, seed=3)
        assert "1 of 1 have it {}" in told[2]
        assert lab.files("n1")["results.bin"] == noise(4000, seed=4)
        assert "no such file was found: no-such-thing" in told[3]
        assert told[4] == "2 b'{}'\nb'}'\n"
        link = tmp_path / "hf/hub/models--lab--llama/refs/main"
        assert link.read_text().startswith("b3-")


def test_the_reference_is_what_the_docstrings_say() -> None:
    """If it is not: `python -m tests.reference` writes it."""
    assert reference.PAGE.read_text() == reference.page()


def test_its_table_has_all_exceptions() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\|", PAGE.read_text(), re.MULTILINE)
    for name, builtin in rows:
        kind = getattr(shoal, name)
        assert issubclass(kind, shoal.ShoalError)
        assert not builtin or builtin in {one.__name__ for one in kind.__mro__}
    exceptions = {name for name in shoal.__all__ if isinstance(getattr(shoal, name), type)}
    ours = {one for one in exceptions if issubclass(getattr(shoal, one), Exception)}
    assert {name for name, _ in rows} == ours - {"ShoalError"}
