"""The picture of how costs grow with the data, an SVG on stdout: `python docs/scale.py > docs/scale.svg`."""

import json
import math
from html import escape
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
PANELS = {  # what a run measured: what it is called
    "knowledge_seconds": "knowledge, seconds",
    "epoch_seconds": "an epoch, seconds",
    "peak_rss_mib": "peak memory, MiB",
    "disk_mib": "on disk, MiB",
}
COLOURS = {"RRD": "#0072B2", "SLD": "#009E73", "MKD": "#D55E00"}
WIDE, HIGH, LEFT, TOP, GAP = 290, 190, 62, 44, 66  # pixels: a panel, the margins, between panels


def square_runs():
    """The runs with as many users as items, by method, the smallest first."""
    found = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("scale-*.json"))]
    found = [run for run in found if run["asked"]["users"] == run["asked"]["items"]]
    found.sort(key=lambda run: run["asked"]["users"])
    by_method = {name: [run for run in found if run["asked"]["method"] == name] for name in COLOURS}
    return {name: runs for name, runs in by_method.items() if runs}


def exponent(runs, measure):
    """The slope of a measure over the number of users, both as logarithms, by least squares."""
    x = [math.log(run["asked"]["users"]) for run in runs]
    y = [math.log(run[measure]) for run in runs]
    centre = sum(x) / len(x)
    return sum((a - centre) * b for a, b in zip(x, y, strict=True)) / sum((a - centre) ** 2 for a in x)


def decades(values):
    """The whole powers of ten around some values: the exponents of the first and of the last."""
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def panel(found, measure, left, top):
    """One panel: a line a method, both axes in powers of ten."""
    first, last = decades([run["asked"]["users"] for runs in found.values() for run in runs])
    low, high = decades([run[measure] for runs in found.values() for run in runs])

    def x(users):
        return left + WIDE * (math.log10(users) - first) / (last - first)

    def y(value):
        return top + HIGH * (high - math.log10(value)) / (high - low)

    lines = [f'<text x="{left}" y="{top - 8}" font-size="13">{PANELS[measure]}</text>']
    for power in range(low, high + 1):
        at = y(10**power)
        lines += [
            f'<path d="M{left} {at:.1f}H{left + WIDE}" stroke="#DDDDDD"/>',
            f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10**power:,}</text>',
        ]
    for power in range(first, last + 1):
        at = x(10**power)
        lines.append(f'<text x="{at:.1f}" y="{top + HIGH + 16}" text-anchor="middle">{10**power:,}</text>')
    for place, (name, runs) in enumerate(found.items()):
        points = [(x(run["asked"]["users"]), y(run[measure])) for run in runs]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        lines += [
            f'<path d="M{path}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>',
            *(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{COLOURS[name]}"/>' for a, b in points),
            f'<text x="{left + 10}" y="{top + 14 + 15 * place}" fill="{COLOURS[name]}">{escape(name)}: '
            f"power {exponent(runs, measure):.1f}</text>",
        ]
    return lines


def svg(found):
    """Four panels."""
    sizes = [run["asked"]["users"] for runs in found.values() for run in runs]
    width, height = 2 * (WIDE + GAP) + LEFT - GAP + 30, TOP + 2 * (HIGH + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" '
        'font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-size="14">As many users as items, {min(sizes):,} to {max(sizes):,} of each</text>',
    ]
    for place, measure in enumerate(PANELS):
        row, column = divmod(place, 2)
        lines += panel(found, measure, LEFT + column * (WIDE + GAP), TOP + 16 + row * (HIGH + GAP))
    return "\n".join([*lines, "</svg>"])


if __name__ == "__main__":
    print(svg(square_runs()))
