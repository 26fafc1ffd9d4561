"""What `ls` prints of a file and its holders."""

import msgspec
from shoal.commands import ls
from shoal.protocol.messages import File, Holder

N1 = Holder("n1", "tcp://127.0.0.1:11001", complete=True, alive=True)
N2 = Holder("n2", "tcp://127.0.0.1:11002", complete=False, alive=True)
N3 = Holder("n3", "tcp://127.0.0.1:11003", complete=False, alive=False)
ID = "b3:0123456789ab" + 52 * "0"


def test_a_row_says_who_has_only_a_part_or_is_silent() -> None:
    file = File(name="a.bin", id=ID, size_bytes=1500, age_s=61, newest=True, holders=(N1, N2, N3))
    row = [
        "a.bin",
        "-",
        "-",
        "1.5 kB",
        "b3:0123456789ab",
        "1 min",
        "n1 n2 (part) n3 (part, offline)",
    ]
    assert ls._file_row(file) == row


def test_a_row_says_what_is_not_known_or_not_new() -> None:
    file = File(name="a\u202e", id=None, size_bytes=None, age_s=0, newest=False, holders=())
    assert ls._file_row(file) == ["a\\u202e (older)", "-", "-", "?", "?", "0 s", ""]


def test_a_row_says_which_version_it_is_and_whose() -> None:
    file = File("a.bin", ID, 1500, 61, newest=True, holders=(), version=3, publisher="n7")
    assert ls._file_row(file)[:3] == ["a.bin", "v3", "n7"]


def test_a_row_counts_many_holders() -> None:
    holders = [Holder(f"n{index}", N1.address, complete=True, alive=True) for index in range(58)]
    file = File("a.bin", ID, 1500, 61, newest=True, holders=tuple(holders))
    assert ls._file_row(file, 60)[-1] == "58 of 60"
    assert ls._file_row(file)[-1].split() == [holder.node for holder in holders]
    more = msgspec.structs.replace(file, holders=(*holders, N2, N3))
    assert ls._file_row(more, 60)[-1] == "58 of 60, 2 in part, 1 offline"


def test_a_holder_of_the_cluster_file_alone_was_never_seen() -> None:
    file = File("a.bin", None, None, 0, newest=True, holders=(N3,))
    assert ls._file_row(file)[-1] == "n3 (part, never seen)"


def test_a_document_has_the_promised_keys() -> None:
    file = File("a.bin", ID, 1500, 61, newest=True, holders=(N2,), version=3, publisher="n7")
    document = ls._file_document(file)
    assert {"name", "id", "size_bytes", "holders"} <= set(document)
    assert (document["version"], document["publisher"]) == (3, "n7")
    assert document["holders"] == [
        {"node": "n2", "address": "tcp://127.0.0.1:11002", "complete": False, "alive": True}
    ]
