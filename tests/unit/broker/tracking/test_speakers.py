"""Whom the tracker believes that it is a node, without keys."""

from collections.abc import Collection

import msgspec
import pytest
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.speakers import MOST_EPOCHS, MOST_UPDATES
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Leave, Ok, Query, Renew, TrackerReply, Update
from shoal.protocol.permits import Role, Who

from tests.unit.broker.scene import Scene, holding, shown

HOSTS = {
    "n1": "tcp://10.0.0.1:11001",
    "n2": "tcp://alpha:11002",  # Has two addresses.
    "n3": "tcp://unknown:11003",
}
KNOWN = {"alpha": ("10.0.0.2", "fd00::2"), "tracker": ("10.0.0.9",)}


def resolve(host: str) -> Collection[str]:
    return KNOWN.get(host, ())


class Lan(Scene):
    """A tracker that others can reach; requests have a host and a token."""

    def __init__(self) -> None:
        super().__init__()
        nodes = {node: InitialNode(address) for node, address in HOSTS.items()}
        self.initial = Initial("tcp://tracker:12000", nodes, {"net.txt": ("n1",)}, resolve=resolve)
        self.tracker = self._started()
        self.host = "10.0.0.1"

    def say(  # noqa: PLR0913 - one for each field that counts
        self,
        node: str = "n1",
        address: str = HOSTS["n1"],
        *,
        token: str = "",
        epoch: int = 1,
        sequence: int = 1,
        holds: str = "a=1",
        who: Who | None = None,
    ) -> TrackerReply:
        holdings = tuple(map(holding, holds.split()))
        update = Update(node, address, epoch, sequence, holdings, token=token)
        return self.send(update, who)

    def given(self, node: str = "n1", address: str = HOSTS["n1"], **fields: int) -> str:
        """Announce a node; return the token that it gets."""
        reply = self.say(node, address, **fields)  # type: ignore[arg-type]
        assert isinstance(reply, Ok), reply
        return reply.token

    def known(self) -> str:
        """Announce n1 and show its token, which is returned."""
        token = self.given()
        assert self.renews(token) == "ok 1"
        return token

    def renews(self, token: str = "", epoch: int = 1, node: str = "n1") -> str:
        return shown(self.send(Renew(node, epoch, 1, token=token)))

    def leaves(self, token: str = "", epoch: int = 1) -> str:
        return shown(self.send(Leave("n1", epoch, token=token)))

    def wants(self, token: str = "", what: str = "a", node: str = "n1") -> str:
        """Ask as a node that has lost it; return who holds it now."""
        self.send(Query(what, node, token=token))
        return self.ask(what)


@pytest.fixture
def lan() -> Lan:
    return Lan()


# Addresses and hosts.


def test_an_address_is_a_number(lan: Lan) -> None:
    reply = shown(lan.say("n4", "tcp://n4.example.com:11004"))
    assert reply.startswith(
        "CONFLICT n4 cannot be announced at tcp://n4.example.com:11004: the host must be a number"
    )


@pytest.mark.parametrize(
    ("node", "host", "address"),
    [
        ("n1", "10.0.0.1", "tcp://10.0.0.1:11001"),
        ("n1", "", "tcp://10.0.0.1:11001"),  # It did not come over TCP.
        ("n2", "10.0.0.2", "tcp://10.0.0.2:11002"),
        ("n2", "fd00::2", "tcp://[fd00:0::2]:11002"),
        ("n3", "10.0.0.77", "tcp://10.0.0.77:11003"),  # Nobody knows what is right.
        ("n4", "10.0.0.78", "tcp://10.0.0.78:1234"),
        ("n4", "::ffff:10.0.0.78", "tcp://10.0.0.78:1234"),
    ],
)
def test_a_node_speaks_from_its_own_address(lan: Lan, node: str, host: str, address: str) -> None:
    lan.host = host
    assert shown(lan.say(node, address)) == "ok 1"


