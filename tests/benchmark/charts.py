"""`python -m tests.benchmark.charts`: draws docs/use/pictures from what is on record.

Needs matplotlib (`pip install -e '.[benchmark]'`). The SVGs follow the reader's light or dark
scheme; the same records give the same bytes.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmark import records
from tests.benchmark.records import Swarm

FOLDER = Path(__file__).parents[2] / "docs" / "use" / "pictures"
PAPER, INK, FAINT = "#ffffff", "#1f2328", "#8c959f"
SHOAL, TORRENT, OTHER = "#0969da", "#bc4c00", "#8c959f"
DARK = {PAPER: "#0d1117", INK: "#e6edf3", FAINT: "#8b949e", SHOAL: "#58a6ff", TORRENT: "#f0883e"}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "shoal",
    "font.family": "DejaVu Sans",  # It comes with matplotlib; browsers that lack it use their own.
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures().items():
        (FOLDER / name).write_text(svg)


def pictures() -> Mapping[str, str]:
    """Return the SVGs by file name."""
    with mpl.rc_context(STYLE):
        return {"swarm.svg": _svg(_swarm()), "loopback.svg": _svg(_loopback())}


def _swarm() -> Figure:
    figure = Figure(figsize=(7.6, 3.8), layout="constrained")
    axes = figure.subplots()
    swarms = records.swarms()
    measured = [swarm for swarm in swarms if not swarm.is_simulated]
    simulated = [swarm for swarm in swarms if swarm.is_simulated]
    axes.axhline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(1000, 0.97, "the bound: what the network needs", ha="right", va="top")
    _line(axes, simulated, "shoal", SHOAL, is_simulated=True)
    _line(axes, measured, "shoal", SHOAL)
    _line(axes, measured, "libtorrent", TORRENT)
    axes.set_xscale("log")
    ticks = sorted({swarm.hosts for swarm in swarms})
    axes.set_xticks(ticks, [str(hosts) for hosts in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 2.5)
    axes.set_xlabel("hosts that fetch the same file from one source at the same time")
    axes.set_ylabel("last host's time, times the bound")
    return figure


def _line(
    axes: Axes, swarms: list[Swarm], name: str, colour: str, *, is_simulated: bool = False
) -> None:
    """Draw the medians, with the range of the runs, and write what the line is at its end."""
    points = [(s.hosts, value, s.last[name]) for s in swarms if (value := s.median(name))]
    hosts, values, runs = zip(*points, strict=True)
    axes.errorbar(
        hosts,
        values,
        yerr=[
            [value - min(run) for value, run in zip(values, runs, strict=True)],
            [max(run) - value for value, run in zip(values, runs, strict=True)],
        ],
        color=colour,
        marker="o",
        markerfacecolor=PAPER if is_simulated else colour,
        linestyle=":" if is_simulated else "-",
        linewidth=2,
        capsize=3,
        elinewidth=1,
    )
    if is_simulated:
        _label(axes, f"{name}, simulated", (hosts[-1], values[-1]), colour, side="right", up=9)
        return
    for place, value in list(zip(hosts, values, strict=True))[1:-1]:
        _label(axes, f"{value:.2f}", (place, value), colour, side="right", up=9)
    _label(axes, f"{name} {values[-1]:.2f}", (hosts[-1], values[-1]), colour, side="left", up=4)


def _label(
    axes: Axes, text: str, place: tuple[float, float], colour: str, *, side: str, up: int
) -> None:
    """Write `text` beside a point: `side` is the side of the text that touches it."""
    axes.annotate(
        text,
        place,
        xytext=(8 if side == "left" else 0, up),
        textcoords="offset points",
        ha=side,
        color=colour,
        fontweight="bold",
    )


def _loopback() -> Figure:
    speeds = records.loopback()
    figure = Figure(figsize=(7.6, 0.5 + 0.42 * len(speeds)), layout="constrained")
    axes = figure.subplots()
    for place, speed in enumerate(speeds):
        rate = speed.rate_bytes_per_s / 1e6
        family = speed.contender.split("-")[0]
        colour = {"shoal": SHOAL, "libtorrent": TORRENT}.get(family, OTHER)
        axes.barh(place, rate, color=colour, height=0.66)
        _label(axes, f"{rate:.0f} MB/s", (rate, place), INK, side="left", up=-4)
    axes.set_yticks(range(len(speeds)), [speed.label for speed in speeds])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlim(0, 1.25 * max(speed.rate_bytes_per_s for speed in speeds) / 1e6)
    return figure


def _svg(figure: Figure) -> str:
    """Return the figure as SVG whose colours change with the reader's scheme."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    rules = "".join(
        f'[style*="{kind}: {light}"] {{ {kind}: {dark} !important }}\n'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>\n"
    head, tag, rest = file.getvalue().partition("<defs>")
    lines = (head + style + tag + rest).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    main()
