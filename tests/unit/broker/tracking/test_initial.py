"""What the cluster file says, until the nodes speak."""

from shoal.broker.tracking.initial import Initial, InitialHoldings, InitialNode

from tests.unit.broker.scene import EXAMPLE, TRACKER_ADDRESS, address_of


def example() -> InitialHoldings:
    nodes = {node: InitialNode(address_of(node)) for node in ("n1", "n2", "n3")}
    return InitialHoldings(Initial(TRACKER_ADDRESS, nodes, EXAMPLE))


def drawn(holdings: InitialHoldings) -> str:
    return "; ".join(
        " ".join([f"{name}:", *(node for node, _ in holdings.holders(name))])
        for name in holdings.names_after("")
    )


def test_knows_the_users_example() -> None:
    holdings = example()
    assert drawn(holdings) == "net.txt: n1 n2; network.txt: n1 n3; seeds.txt: n2 n3"
    assert holdings.holders("net.txt")[0] == ("n1", "tcp://127.0.0.1:11001")
    assert [holdings.count(node) for node in ("n1", "n2", "n3", "n4")] == [2, 2, 2, 0]


def test_a_node_may_disown_one_file() -> None:
    holdings = example()
    assert holdings.disown("net.txt", "n1")
    assert not holdings.disown("net.txt", "n1")
    assert not holdings.disown("nosuch.txt", "n1")
    assert drawn(holdings) == "net.txt: n2; network.txt: n1 n3; seeds.txt: n2 n3"


def test_a_node_that_speaks_is_on_no_list_any_more() -> None:
    holdings = example()
    holdings.supersede("n3")
    holdings.supersede("n3")
    holdings.disown("network.txt", "n1")
    assert drawn(holdings) == "net.txt: n1 n2; seeds.txt: n2"
    assert list(holdings.names_after("net.txt")) == ["seeds.txt"]
