"""What a node goes by: the cluster file, and what the command line says instead."""

from pathlib import Path

from shoal.commands.node import Given, _fixed
from shoal.config import cluster
from shoal.config.limits import NodeLimits
from shoal.protocol.rates import Timetable

FILE = """\
tracker: {address: 'tcp://127.0.0.1:12000'}
nodes: {n1: {address: 'tcp://127.0.0.1:11001', folder: a, limits: {%s}}}
"""
OWN = NodeLimits(rescan_s=5, up=Timetable(1_000_000))


def loaded(folder: Path, limits: str) -> cluster.Cluster:
    path = folder / "lan.yaml"
    path.write_text(FILE % limits)
    return cluster.load(path)


def test_the_command_line_wins_over_the_cluster_file() -> None:
    found = Given(Timetable(5_000_000), background=True).over(OWN)
    assert (found.up, found.down) == (Timetable(5_000_000), Timetable(5_000_000))
    assert (found.background, found.rescan_s) == (True, 5)


def test_what_the_command_line_does_not_say_is_as_in_the_cluster_file() -> None:
    assert Given().over(OWN).up == Timetable(1_000_000)
    assert not Given().over(OWN).background
    assert Given().over(NodeLimits(background=True)).background


def test_rates_may_change_without_a_restart_and_other_limits_may_not(tmp_path: Path) -> None:
    before = _fixed("n1", loaded(tmp_path, "rescan_s: 5"))
    assert _fixed("n1", loaded(tmp_path, "rescan_s: 5, up: 1MB/s, background: true")) == before
    assert _fixed("n1", loaded(tmp_path, "rescan_s: 6")) != before
