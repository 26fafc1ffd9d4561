"""What each host waits for, as a table and as a line."""

from shoal.commands.hosts_view import line, table
from shoal.hosts.roles import Role

DOING = {
    Role(f"n{number}", f"10.0.0.{number}", ()): "sent 40 % of bundle.tar.gz" for number in (1, 2, 3)
}


def test_a_table_has_as_many_lines_as_there_are() -> None:
    assert table(DOING, 80, 3).splitlines() == [
        "n1  10.0.0.1  sent 40 % of bundle.tar.gz",
        "n2  10.0.0.2  sent 40 % of bundle.tar.gz",
        "n3  10.0.0.3  sent 40 % of bundle.tar.gz",
    ]
    assert table(DOING, 80, 2).splitlines()[1] == "and 2 more"
    assert max(map(len, table(DOING, 30, 9).splitlines())) <= 30


def test_what_a_host_says_does_nothing_to_the_terminal() -> None:
    assert "\x1b" not in table({Role("n1", "h", ()): "\x1b[2J"}, 80, 3)


def test_a_line_names_some_and_counts_the_others() -> None:
    every = DOING | {Role(f"m{number}", "h", ()): "x" for number in (1, 2)}
    told = line(every)
    assert told.startswith("waiting for n1 on 10.0.0.1 (sent 40 % of bundle.tar.gz), n2 on ")
    assert told.endswith("m1 on h (x) and 1 more")
