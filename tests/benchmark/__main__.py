"""`python -m tests.benchmark`: shoal against the network and its best peers, on this machine."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmark import loopback, report, start_up
from tests.benchmark.iperf import Iperf
from tests.benchmark.loopback import Contender, Loopback
from tests.benchmark.nginx import Nginx
from tests.benchmark.processes import BenchmarkError, end_when_told
from tests.benchmark.rsync import RsyncCopy
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
START_UP = "start-up"
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
    chosen = [make(workspace) for name, make in CONTENDERS.items() if name in args.only]
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
    parser.add_argument("--only", type=_names, default=_names(""), help=", ".join(_names("")))
    parser.add_argument("--json", action="store_true", help="one object on stdout, no tables")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    """Measures by name or family: `shoal` means shoal-1 and shoal-3; nothing means all."""
    known = [*CONTENDERS, START_UP]
    chosen: Sequence[str] = text.split(",") if text else known
    names = [name for name in known if {name, name.rpartition("-")[0]} & set(chosen)]
    unknown = [word for word in chosen if not any(word in (n, n.rpartition("-")[0]) for n in known)]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
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