@pytest.mark.parametrize(
    ("node", "host", "address", "reason"),
    [
        ("n1", "10.0.0.2", "tcp://10.0.0.1:11001", "10.0.0.2 may not speak for n1"),
        ("n1", "10.0.0.2", "tcp://10.0.0.2:11001", "n1 may not be at tcp://10.0.0.2:11001"),
        ("n1", "10.0.0.1", "tcp://10.0.0.1:11002", "has it at tcp://10.0.0.1:11001; start it"),
        ("n2", "10.0.0.3", "tcp://10.0.0.3:11002", "has it at tcp://alpha:11002"),
        ("n3", "10.0.0.77", "tcp://10.0.0.78:11003", "10.0.0.77 may not speak for n3"),
        ("n3", "10.0.0.77", "tcp://10.0.0.77:11004", "n3 may not be at"),
        ("n4", "10.0.0.77", "tcp://10.0.0.78:11004", "10.0.0.77 may not speak for n4"),
    ],
)
def test_nobody_speaks_for_another_host(
    lan: Lan, node: str, host: str, address: str, reason: str
) -> None:
    lan.host = host
    reply = shown(lan.say(node, address))
    assert reply.startswith("NOT_ALLOWED")
    assert reason in reply
    assert lan.files().startswith("net.txt")
    assert lan.told() == [f"rejected an update from {node}: {reply.removeprefix('NOT_ALLOWED ')}"]


def test_all_addresses_of_one_machine_are_one_host() -> None:
    scene = Scene()
    scene.host = "127.0.0.5"
    assert scene.update("n1", "a=1") == "ok 1"
    assert scene.update("n4", "a=1", address="tcp://[::1]:11004") == "ok 1"


def test_a_tracker_whose_name_is_its_own_machine_takes_nodes_on_it(
    monkeypatch: pytest.MonkeyPatch, lan: Lan
) -> None:
    lan.host = "127.0.1.1"
    assert shown(lan.say("n4", "tcp://127.0.1.1:11004")).startswith("CONFLICT")
    for found in ("127.0.1.1", "::1"):
        monkeypatch.setitem(KNOWN, "tracker", (found,))
        assert shown(lan.say("n4", "tcp://127.0.1.1:11004")) == "ok 1"


def test_while_the_trackers_own_number_is_unknown_its_name_counts(
    monkeypatch: pytest.MonkeyPatch, lan: Lan
) -> None:
    monkeypatch.delitem(KNOWN, "tracker")
    assert shown(lan.say()) == "ok 1"


def test_renewing_and_leaving_need_the_nodes_host(lan: Lan) -> None:
    assert lan.leaves() == "NOT_FOUND n1 is not known here; announce first"
    lan.given()
    lan.host = "10.0.0.2"
    assert lan.renews().startswith("NOT_ALLOWED 10.0.0.2 may not speak for n1, which is at tcp://")
    assert lan.leaves().startswith("NOT_ALLOWED 10.0.0.2 may not speak for n1")
    assert lan.ask("a") == "=1 n1"


def test_behind_nat_a_node_speaks_from_where_it_listens_if_the_file_says_so(lan: Lan) -> None:
    lan.host = "10.5.0.1"
    assert lan.say("n3", "tcp://10.0.0.3:11003") == Error(
        WireCode.NOT_ALLOWED,
        "10.5.0.1 may not speak for n3, which is at tcp://10.0.0.3:11003: a node speaks from its "
        "own address; behind NAT, use keys (`shoal keys`)",
    )
    nodes = {
        "n1": InitialNode(HOSTS["n1"]),
        "n3": InitialNode("tcp://10.0.0.3:11003", listen_host="10.5.0.1"),
    }
    lan.initial = Initial("tcp://10.0.0.9:12000", nodes, {"net.txt": ("n3",)})
    lan.tracker = lan._started()
    assert lan.wants(what="net.txt", node="n3") == "NOT_FOUND no such file: net.txt"
    for host in ("10.5.0.1", "10.0.0.3"):
        lan.host = host
        assert shown(lan.say("n3", "tcp://10.0.0.3:11003")) == "ok 1"
    assert lan.renews(node="n3") == "ok 1"
    assert shown(lan.say("n3", "tcp://10.5.0.1:11003")).startswith("NOT_ALLOWED n3 may not be at")
    lan.host = "10.5.0.2"
    assert lan.renews(node="n3").startswith("NOT_ALLOWED 10.5.0.2 may not speak for n3")


