"""Which files of a folder are shared, and what is said of the others."""

import errno
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from shoal.node.files.signature import GoneError, Signature
from shoal.node.folder.contents import AwayError, Folder, NotNowError
from shoal.node.folder.rules import Rule, Rules
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import Tree
from shoal.protocol.manifest import MAX_SIZE_BYTES


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def folder_at(path: Path) -> Folder:
    return Folder(path, Rules(path / ".shoal"), lambda: False)


def signature_of(source: Source | None) -> Signature | None:
    return source.signature if source else None


def test_finds_files_and_directories(tmp_path: Path) -> None:
    write(tmp_path, "a", "b/c", "b/d/e f", "ü", ".hidden", ".shoal-notes")
    (tmp_path / "empty").mkdir()
    things = folder_at(tmp_path).look().found
    assert sorted(things) == sorted(["a", "b", "ü", ".hidden", ".shoal-notes", "empty"])
    assert signature_of(things["a"]) == Signature.of((tmp_path / "a").stat())
    assert isinstance(things["a"], FileSource)
    assert isinstance(things["b"], Tree)
    assert things["b"].file_count == 2


def test_leaves_its_own_things_out(tmp_path: Path) -> None:
    write(tmp_path, ".shoal/cache.db", ".shoal/partial/x/data", "a/.shoal/b")
    (tree,) = folder_at(tmp_path).look().found.values()
    assert isinstance(tree, Tree)
    assert tree.file_count == 1  # That of another node, whose folder lies in this one.


def test_leaves_out_what_is_withheld(tmp_path: Path) -> None:
    write(tmp_path, ".shoal/x", "a", "b/c")
    rules = Rules(tmp_path / ".shoal")
    folder = Folder(tmp_path, rules, lambda: False)
    for name in ("a", "b"):
        rules.set(name, Rule(withheld="because"))
        assert name not in folder.look().found
        assert folder.source_of(name) is None


def test_stops_when_it_is_told_to(tmp_path: Path) -> None:
    write(tmp_path, "a/b")
    with pytest.raises(GoneError):
        Folder(tmp_path, Rules(tmp_path), lambda: True).look()


def test_says_once_what_cannot_be_shared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "good", "a\nb", "\x1b[31m", "back\\slash", ".SHOAL/a")
    bad = os.fsencode(tmp_path) + b"/\xff\xfe"
    with open(bad, "wb"):  # noqa: PTH123 (a Path is text)
        pass
    folder = folder_at(tmp_path)
    for _ in range(2):
        assert list(folder.look().found) == ["good"]
    assert len(caplog.messages) == 5
    assert all(line.isprintable() for line in caplog.messages)
    assert r"\udcff\udcfe is not shared: its name is not valid UTF-8" in caplog.messages


def test_follows_links_to_files_but_not_to_directories(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "out", "data")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "out/data")
    (folder / "circle").symlink_to(folder)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    (folder / "self").symlink_to(folder / "self")
    assert list(folder_at(folder).look().found) == ["link"]
    told = {line.split(" is not")[0] for line in caplog.messages}
    assert told == {"dangling", "self"}


def test_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    folder = folder_at(tmp_path)
    assert folder.look().found == {}
    assert folder.source_of("fifo") is None


