"""Which secret a process uses, and which it refuses to use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from shoal.config import cluster, keys
from shoal.config.cluster import Cluster
from shoal.protocol.errors import OperatorError
from shoal.protocol.keys import KeyPair, public_text, secret_text
from zmq.utils import z85


def new_pair() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(z85.decode(public), z85.decode(secret))


PAIRS = {name: new_pair() for name in ("tracker", "n1", "n2", "ann", "laptop", "stranger")}
SECURED = """\
tracker: {{address: tcp://10.0.0.1:12000, key: {tracker}}}
nodes:
  n1: {{address: tcp://10.0.0.2:11001, folder: one, key: {n1}}}
  n2: {{address: tcp://10.0.0.3:11001, folder: two, key: {n2}}}
  n3: {{address: tcp://10.0.0.4:11001, folder: three}}
admins: {{ann: {ann}}}
readers: {{laptop: {{key: {laptop}, folder: files}}}}
"""


def put(folder: Path, name: str, pair: KeyPair) -> Path:
    path = folder / "lab.keys" / f"{name}.key"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(f"# the secret key of {name}\n{secret_text(pair.secret)}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def secured(tmp_path: Path) -> Cluster:
    """A cluster file with keys, and no secret."""
    path = tmp_path / "lab.yaml"
    public = {name: public_text(pair.public) for name, pair in PAIRS.items()}
    path.write_text(SECURED.format(**public))
    return cluster.load(path)


def refusal(call: Callable[[], object]) -> str:
    """Return the error, which never has a secret in it."""
    with pytest.raises(OperatorError) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert not any(pair.secret.hex() in message for pair in PAIRS.values())
    return message


@pytest.mark.parametrize("name", ["tracker", "n1", "ann", "laptop"])
def test_everybody_has_a_pair_of_their_own(secured: Cluster, name: str) -> None:
    put(secured.path.parent, name, PAIRS[name])
    assert keys.own_pair(secured, name) == PAIRS[name]


def test_who_has_no_key_in_the_file_is_told_so(secured: Cluster) -> None:
    error = refusal(lambda: keys.own_pair(secured, "n3"))
    assert error.startswith(f"n3 has no key in {secured.path}; run `shoal keys`")


def test_a_missing_secret_is_told(secured: Cluster) -> None:
    error = refusal(lambda: keys.own_pair(secured, "n1"))
    assert error.startswith(f"{secured.path.parent}/lab.keys/n1.key: no such secret; copy it here")


def test_a_secret_that_does_not_belong_to_the_key_is_told(secured: Cluster) -> None:
    put(secured.path.parent, "n1", PAIRS["stranger"])
    error = refusal(lambda: keys.own_pair(secured, "n1"))
    assert "does not belong to the key of n1 in the cluster file; copy the right one" in error


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_secret_that_others_can_reach_is_refused(secured: Cluster, mode: int) -> None:
    put(secured.path.parent, "n1", PAIRS["n1"]).chmod(mode)
    error = refusal(lambda: keys.own_pair(secured, "n1"))
    assert "others may read or change it; run `chmod 600 " in error


def test_a_secret_of_another_user_is_refused(secured: Cluster) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a file away")
    os.chown(put(secured.path.parent, "n1", PAIRS["n1"]), 12345, 12345)
    assert "belongs to another user" in refusal(lambda: keys.own_pair(secured, "n1"))


def test_a_link_is_refused(secured: Cluster) -> None:
    path = put(secured.path.parent, "n1", PAIRS["n1"])
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    assert "n1.key: cannot be opened" in refusal(lambda: keys.own_pair(secured, "n1"))


def test_a_pipe_is_refused_at_once(secured: Cluster) -> None:
    path = put(secured.path.parent, "n1", PAIRS["n1"])
    path.unlink()
    os.mkfifo(path, 0o600)
    assert "n1.key: is not a file" in refusal(lambda: keys.own_pair(secured, "n1"))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "does not hold one secret"),
        (b"# only a comment\n", "does not hold one secret"),
        (b"%s\n%s\n", "does not hold one secret"),
        (b"%s" + b" " * keys.MAX_FILE_BYTES, "does not hold one secret"),
        (b"%s0", "holds no secret"),
        (b"my%s", "holds no secret"),
        (b"\xff%s", "holds no secret"),
        (b"\0" * 70, "holds no secret"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(secured: Cluster, content: bytes, cause: str) -> None:
    path = put(secured.path.parent, "n1", PAIRS["n1"])
    path.write_bytes(content.replace(b"%s", secret_text(PAIRS["n1"].secret).encode()))
    assert f"n1.key: {cause}; expected a file of" in refusal(lambda: keys.own_pair(secured, "n1"))


def test_who_only_asks_uses_an_admin_s_key_then_a_reader_s_then_a_node_s(secured: Cluster) -> None:
    for name in ("n2", "n1", "laptop", "ann"):
        put(secured.path.parent, name, PAIRS[name])
        assert keys.asking_pair(secured) == PAIRS[name]
    assert keys.asking_pair(secured, "n2") == PAIRS["n2"]


def test_who_asks_uses_a_good_secret_rather_than_a_bad_one(secured: Cluster) -> None:
    put(secured.path.parent, "ann", PAIRS["ann"]).chmod(0o644)
    assert "others may read" in refusal(lambda: keys.asking_pair(secured))
    put(secured.path.parent, "n1", PAIRS["n1"])
    assert keys.asking_pair(secured) == PAIRS["n1"]


def test_who_asks_without_any_secret_is_told_where_to_put_one(secured: Cluster) -> None:
    error = refusal(lambda: keys.asking_pair(secured))
    assert f"{secured.path.parent}/lab.keys has no secret that you may read; copy" in error


def test_who_asks_as_somebody_unknown_is_told_who_there_is(secured: Cluster) -> None:
    error = refusal(lambda: keys.asking_pair(secured, "laptob"))
    assert error.endswith("no laptob; expected one of ann, laptop, n1, n2; did you mean laptop?")
    assert "n3 has no key" in refusal(lambda: keys.asking_pair(secured, "n3"))
