"""Which hosts a host list names, and what is none."""

import pytest
from shoal.config.host_lists import MAX_HOSTS, hosts_in
from shoal.protocol.errors import OperatorError


@pytest.mark.parametrize(
    ("texts", "hosts"),
    [
        (["pc[08-10]"], "pc08 pc09 pc10"),
        (["pc2,pc[1-3]"], "pc2 pc1 pc3"),
        (["lab-7.example", "pc1"], "lab-7.example pc1"),
        (["r[1-2]n[1-2]"], "r1n1 r1n2 r2n1 r2n2"),
        (["10.0.0.[9-10]"], "10.0.0.9 10.0.0.10"),
        (["pc[1,4-8/2]"], "pc1 pc4 pc6 pc8"),
    ],
)
def test_hosts_are_named_in_order_and_once(texts: list[str], hosts: str) -> None:
    assert hosts_in(texts) == hosts.split(" ")


@pytest.mark.parametrize(
    "text",
    [
        *("", "pc[1-", "pc]", "pc[3-1]", "pc[]", "pc[a]", "pc[1-2-3]", "pc[-1-99999999]"),
        *("pc[1/0]", "pc,,x", "pc1,", "pc 1", "@all", "pc[1-3]!pc2", "pc*", "a/b", "[[1]]"),
        *("x" * 65, "pc\n"),
    ],
)
def test_what_is_no_host_list_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OperatorError, match=r"is not a host list: .+; expected one, as in pc\[01"):
        hosts_in([text])


@pytest.mark.parametrize(
    "text", ["pc[1-801]", "pc[1-999999999]", "a[1-99]b[1-99]", "a[1-500],b[1-500]"]
)
def test_more_hosts_than_a_file_holds_are_refused_at_once(text: str) -> None:
    with pytest.raises(OperatorError, match=f"more than {MAX_HOSTS} hosts"):
        hosts_in([text])
