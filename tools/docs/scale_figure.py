"""docs/images/scale.svg: how time, memory and disk grow with the number of users and items."""

import math

from benchmarks.result import FOLDER, Result, read_result
from tools.docs.svg import LIGHT, circle, decades, document, path, text

PANELS = {  # what a run measured: what it is called
    "knowledge_seconds": "knowledge, seconds",
    "epoch_seconds": "an epoch, seconds",
    "peak_rss_mib": "peak memory, MiB",
    "disk_mib": "on disk, MiB",
}
COLOURS = {"RRD": "#0072B2", "SLD": "#009E73", "MKD": "#D55E00"}
WIDE, HIGH, LEFT, TOP, GAP = 290, 190, 62, 44, 66  # pixels: a panel, the margins, between panels
Points = dict[str, list[tuple[int, dict]]]  # method to (users, values) of its runs


def square_runs() -> Points:
    """The runs with as many users as items, by method, the smallest first."""
    sources = [read_result(file) for file in sorted(FOLDER.glob("scale/results/*.json"))]
    square = sorted((one for one in sources if one.settings["users"] == one.settings["items"]), key=_users)
    runs = {
        name: [(_users(one), one.records[0]["values"]) for one in square if one.settings["method"] == name]
        for name in COLOURS
    }
    return {name: points for name, points in runs.items() if points}


def _users(source: Result) -> int:
    return source.settings["users"]


def exponent(points: list[tuple[int, dict]], measure: str) -> float:
    """The slope of a measure over the number of users, both as logarithms, by least squares."""
    x = [math.log(users) for users, _ in points]
    y = [math.log(values[measure]) for _, values in points]
    centre = sum(x) / len(x)
    return sum((a - centre) * b for a, b in zip(x, y, strict=True)) / sum((a - centre) ** 2 for a in x)


def panel(runs: Points, measure: str, left: int, top: int) -> list[str]:
    """One panel: a line a method, both axes in powers of ten."""
    first, last = decades(users for points in runs.values() for users, _ in points)
    low, high = decades(values[measure] for points in runs.values() for _, values in points)

    def x(users: float) -> float:  # pixels
        return left + WIDE * (math.log10(users) - first) / (last - first)

    def y(value: float) -> float:
        return top + HIGH * (high - math.log10(value)) / (high - low)

    elements = [text(left, top - 8, PANELS[measure], font_size=13)]
    for power in range(low, high + 1):
        at = y(10**power)
        elements += [
            path(f"M{left} {at:.1f}H{left + WIDE}", stroke=LIGHT),
            text(left - 6, at + 4, f"{10**power:,}", text_anchor="end"),
        ]
    for power in range(first, last + 1):
        elements.append(text(x(10**power), top + HIGH + 16, f"{10**power:,}", text_anchor="middle"))
    for place, (name, runs_of) in enumerate(runs.items()):
        points = [(x(users), y(values[measure])) for users, values in runs_of]
        power = f"{name}: power {exponent(runs_of, measure):.1f}"
        line = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        elements += [
            path(f"M{line}", fill="none", stroke=COLOURS[name], stroke_width="2"),
            *(circle(a, b, 3, fill=COLOURS[name]) for a, b in points),
            text(left + 10, top + 14 + 15 * place, power, fill=COLOURS[name]),
        ]
    return elements


def figure() -> str:
    """Four panels."""
    runs = square_runs()
    sizes = [users for points in runs.values() for users, _ in points]
    width, height = 2 * (WIDE + GAP) + LEFT - GAP + 30, TOP + 2 * (HIGH + GAP)
    elements = [text(8, 20, f"As many users as items, {min(sizes):,} to {max(sizes):,} of each", font_size=14)]
    for place, measure in enumerate(PANELS):
        row, column = divmod(place, 2)
        elements += panel(runs, measure, LEFT + column * (WIDE + GAP), TOP + 16 + row * (HIGH + GAP))
    return document(width, height, elements, font_size=11)