def test_leaves_out_what_is_too_large(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(MAX_SIZE_BYTES + 1)
    folder = folder_at(tmp_path)
    assert folder.look().found == {}
    assert folder.source_of("huge") is None
    assert caplog.messages == [f"huge is not shared: it is larger than {MAX_SIZE_BYTES} bytes"]
    os.truncate(path, MAX_SIZE_BYTES)
    assert list(folder.look().found) == ["huge"]


def test_a_folder_that_is_gone_is_not_empty(tmp_path: Path) -> None:
    with pytest.raises(AwayError, match="nowhere cannot be looked at: No such file or directory"):
        folder_at(tmp_path / "nowhere").look()


def test_nor_is_one_whose_state_is_elsewhere(tmp_path: Path) -> None:
    path, bare = tmp_path / "folder", tmp_path / "bare"
    bare.mkdir()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as mounted:
        if Path(mounted).stat().st_dev == bare.stat().st_dev:
            pytest.skip("there is no other file system here")
        write(Path(mounted), "a")
        path.symlink_to(mounted)
        folder = Folder(path, Rules(tmp_path), lambda: False)
        assert list(folder.look().found) == ["a"]
        path.unlink()
        path.symlink_to(bare)
        with pytest.raises(AwayError, match="it is empty, and not the one that was mounted"):
            folder.look()
        write(bare, "b")
        assert list(folder.look().found) == ["b"]


def test_a_folder_that_is_not_mounted_is_not_empty(tmp_path: Path) -> None:
    state, mounted = tmp_path / "n1" / ".shoal", tmp_path / "mounted"
    write(tmp_path, "n1/a")
    state.mkdir()
    (state / "lock").write_bytes(b"17\n")
    folder = Folder(tmp_path / "n1", Rules(state), lambda: False)
    assert list(folder.look().found) == ["a"]
    (tmp_path / "n1").rename(mounted)
    (tmp_path / "n1").mkdir()  # The bare mount point.
    for look in (folder.look, folder.require_there, lambda: folder.source_of("a")):
        with pytest.raises(AwayError, match="is not there, so it is not mounted"):
            look()
    state.mkdir()
    (state / "lock").write_bytes(b"")  # An earlier start had nothing else.
    with pytest.raises(AwayError):
        folder.look()
    subprocess.run(["rm", "-r", tmp_path / "n1"], check=True)
    mounted.rename(tmp_path / "n1")
    assert list(folder.look().found) == ["a"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_what_cannot_be_looked_at_is_told_from_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write(tmp_path, "a", "b")
    folder, real = folder_at(tmp_path), Path.is_dir

    def fail(path: Path) -> bool:
        if path.name == "a":
            raise OSError(number, os.strerror(number))
        return real(path)

    monkeypatch.setattr(Path, "is_dir", fail)
    look = folder.look()
    assert (list(look.found), look.unreadable) == (["b"], {"a"})
    with pytest.raises(NotNowError):
        folder.source_of("a")
    (tmp_path / "b").unlink()
    assert folder.look_again({"a": {""}, "b": {""}}) == (["a", "b"], {}, {"a"})
    assert folder.look() == (["a"], {}, {"a"})


def test_whatever_is_wrong_with_one_the_others_are_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "b3:" + 64 * "a", "old/x", "far/x", "plain", "oldest")
    for name, time_s in (("old/x", -(2**31)), ("far/x", 2**34), ("oldest", 2**33)):
        os.utime(tmp_path / name, (0, time_s))
    folder = folder_at(tmp_path)
    assert list(folder.look().found) == ["far", "old", "oldest", "plain"]
    assert caplog.messages == [f"b3:{64 * 'a'} is not shared: its name has the form of an id"]


def test_goes_as_deep_as_names_may(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 500)
    script = f"mkdir -p {deep} && echo x > {deep}/file"
    try:
        subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
        (tree,) = folder_at(tmp_path).look().found.values()
        assert isinstance(tree, Tree)
        assert tree.read(tree.listing_bytes, 2) == b"x\n"
    finally:
        subprocess.run(["rm", "-rf", "d"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", ["../out", "/etc/hostname", "", "a/../b", ".shoal/lock", "a\0b"])
def test_looks_at_no_file_outside(tmp_path: Path, name: str) -> None:
    write(tmp_path, "out", "in/b", "in/.shoal/lock", "in/a/c")
    assert folder_at(tmp_path / "in").source_of(name) is None


def test_one_thing(tmp_path: Path) -> None:
    write(tmp_path, "a/b", "c")
    folder = folder_at(tmp_path)
    assert signature_of(folder.source_of("c")) == Signature.of((tmp_path / "c").stat())
    assert signature_of(folder.source_of("a")) == folder.look().found["a"].signature
    assert folder.source_of("a/b") is None
    assert folder.source_of("d") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_a_stranger_s_link_to_what_is_private_is_left_out_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "n1"
    secret.write_bytes(b"root's")
    secret.chmod(0o600)
    folder.mkdir()
    for name, owner in (("mine", os.geteuid()), ("innocent", 12345)):
        (folder / name).symlink_to(secret)
        os.chown(folder / name, owner, -1, follow_symlinks=False)
    node = folder_at(folder)
    for _ in range(2):
        assert list(node.look().found) == ["mine"]
    assert node.source_of("innocent") is None
    assert caplog.text.count("innocent is not shared: it is a link that user 12345 made to") == 1


def test_of_much_that_is_left_out_some_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t").mkdir()
    for number in range(30):
        (tmp_path / "t" / f"{number:02}").symlink_to("/etc")
    folder = folder_at(tmp_path)
    for _ in range(2):
        assert list(folder.look().found) == ["t"]
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "and 10 more in t are not shared"


def test_a_link_to_a_directory_is_followed_if_its_rule_says_so(tmp_path: Path) -> None:
    write(tmp_path, "out/x", "n1/.shoal/y")
    (tmp_path / "n1/t").symlink_to("../out")
    rules = Rules(tmp_path / "n1/.shoal")
    folder = Folder(tmp_path / "n1", rules, lambda: False)
    assert folder.source_of("t") is None
    assert folder.why_not("t") == "it is a link to a directory, which needs --link"
    rules.set("t", Rule(follow_links=True))
    tree = folder.source_of("t")
    assert isinstance(tree, Tree)
    assert (tree.file_paths(), folder.why_not("t")) == (["x"], None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
def test_says_what_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "n1/secret", "n1/ok", "n1/locked/x")
    folder = Folder(Path("n1"), Rules(tmp_path / "n1"), lambda: False)
    (tmp_path / "n1/secret").chmod(0o600)
    (tmp_path / "n1/locked").chmod(0o700)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    os.seteuid(65534)
    try:
        for _ in range(2):
            assert list(folder.look().found) == ["ok"]
    finally:
        os.seteuid(0)
    assert sorted(caplog.messages) == [
        "locked is not shared: it cannot be read: Permission denied",
        "secret is not shared: it cannot be read: Permission denied",
    ]
    assert folder.why_not("secret") == "it cannot be read: Permission denied"


def test_looks_again_at_nothing_but_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a", "b", "t/x/1", "t/y/2", "u/3")
    folder = folder_at(tmp_path)
    before = folder.look().found
    asked: list[str] = []
    real = os.scandir

    def note(path: str) -> object:
        asked.append(str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", note)
    write(tmp_path, "t/x/new")
    (tmp_path / "b").unlink()
    (tmp_path / "a").write_bytes(b"not reported")
    look = folder.look_again({"t": {"x/new"}, "b": {""}, "never was": {""}, "u": set()})
    assert (look.names, look.unreadable) == (["b", "never was", "t", "u"], set())
    assert asked == [f"{tmp_path}/t/x"]
    assert look.found["u"] is before["u"]
    assert signature_of(look.found["t"]) == signature_of(folder.source_of("t"))
    assert set(look.found) == {"t", "u"}


def test_what_is_known_of_a_tree_is_forgotten_when_it_is_another(tmp_path: Path) -> None:
    write(tmp_path, ".shoal/x", "t/a", "t/b", "aside/c")
    rules = Rules(tmp_path / ".shoal")
    folder = Folder(tmp_path, rules, lambda: False)
    folder.look()
    rules.set("t", Rule(exclude=("b",)))
    (tree,) = folder.look_again({"t": {"a"}}).found.values()
    assert isinstance(tree, Tree)
    assert tree.file_paths() == ["a"]  # With what was known it would have b.
    rules.set("t", Rule("because", exclude=("b",)))
    assert folder.look_again({"t": {"a"}}).found == {}
    rules.set("t", Rule(exclude=("b",)))
    (tmp_path / "t").rename(tmp_path / "elsewhere")
    (tmp_path / "t").symlink_to("aside")
    assert folder.look_again({"t": {"a"}}).found == {}
    (tmp_path / "t").unlink()
    write(tmp_path, "t")
    assert isinstance(folder.look_again({"t": {"a"}}).found["t"], FileSource)


def test_a_link_changes_with_what_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path, "t/x/1", "a")
    (tmp_path / "l").symlink_to("t/x/1")
    (tmp_path / "m").symlink_to(tmp_path / "a")
    (tmp_path / "out").symlink_to("/etc/hostname")
    folder = folder_at(tmp_path)
    folder.look()
    assert folder.look_again({"t": {"x/1"}}).names == ["l", "t"]
    assert folder.look_again({"a": {""}}).names == ["a", "m"]
