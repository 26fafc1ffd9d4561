"""What the tracker is told of the cluster file."""

from shoal.broker.tracking.settings import TrackerSettings
from shoal.commands.tracker import _settings
from shoal.config.limits import TrackerLimits


def test_what_the_cluster_file_does_not_set_is_the_trackers_default() -> None:
    assert _settings(TrackerLimits()) == TrackerSettings()


def test_the_limits_of_the_cluster_file_reach_the_tracker() -> None:
    assert _settings(TrackerLimits(45, 10, 20, 30, 40)) == TrackerSettings(
        lease_s=45, max_nodes=10, max_versions=20, max_holdings=30, max_holdings_per_node=40
    )