# Tokens.


def test_a_token_is_given_until_it_is_shown(lan: Lan) -> None:
    first, second = lan.given(), lan.given()  # The first answer may have been lost.
    assert len({first, second, ""}) == 3
    assert lan.given(sequence=2) not in {first, second}
    assert lan.renews(second) == "ok 1"  # An unknown one, as the last was never shown.
    reply = lan.say(token=second, sequence=3)
    assert isinstance(reply, Ok)
    assert reply.token == ""


def test_once_a_node_has_shown_its_token_nobody_else_can_speak_for_it(lan: Lan) -> None:
    token = lan.known()
    running = (
        "NOT_ALLOWED n1 is already running at tcp://10.0.0.1:11001; "
        "stop it, or wait 30 s if it died"
    )
    for wrong in ("", "guessed"):
        assert shown(lan.say(token=wrong, epoch=2, holds="")) == running
        assert lan.renews(wrong) == running
        assert lan.leaves(wrong) == running
    assert lan.ask("a") == "=1 n1"
    assert shown(lan.say(token=token, sequence=2, holds="b=1")) == "ok 2"
    assert lan.leaves(token) == "ok 2"


def test_an_older_program_that_shows_no_token_is_believed(lan: Lan) -> None:
    assert shown(lan.say()) == "ok 1"
    assert lan.renews() == "ok 1"
    assert shown(lan.say(sequence=2, holds="b=1")) == "ok 2"
    assert lan.leaves() == "ok 2"


def test_a_node_that_lost_its_token_waits_for_its_lease(lan: Lan) -> None:
    lan.known()
    lan.wait(29)
    assert shown(lan.say(epoch=2)).startswith("NOT_ALLOWED")
    lan.wait(1)
    assert lan.renews() == "NOT_FOUND n1 is not known here; announce first"
    assert lan.leaves() == "NOT_FOUND n1 is not known here; announce first"
    assert lan.given(epoch=2) != ""


def test_a_node_that_was_off_takes_its_name_back_from_an_impostor(lan: Lan) -> None:
    token = lan.known()
    assert lan.leaves(token) == "ok 1"
    fake = lan.given(epoch=2**40, sequence=2**30)
    assert lan.renews(fake, epoch=2**40) == "ok 1"
    assert shown(lan.say(token=token, epoch=2, holds="b=1")) == "ok 2"
    assert lan.renews(fake, epoch=2).startswith("NOT_ALLOWED")
    assert shown(lan.say(token=fake, epoch=2**40, sequence=2**30)).startswith("NOT_ALLOWED")


def test_a_node_takes_its_name_back_from_an_impostor_that_shows_nothing(lan: Lan) -> None:
    token = lan.known()
    lan.leaves(token)
    lan.given(epoch=2**40)
    assert shown(lan.say(token=token, epoch=1, sequence=1)) == "ok 1"
    assert shown(lan.say(epoch=2**40, sequence=2)).startswith("NOT_ALLOWED")


def test_tokens_survive_a_restart_of_the_tracker(lan: Lan) -> None:
    token = lan.known()
    lan.restart()
    assert lan.renews("guessed").startswith("NOT_ALLOWED")
    assert lan.renews(token) == "ok 1"


