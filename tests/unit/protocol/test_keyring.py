"""The keys that a process goes by, before and after they are replaced."""

from shoal.protocol import keyring
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.keys import KeyPair
from shoal.protocol.permits import Role, Who

OWN = KeyPair(b"o" * 32, b"s" * 32)
N1, N2 = Who("n1", Role.NODE), Who("n2", Role.NODE)


def test_nobody_is_known_at_first() -> None:
    ring = Keyring("n1", OWN)
    assert ring.who(OWN.public) is None
    assert ring.towards_node("n2") is None


def test_servers_are_spoken_to_with_the_keys_of_the_file() -> None:
    ring = Keyring("n1", OWN)
    ring.replace(b"t" * 32, {"n2": b"2" * 32}, {b"2" * 32: N2, OWN.public: N1})
    assert ring.towards_tracker() == Towards(OWN, b"t" * 32, "n1")
    assert ring.towards_node("n2") == Towards(OWN, b"2" * 32, "n1")
    assert ring.towards_node("n3") is None
    assert ring.who(b"2" * 32) == N2


def test_who_loses_a_key_or_a_role_is_a_removal_and_who_gets_one_is_not() -> None:
    ring = Keyring("n1", OWN)
    counts = []
    for table in (
        {OWN.public: N1},
        {OWN.public: N1, b"2" * 32: N2},
        {OWN.public: N1},
        {OWN.public: Who("n1", Role.READER)},
    ):
        ring.replace(b"t" * 32, {}, table)
        counts.append(ring.removals)
    assert counts == [0, 0, 1, 2]


def test_without_keys_everybody_can_be_asked_and_nobody_needs_one() -> None:
    assert keyring.knows(None, "n2")
    assert keyring.towards_node(None, "n2") is None
    assert keyring.towards_tracker(None) is None


def test_with_keys_only_those_whose_key_is_known_can_be_asked() -> None:
    ring = Keyring("n1", OWN)
    ring.replace(b"t" * 32, {"n2": b"2" * 32}, {})
    assert keyring.knows(ring, "n2")
    assert not keyring.knows(ring, "n3")
    assert keyring.towards_node(ring, "n2") == Towards(OWN, b"2" * 32, "n1")
    assert keyring.towards_tracker(ring) == Towards(OWN, b"t" * 32, "n1")
