"""Rows and documents of `ls` and `where`."""

from commands import listing
from protocol.messages import File, Holder

N1 = Holder("n1", "tcp://127.0.0.1:11001", complete=True, alive=True)
N2 = Holder("n2", "tcp://127.0.0.1:11002", complete=False, alive=True)
N3 = Holder("n3", "tcp://127.0.0.1:11003", complete=False, alive=False)
ID = "b3:0123456789ab" + 52 * "0"


def test_a_row_says_who_has_only_a_part_or_is_silent() -> None:
    file = File(name="a.bin", id=ID, size_bytes=1500, age_s=61, newest=True, holders=(N1, N2, N3))
    row = ["a.bin", "1.5 kB", "b3:0123456789ab", "1 min", "n1 n2 (part) n3 (part, offline)"]
    assert listing._file_row(file) == row


def test_a_row_says_what_is_not_known_or_not_new() -> None:
    file = File(name="a\x1b", id=None, size_bytes=None, age_s=0, newest=False, holders=())
    assert listing._file_row(file) == ["a\\x1b (older)", "?", "?", "0 s", ""]


def test_a_document_has_the_promised_keys() -> None:
    file = File(name="a.bin", id=ID, size_bytes=1500, age_s=61, newest=True, holders=(N2,))
    document = listing._file_document(file)
    assert {"name", "id", "size_bytes", "holders"} <= set(document)
    assert document["holders"] == [
        {"node": "n2", "address": "tcp://127.0.0.1:11002", "complete": False, "alive": True}
    ]
