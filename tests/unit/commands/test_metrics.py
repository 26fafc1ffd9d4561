"""What the HTTP port answers for a process that is well, that is not, and that cannot say."""

from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families
from shoal.commands import metrics
from shoal.commands.metrics import Metrics
from shoal.system.figures import Figure, Histogram, NoFiguresError, counter, each


class Told:
    """A process that is as the test says."""

    def __init__(self) -> None:
        self.ill: list[str] = []
        self.busy: list[str] = []
        self.count = 0
        self.is_mute = False

    def ailments(self) -> list[str]:
        return self.ill

    def unready(self) -> list[str]:
        return self.busy

    def figures(self) -> Sequence[Figure]:
        if self.is_mute:
            raise NoFiguresError("the loop hangs")
        self.count += 1
        names = {'a"\\\n': 1.0, "b": 2.0}
        took = Histogram("took_seconds", "C.", (0.5, 1.0), [1, 0, 2], 7.5)
        asked = counter("asked_total", "A.", self.count)
        return [asked, each("by", "gauge", "B.", "who", names), took]


@pytest.fixture
def told() -> Told:
    return Told()


def test_states_have_their_reasons(told: Told) -> None:
    port = Metrics(told)
    assert (
        port.answer("/healthz", "")
        == port.answer("/readyz", "")
        == (200, b"ok\n", port.answer("/", "").kind)
    )
    told.busy = ["looks", "waits"]
    assert port.answer("/healthz", "").status == 200
    assert port.answer("/readyz", "")[:2] == (503, b"looks\nwaits\n")
    told.ill = ["broken"]
    assert port.answer("/healthz", "")[:2] == port.answer("/readyz", "")[:2] == (503, b"broken\n")
    port.close()


def test_figures_are_made_anew_only_now_and_then(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = Metrics(told)
    monkeypatch.setattr(metrics, "FRESH_S", 1e6)
    first = port.answer("/metrics", "")
    assert port.answer("/metrics", "") == first
    monkeypatch.setattr(metrics, "FRESH_S", 0.0)
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(port.answer("/metrics", "").body.decode())
        for sample in family.samples
    }
    assert values["asked_total",] == 2
    assert values["by", "b"] == 2
    counts = [values["took_seconds_bucket", bound] for bound in ("0.5", "1.0", "+Inf")]
    assert (counts, values["took_seconds_sum",]) == ([1, 1, 3], 7.5)
    assert values["process_cpu_seconds_total",] > 0
    port.close()


def test_says_why_there_are_no_figures(told: Told) -> None:
    told.is_mute = True
    port = Metrics(told)
    assert port.answer("/metrics", "")[:2] == (503, b"the loop hangs\n")
    assert port.answer("/other", "").status == 404
    port.close()
