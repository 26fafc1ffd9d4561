"""Figures and health of real processes, over HTTP, as Prometheus and containers ask for them."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client import parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from tests.integration.cluster import (
    BIG_BYTES,
    LIMIT_S,
    ROOT,
    Cluster,
    Result,
    fails,
    free_address,
    frozen,
    noise,
)

PAGE = (ROOT / "docs/use/metrics.md").read_text()
PLACES = {who: free_address().removeprefix("tcp://") for who in ("tracker", "n1", "n2", "n3")}
NAME = "big.bin"


def get(place: str, path: str, accept: str = "*/*") -> tuple[int, str]:
    """Return the status and the body."""
    request = Request(f"http://{place}{path}", headers={"Accept": accept})
    try:
        with urlopen(request, timeout=LIMIT_S) as reply:  # noqa: S310 (it is HTTP)
            return reply.status, reply.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def families(who: str) -> list[Metric]:
    status, text = get(PLACES[who], "/metrics")
    assert status == 200, text
    return list(parser.text_string_to_metric_families(text))


def scrape(who: str) -> dict[str, float]:
    """Return the figures by their names, with the values of the labels: `name x y`."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families(who)
        for sample in family.samples
    }


def watch(lab: Cluster) -> None:
    """Have each process serve its figures, and accept pushes."""
    text = lab.file.read_text()
    text = text.replace("tracker:\n", f"tracker:\n  metrics: {PLACES['tracker']}\n")
    for node in lab.addresses:
        text = text.replace(f"folder: {node}", f"folder: {node}, metrics: '{PLACES[node]}'")
    lab.file.write_text(f"accept_pushes: true\n{text}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n1 has something large. The tracker, n1 and n2 run; n3 does not."""
    lab = Cluster(tmp_path_factory.mktemp("metrics"))
    try:
        watch(lab)
        lab.put(NAME, noise(BIG_BYTES), "n1")
        lab.start("n1", "n2")
        yield lab
    finally:
        lab.close()


def health(lab: Cluster, who: str, *options: str) -> Result:
    return lab.run("health", "--as", who, *options)


def test_figures_grow_during_a_fetch_and_add_up_after_it(lab: Cluster) -> None:
    fetch = lab.launch_fetch(NAME, "n2")
    seen = [0.0]

    def is_in_the_middle() -> bool:
        seen.append(scrape("n2").get("shoal_received_bytes_total n1", 0.0))
        return fetch.exit_code is not None or 0 < seen[-1] < BIG_BYTES

    lab.wait(is_in_the_middle, "some of it has come")
    assert lab.finish(fetch).exit_code == 0
    assert seen == sorted(seen)
    n1, n2 = scrape("n1"), scrape("n2")
    assert n2["shoal_received_bytes_total n1"] == BIG_BYTES
    assert n1["shoal_sent_bytes_total n2"] >= BIG_BYTES
    assert (
        n2["shoal_chunks_total ok"] + n2["shoal_chunks_total duplicate"]
        == (n1["shoal_sent_chunks_total"])
    )
    assert (
        n2["shoal_chunk_seconds_count"]
        == n2["shoal_chunk_seconds_bucket +Inf"]
        >= (n2["shoal_chunks_total ok"])
    )
    assert (n2["shoal_fetches_total done"], n2["shoal_fetches_running"]) == (1, 0)
    assert n2["shoal_holdings whole"] == n1["shoal_holdings whole"] == 1
    assert n1["shoal_holdings_bytes"] == BIG_BYTES
    assert min(n1["shoal_ready"], n1["shoal_healthy"], n1["shoal_registered"]) == 1
    assert n1["shoal_disk_free_bytes"] > 0


def test_the_tracker_tells_of_nodes_requests_and_pushes(lab: Cluster) -> None:
    assert lab.run("push", NAME, "--to", "n1,n3").exit_code == 0
    figures = scrape("tracker")
    assert (figures["shoal_nodes alive"], figures["shoal_nodes never_seen"]) == (2, 1)
    assert 0 <= figures["shoal_node_heard_seconds n1"] < LIMIT_S
    assert figures["shoal_tracker_requests_total push"] == 1
    assert figures["shoal_tracker_requests_total query"] > 0
    assert (figures["shoal_push_copies wanted"], figures["shoal_push_copies have"]) == (2, 1)
    lab.wait(lambda: scrape("n1")["shoal_wishes wanted"] == 1, "n1 has heard of it")
    assert lab.run("push", NAME, "--cancel").exit_code == 0


def test_the_page_has_each_figure_and_its_labels(lab: Cluster) -> None:
    rows = re.findall(
        r"^\| ((?:`shoal_\w+`(?:, )?)+) \| ((?:`\w+`(?:, )?)*) ?\|", PAGE, re.MULTILINE
    )
    told = {
        name: set(re.findall(r"`(\w+)`", labels))
        for several, labels in rows
        for name in re.findall(r"`(shoal_\w+)`", several)
    }
    told["shoal_holdings"] = set()  # Its state is a node's alone, as the page says.
    assert lab.fetch(NAME, node="n2").exit_code == 0
    assert lab.run("push", NAME, "--to", "n1").exit_code == 0
    served: dict[str, set[str]] = {}
    for who in ("tracker", "n1", "n2"):
        for family in families(who):
            assert family.documentation
            for sample in family.samples:
                if sample.name.startswith("shoal_"):
                    name = family.name if family.type == "histogram" else sample.name
                    served.setdefault(name, set()).update(sample.labels)
    assert served.pop("shoal_holdings") == {"state"}
    told.pop("shoal_holdings")
    assert served == told


def test_speaks_openmetrics_to_those_who_ask_for_it(lab: Cluster) -> None:
    _, text = get(PLACES["n1"], "/metrics", "application/openmetrics-text; version=1.0.0")
    parse: Callable[[str], Iterable[Metric]] = openmetrics.text_string_to_metric_families
    found = {one.name for one in parse(text)}
    assert "shoal_sent_bytes" in found  # _total is the sample's there.


def test_other_paths_are_not_there(lab: Cluster) -> None:
    assert get(PLACES["n1"], "/favicon.ico")[0] == 404
    assert get(PLACES["n1"], "/") == (200, "/metrics\n/healthz\n/readyz\n")


def test_says_that_all_is_well(lab: Cluster) -> None:
    for who in ("tracker", "n1"):
        assert get(PLACES[who], "/healthz") == get(PLACES[who], "/readyz") == (200, "ok\n")
        done = health(lab, who)
        assert (done.exit_code, done.stdout) == (0, f"{who} is ready\n"), done
    told = {"name": "n2", "healthy": True, "ready": True, "reasons": []}
    assert health(lab, "n2", "--json").json == told


def test_says_who_does_not_run_or_does_not_answer(lab: Cluster) -> None:
    fails(health(lab, "n3"), 4, f"nothing listens at {PLACES['n3']}", "start")
    with frozen(lab.process("node", "n2")):
        fails(health(lab, "n2", "--timeout", "0.3"), 7, "does not answer within 0.3 s")
    fails(health(lab, "n2", "--metrics", "nowhere"), 2, "nowhere is not of the form HOST:PORT")
    stranger = lab.tracker_address.removeprefix("tcp://")
    fails(health(lab, "n2", "--metrics", stranger), 4, "check what is running there")


def test_a_node_without_a_tracker_is_healthy_and_not_ready(lab: Cluster) -> None:
    text = lab.file.read_text()
    lab.file.write_text(text.replace(lab.tracker_address, free_address()))
    command = "node", "n3", "--log-format", "json"
    process = lab.launch(*command)
    try:
        lab.wait(lambda: "does not answer" in process.stderr, "n3 knows that it is alone")
    finally:
        lab.file.write_text(text)
    assert get(PLACES["n3"], "/healthz")[0] == 200
    assert get(PLACES["n3"], "/readyz")[0] == 503
    done = health(lab, "n3")
    assert done.exit_code == 6
    assert done.stdout.startswith("n3 is healthy, but not ready\n  the tracker does not know")
    assert health(lab, "n3", "--live").exit_code == 0
    done = lab.stop(*command)
    assert done.exit_code == 0
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[-1]["message"] == "node n3 has stopped"
    assert {line["level"] for line in lines} <= {"info", "warning"}


def test_check_tells_how_processes_are_and_which_ports_are_free(lab: Cluster) -> None:
    done = lab.run("check", "--json")
    assert done.exit_code == 0, done
    found = {one["thing"]: (one["state"], one["message"]) for one in done.json["findings"]}
    for who in ("tracker", "node n1"):
        assert found[f"{who}, metrics"][0] == "ok"
        assert "well and ready" in found[f"{who}, metrics"][1]
    assert found["node n3, metrics"] == ("ok", f"tcp://{PLACES['n3']} is free; not running")
    with frozen(lab.process("node", "n2")):
        done = lab.run("check", "--json")
    found = {one["thing"]: (one["state"], one["message"]) for one in done.json["findings"]}
    assert done.exit_code == 2
    assert found["node n2, metrics"][0] == "wrong"


def test_a_port_that_is_taken_is_one_line(lab: Cluster) -> None:
    taken = PLACES["n1"]
    done = lab.run("node", "n3", "--metrics", taken)
    fails(done, 11, f"cannot serve metrics at {taken}: Address already in use", "--metrics")
    done = lab.run("node", "n3", env={"SHOAL_METRICS": "192.0.2.1:9109"})
    fails(done, 11, "cannot serve metrics at 192.0.2.1:9109: Cannot assign")


def test_who_serves_none_says_how_to(lab: Cluster) -> None:
    text = lab.file.read_text()
    try:
        lab.file.write_text(re.sub(r", metrics: '[^']+'", "", text))
        fails(health(lab, "n3"), 2, "n3 serves no metrics", "add `metrics: 127.0.0.1:9109`")
    finally:
        lab.file.write_text(text)
