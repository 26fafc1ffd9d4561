"""`python -m tests.benchmark`: shoal against the network and its best peers, on this machine."""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmark import loopback, report, start_up
from tests.benchmark.curve_messages import CurveMessages
from tests.benchmark.iperf import Iperf
from tests.benchmark.loopback import Contender, Loopback
from tests.benchmark.nginx import Nginx
from tests.benchmark.processes import BenchmarkError, end_when_told
from tests.benchmark.rsync import RsyncCopy
from tests.benchmark.running import Running
from tests.benchmark.shoal import Shoal
from tests.benchmark.torrent import Torrent
from tests.benchmark.workspace import Workspace, default_folder, open_workspace

CONTENDERS: dict[str, Callable[[Workspace], Contender]] = {
    "iperf3": Iperf,
    "nginx": Nginx,
    "rsync": RsyncCopy,
    "libtorrent-1": lambda workspace: Torrent(workspace, seeders=1),
    "libtorrent-3": lambda workspace: Torrent(workspace, seeders=3),
    "shoal-1": lambda workspace: Shoal(workspace, holders=1),
    "shoal-3": lambda workspace: Shoal(workspace, holders=3),
}
SECURED: dict[str, Callable[[Workspace], Contender]] = {
    "pyzmq-curve-1": lambda workspace: CurveMessages(workspace, servers=1),
    "pyzmq-curve-3": lambda workspace: CurveMessages(workspace, servers=3),
    "shoal-curve-1": lambda workspace: Shoal(workspace, holders=1, is_secured=True),
    "shoal-curve-3": lambda workspace: Shoal(workspace, holders=3, is_secured=True),
}
WATCHED: dict[str, Callable[[Workspace], Contender]] = {
    "shoal-running-1": lambda workspace: Running(workspace, holders=1, is_watched=False),
    "shoal-watched-1": lambda workspace: Running(workspace, holders=1, is_watched=True),
}
START_UP = "start-up"
KNOWN = [*CONTENDERS, *SECURED, *WATCHED, START_UP]
START_UP_RUNS_PER_ROUND = 3  # a fraction of a second each: more of them, for a steadier median


def main() -> int:
    args = _arguments()
    end_when_told()
    try:
        with open_workspace(args.folder, args.size_mib << 20) as workspace:
            return _run(workspace, args)
    except BenchmarkError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(workspace: Workspace, args: argparse.Namespace) -> int:
    facts = report.machine()
    known = CONTENDERS | SECURED | WATCHED
    chosen = [make(workspace) for name, make in known.items() if name in args.only]
    result = Loopback()
    if chosen:
        _say(f"writing {args.size_mib} MiB of random bytes to {workspace.folder}")
        workspace.make_payload()
        result = loopback.measure(chosen, args.runs, _say)
    start_up_s: dict[str, list[float]] = {}
    if START_UP in args.only:
        _say("measuring start-up")
        try:
            start_up_s = start_up.measure(workspace, args.runs * START_UP_RUNS_PER_ROUND)
        except BenchmarkError as error:
            result.failed[START_UP] = str(error)
    if args.json:
        whole = report.as_object(facts, workspace.size_bytes, result, start_up_s)
        print(json.dumps(whole, indent=2))
    else:
        report.show(facts, workspace.size_bytes, result, start_up_s)
    return 1 if result.failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--size-mib", type=_positive, default=2048, help="file size (2048)")
    parser.add_argument("--runs", type=_positive, default=5, help="rounds that count (5)")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    parser.add_argument("--only", type=_names, help=", ".join(KNOWN))
    parser.add_argument(
        "--secured", action="store_true", help="by default measure what has keys, and nothing else"
    )
    parser.add_argument(
        "--watched", action="store_true", help="the same for metrics that are read each second"
    )
    parser.add_argument("--json", action="store_true", help="one object on stdout, no tables")
    args = parser.parse_args()
    if args.only is None:
        special = [*(SECURED if args.secured else ()), *(WATCHED if args.watched else ())]
        args.only = special or [*CONTENDERS, START_UP]
    return args


def _names(text: str) -> list[str]:
    """Measures by name or family: `shoal` means shoal-1 and shoal-3."""
    chosen = text.split(",")
    names = [name for name in KNOWN if {name, name.rpartition("-")[0]} & set(chosen)]
    unknown = [word for word in chosen if not any(word in (n, n.rpartition("-")[0]) for n in KNOWN)]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(KNOWN)}")
    return names


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
