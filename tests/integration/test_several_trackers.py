"""Three trackers on a real store: killed, stopped and started; and the store itself goes away."""

from collections.abc import Iterator

import pytest

from tests.integration.cluster import fails, noise
from tests.integration.redis_server import found_servers
from tests.integration.several_trackers import SharedCluster, shared_cluster_in

pytestmark = pytest.mark.skipif(not found_servers(), reason="needs redis-server or valkey-server")
DATA = noise(6 << 20)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCluster]:
    with shared_cluster_in(tmp_path_factory.mktemp("several") / "lab") as lab:
        lab.put("a.bin", DATA, lab.nodes[0])
        lab.start_trackers()
        for node in lab.nodes:
            lab.launch("node", node)
        lab.wait(lambda: agree(lab) and "a.bin" in str(lab.listing(0)), "all agree")
        yield lab


def agree(lab: SharedCluster) -> bool:
    first, *others = map(lab.listing, range(3))
    return first != {} and all(one == first for one in others)


def test_a_fetch_and_a_push_go_on_while_two_of_three_trackers_fail(lab: SharedCluster) -> None:
    holder, fetcher, pushed = lab.nodes
    fetching = lab.launch_fetch("a.bin", fetcher, "--limit", "3MB/s")
    lab.wait(lambda: fetcher in str(lab.listing(0)), "it is being fetched")
    lab.pause_tracker(1)  # The fetcher's.
    lab.kill_tracker(2)  # The other one's.
    assert lab.run("push", "a.bin", "--to", pushed, "--wait").exit_code == 0
    assert lab.finish(fetching).exit_code == 0
    assert lab.files(fetcher) == lab.files(pushed) == {"a.bin": DATA}
    told = lab.run("status", "--json").json["trackers"]
    assert [one["answers"] for one in told] == [True, False, False]
    lab.put("a.bin", DATA[:1000], holder)
    newest = f"(True, 2, '{holder}', [('{holder}', True, True)])"
    lab.wait(lambda: newest in str(lab.listing(0)), "there is a new version")
    lab.resume_tracker(1)
    lab.start_trackers(2)
    lab.wait(lambda: newest in str(lab.listing(2)) and agree(lab), "those that are back know it")


def test_the_store_goes_away_and_comes_back_with_nothing(lab: SharedCluster) -> None:
    lab.store.kill()
    lab.wait(lambda: all("the store is away" in lab.tracker(n).stderr for n in range(3)), "so")
    trouble = [one["trouble"] for one in lab.run("status", "--json").json["trackers"]]
    assert all("the store is away" in one for one in trouble)
    to = lab.nodes[2]
    fails(lab.run("push", "a.bin", "--to", to), 8, "the store that the trackers share is away")
    assert lab.fetch("a.bin", node=lab.nodes[1]).exit_code == 0
    lab.put("b.bin", DATA[:1000], lab.nodes[2])
    lab.wait(lambda: "b.bin" in str([*map(lab.listing, range(3))]), "one tracker knows it")
    lab.store.start()
    lab.wait(lambda: "b.bin" in str(lab.listing(0)) and agree(lab), "all agree again")
    assert f"('{lab.nodes[1]}', True, True)" in str(lab.listing(0))