def test_a_tracker_that_lost_its_state_takes_the_token_that_it_is_shown(lan: Lan) -> None:
    token = lan.known()
    lan.log.clear()
    lan.restart()
    reply = lan.say(token=token)
    assert isinstance(reply, Ok)
    assert reply.token == ""
    assert lan.renews("guessed").startswith("NOT_ALLOWED")


def test_what_is_forgotten_has_no_tokens(lan: Lan) -> None:
    lan.host = "10.0.0.4"
    token = lan.given("n4", "tcp://10.0.0.4:1234")
    assert lan.renews(token, node="n4") == "ok 1"
    for seconds in (30, 86_400):
        lan.wait(seconds)
        lan.expire()
    assert [msgspec.structs.asdict(each) for each in lan.changes()[-2:]] == [
        {"node": "n4", "tokens": ""},
        {"node": "n4"},
    ]


# Taking off.


def test_a_node_that_shows_tokens_is_taken_off_by_nobody_else(lan: Lan) -> None:
    token = lan.known()
    for wrong in ("", "guessed"):
        assert lan.wants(wrong) == "=1 n1"
    assert lan.wants(token) == "NOT_FOUND no such file: a"


def test_a_node_that_shows_none_is_taken_off_from_its_own_host(lan: Lan) -> None:
    lan.given()
    lan.host = "10.0.0.2"
    assert lan.wants() == "=1 n1"
    lan.host = "10.0.0.1"
    assert lan.wants() == "NOT_FOUND no such file: a"


def test_what_the_cluster_file_says_is_taken_off_from_the_files_host(lan: Lan) -> None:
    lan.host = "10.0.0.2"
    assert lan.wants(what="net.txt") == "=? n1?"
    assert lan.wants(what="net.txt", node="stranger") == "=? n1?"
    lan.host = "10.0.0.1"
    assert lan.wants(what="net.txt") == "NOT_FOUND no such file: net.txt"


def test_a_stranger_that_is_gone_is_not_forgotten_because_somebody_asks(lan: Lan) -> None:
    lan.host = "10.0.0.4"
    lan.given("n4", "tcp://10.0.0.4:1234")
    shown(lan.send(Leave("n4", 1)))
    lan.host = "10.0.0.2"
    assert lan.wants(node="n4") == "=1 silent n4?"


# Epochs.


@pytest.mark.parametrize(
    ("epoch", "sequence"), [(MOST_EPOCHS + 2, 2), (2**53, 2**53), (1, MOST_UPDATES + 2), (2, 2**53)]
)
def test_no_node_starts_so_often(lan: Lan, epoch: int, sequence: int) -> None:
    token = lan.known()
    reply = lan.say(token=token, epoch=epoch, sequence=sequence)
    assert isinstance(reply, Error)
    assert reply.message.startswith("n1 counts its starts and updates as no node does; delete")
    assert not any(digit in reply.message for digit in "023456789")


def test_a_clock_that_was_wrong_is_no_reason_to_refuse(lan: Lan) -> None:
    token = lan.given(epoch=60_000)  # In 1970.
    today_ms = 1_900_000_000_000
    assert shown(lan.say(token=token, epoch=today_ms, sequence=1)) == "ok 1"
    assert shown(lan.say(token=token, epoch=today_ms, sequence=10**6)) == "ok 1"


# Keys.


def test_with_keys_the_key_is_the_name_and_the_file_says_where(lan: Lan) -> None:
    n1 = Who("n1", Role.NODE)
    lan.host = "192.168.7.7"  # Through another network.
    reply = lan.say(who=n1)
    assert isinstance(reply, Ok)
    assert reply.token == ""
    assert shown(lan.send(Renew("n1", 1, 1), n1)) == "ok 1"
    assert shown(lan.say(address="tcp://10.0.0.1:1111", who=n1)).startswith("NOT_ALLOWED")
    lan.send(Query("a", "n1"), n1)
    assert lan.ask("a") == "NOT_FOUND no such file: a"
