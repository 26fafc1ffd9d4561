"""`shoal health`: asks a tracker or node whether it is well, for scripts and containers."""

import msgspec
from shoal.api.health import health
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.watched import place_of
from shoal.config.metrics import MetricsPlace
from shoal.protocol.errors import OperatorError


def run_health(
    name: str,
    configured: MetricsPlace | None,
    given: str | None,
    timeout_s: float,
    *,
    only_live: bool = False,
    as_json: bool = False,
) -> ExitCode:
    """Print how the process of that name is.

    Args:
        name: the node's, or `tracker`.
        configured: where it serves its figures, by the cluster file.
        given: the same, by --metrics.
        timeout_s: how long one answer may take.
        only_live: that it is not ready counts as no failure.
        as_json: print JSON.

    Raises:
        OperatorError: it does not run, does not answer, or serves no figures.
    """
    place = place_of(given, configured)
    if place is None:
        message = f"{name} serves no metrics, which tell how it is"
        raise OperatorError(f"{message}; add `metrics: 127.0.0.1:9109` to the cluster file")
    told = health(place, timeout_s)
    is_good = told.healthy and (told.ready or only_live)
    if as_json:
        terminal.put_json({"name": name, **msgspec.structs.asdict(told)})
    else:
        state = "ready" if told.ready else "healthy, but not ready" if told.healthy else "unhealthy"
        terminal.put("\n  ".join([f"{name} is {state}", *told.reasons]))
    return ExitCode.DONE if is_good else ExitCode.PARTLY_DONE
