"""What `shoal check` says of the store that trackers share, where one of them belongs."""

from pathlib import Path

import pytest
from shoal.commands.check import _store
from shoal.config.cluster import load

FILE = """\
tracker: {{address: 'tcp://{host}:12000'}}
store: {store}
nodes: {{n1: {{address: 'tcp://192.0.2.1:11001', folder: n1}}}}
"""
WITH_FILE = "{url: 'redis://127.0.0.1:1', password_file: secret}"


@pytest.mark.parametrize(
    ("store", "mode", "told"),
    [
        ("redis://127.0.0.1:1", None, "ok: redis://127.0.0.1:1, without a password"),
        ("redis://:word@127.0.0.1:1", None, "note: its password is in the cluster file, which all"),
        (WITH_FILE, 0o600, "ok: redis://127.0.0.1:1, with a password"),
        (WITH_FILE, 0o640, "wrong: {folder}/secret may be read or written by others; run `chmod"),
        (WITH_FILE, None, "wrong: {folder}/secret: cannot read the store's password: No such"),
    ],
)
def test_the_password_is_there_and_nobody_else_can_read_it(
    tmp_path: Path, store: str, mode: int | None, told: str
) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(FILE.format(host="127.0.0.1", store=store).replace("192.0.2.1", "127.0.0.1"))
    if mode is not None:
        (tmp_path / "secret").write_text("word\n")
        (tmp_path / "secret").chmod(mode)
    found = next(_store(load(path)))  # Before it is looked whether it answers.
    assert f"{found.state}: {found.message}".startswith(told.format(folder=tmp_path))
    assert "word" not in found.message.replace("password", "")


def test_elsewhere_it_is_nobody_s_business(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(FILE.format(host="192.0.2.1", store=WITH_FILE))
    assert not [*_store(load(path))]
