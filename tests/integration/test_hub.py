"""The Hugging Face hub's cache: what was fetched is found there; its snapshots can be shared."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import shoal

from tests.integration.cluster import Cluster, cluster_in, environment, fails, noise

WEIGHTS, CONFIG = noise(300_000), b'{"model_type": "llama"}\n'
CONFIG_SHA1 = "9eddb62b076f586b2186445e7872e5a05f0dfe06"  # As `git hash-object` has it.
FOUND = """
import json, sys
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
print(json.dumps([
    snapshot_download("lab/llama"),
    open(hf_hub_download("lab/llama", "config.json")).read(),
    [str(warning) for warning in scan_cache_dir().warnings],
]))
"""


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n1 has a model."""
    with cluster_in(tmp_path_factory.mktemp("lab"), nodes=("n1", "n2")) as lab:
        lab.put("llama/model.safetensors", WEIGHTS, "n1")
        lab.put("llama/config.json", CONFIG, "n1")
        lab.put("some.bin", b"some", "n1")
        lab.start("n1")
        yield lab


def repository(tmp_path: Path) -> Path:
    return tmp_path / "hf/hub/models--lab--llama"


def newest(tmp_path: Path) -> Path:
    place = repository(tmp_path)
    return place / "snapshots" / (place / "refs/main").read_text()


def test_what_was_fetched_is_the_newest_snapshot(lab: Cluster, tmp_path: Path) -> None:
    done = lab.run("fetch", "llama", "--as", "n2", "--hf", "lab/llama")
    assert done.exit_code == 0, done
    assert f"lab/llama in the hub's cache leads to it: {newest(tmp_path)}" in done.stderr
    assert newest(tmp_path).readlink() == lab.folder("n2") / "llama"
    first = newest(tmp_path)
    lab.put("llama/config.json", CONFIG * 2, "n1")
    lab.wait(lambda: "v2" in lab.run("ls", "--long").stdout, "the next version is there")
    with shoal.connect(lab.file, as_="n2") as session:
        session.fetch("llama", hf="lab/llama")
    assert newest(tmp_path) != first
    assert (newest(tmp_path) / "config.json").read_bytes() == CONFIG * 2
    assert not first.is_symlink()  # It would lead to the next version, under the name of this one.


@pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="needs huggingface_hub"
)
def test_the_hubs_library_finds_it_offline(lab: Cluster, tmp_path: Path) -> None:
    assert lab.run("fetch", "llama", "--as", "n2", "--hf", "lab/llama").exit_code == 0
    told = subprocess.run(
        [sys.executable, "-c", FOUND],
        env={**environment(), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    snapshot, config, warnings = json.loads(told.stdout)
    assert (Path(snapshot), warnings) == (newest(tmp_path), [])
    assert config.startswith(CONFIG.decode())


def test_what_is_there_from_the_hub_itself_stays(lab: Cluster, tmp_path: Path) -> None:
    main = repository(tmp_path) / "refs/main"
    main.parent.mkdir(parents=True)
    main.write_text("0123abcd" * 5)
    command = "fetch", "llama", "--as", "n2", "--hf", "lab/llama"
    fails(lab.run(*command), 2, "has lab/llama from the hub itself (0123abcd0123); --force has it")
    assert main.read_text() == "0123abcd" * 5
    assert lab.run(*command, "--force").exit_code == 0
    assert newest(tmp_path).readlink() == lab.folder("n2") / "llama"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("llama", "--hf", "../llama"), "--hf ../llama is no repository of the hub; expected"),
        (("llama", "--hf", "a/b/c"), "--hf a/b/c is no repository"),
        (("llama", "some.bin", "--hf", "lab/llama"), "--hf works with a single directory"),
        (("some.bin", "--hf", "lab/llama"), "some.bin is a file, and a repository of the hub is"),
    ],
)
def test_mistakes_are_told(lab: Cluster, words: tuple[str, ...], said: str) -> None:
    fails(lab.run("fetch", *words, "--as", "n2"), 2, said)


def hub_snapshot(tmp_path: Path) -> Path:
    """Make a snapshot as the hub's library does."""
    place = tmp_path / "other/hub/models--org--gpt"
    snapshot = place / "snapshots" / ("0123abcd" * 5)
    (snapshot / "sub").mkdir(parents=True)
    (place / "blobs").mkdir()
    names = {
        "model.safetensors": (WEIGHTS, hashlib.sha256(WEIGHTS).hexdigest()),
        "sub/config.json": (CONFIG, CONFIG_SHA1),
    }
    for name, (data, digest) in names.items():
        (place / "blobs" / digest).write_bytes(data)
        up = "../" * name.count("/")
        (snapshot / name).symlink_to(f"../../{up}blobs/{digest}")
    return snapshot


def test_a_snapshot_is_shared_with_what_it_links_to(lab: Cluster, tmp_path: Path) -> None:
    snapshot = hub_snapshot(tmp_path)
    done = lab.run("share", str(snapshot), "--as", "n1")
    assert (done.exit_code, done.stdout.startswith("org--gpt v1, published by n1: ")) == (0, True)
    assert lab.fetch("org--gpt", node="n2").exit_code == 0
    files = {name: data for name, data in lab.files("n2").items() if name.startswith("org")}
    assert files == {"org--gpt/model.safetensors": WEIGHTS, "org--gpt/sub/config.json": CONFIG}
    assert lab.run("forget", "org--gpt", "--as", "n1", "--delete").exit_code == 0


@pytest.mark.parametrize("name", ["model.safetensors", "sub/config.json"])
def test_a_snapshot_whose_bytes_are_wrong_is_not_shared(
    lab: Cluster, tmp_path: Path, name: str
) -> None:
    path = hub_snapshot(tmp_path) / name
    data = path.read_bytes()
    path.resolve().write_bytes(data[:-1] + b"?")
    done = lab.run("share", str(hub_snapshot_of(path)), "--as", "n1")
    fails(done, 5, f"{name} is not what the hub has: ", "download it again")
    assert not (lab.folder("n1") / "org--gpt").exists()


def hub_snapshot_of(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.parent.name == "snapshots")
