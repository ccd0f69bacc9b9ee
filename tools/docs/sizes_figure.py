"""docs/images/sizes-light.svg and sizes-dark.svg: accuracy against size, teacher, student alone and distilled."""

import statistics

from benchmarks.result import Result, result
from tools.docs.accuracy import ALONE, METRIC, scores, starting_with
from tools.docs.svg import COLOURS, Axis, circle, document, line, text

PANELS = {"citeulike": "methods-citeulike-tuned", "ml-1m": "methods-ml-1m-neighbours-6-10"}
LABELS = {"teacher": "teacher, BPR 200", ALONE: "student alone, BPR 20", "MKD": "distilled by MKD, BPR 20"}
WIDTHS = {"teacher": 200, ALONE: 20, "MKD": 20}  # numbers that a model holds for each user and item
THEMES = {
    "light": {"background": "#ffffff", "ink": "#1f2328", "grid": "#d1d9e0", "end": "#59636e"},
    "dark": {"background": "#0d1117", "ink": "#f0f6fc", "grid": "#3d444d", "end": "#9198a1"},
}
WIDTH, HEIGHT, TOP, BOTTOM = 720, 312, 84, 264
MARGIN = 1.7  # factor by which the axis of sizes goes beyond the smallest and the largest model


def points(source: Result) -> dict[str, tuple[int, float, float]]:
    """Width, mean and standard deviation of each row."""
    found = {}
    for label in LABELS:
        row = starting_with(source, label)
        values = scores(source, row)
        found[label] = WIDTHS[label], statistics.fmean(values), statistics.stdev(values)
    return found


def panel(title: str, source: Result, left: float, right: float, theme: dict[str, str]) -> list[str]:
    """One dataset: a point a row with a bar of one standard deviation each way."""
    rows = points(source)
    sizes = [size for size, _, _ in rows.values()]
    ends = [mean + sign * sd for _, mean, sd in rows.values() for sign in (-1, 1)]
    space = 0.12 * (max(ends) - min(ends))
    across = Axis(min(sizes) / MARGIN, max(sizes) * MARGIN, left, right, logarithmic=True)
    up = Axis(min(ends) - space, max(ends) + space, BOTTOM, TOP)
    elements = [text(left, TOP - 12, title, font_size=14)]
    for tick in up.ticks(4):
        elements.append(line(left, up(tick), right, up(tick), stroke=theme["grid"]))
        elements.append(text(left - 6, up(tick) + 4, f"{tick:.3f}", text_anchor="end"))
    for size in sorted(set(sizes)):
        elements.append(text(across(size), BOTTOM + 18, str(size), text_anchor="middle"))
    elements.append(
        text((left + right) / 2, BOTTOM + 36, "numbers stored for each user and item", text_anchor="middle")
    )
    colours = dict(zip(LABELS, (theme["end"], COLOURS[4], COLOURS[2]), strict=True))
    for label, (size, mean, sd) in rows.items():
        x, colour = across(size), colours[label]
        elements.append(line(x, up(mean - sd), x, up(mean + sd), stroke=colour, stroke_width=2))
        elements.append(circle(x, up(mean), 6, fill=colour))
    return elements


def figure(theme_name: str) -> str:
    """The figure in the colours of a light or a dark page."""
    theme = THEMES[theme_name]
    elements = [text(8, 20, f"Test {METRIC}, mean and standard deviation of 5 seeds", font_size=14)]
    for place, (label, colour) in enumerate(zip(LABELS.values(), (theme["end"], COLOURS[4], COLOURS[2]), strict=True)):
        x = 14 + 190 * place
        elements += [circle(x, 36, 5, fill=colour), text(x + 10, 40, label)]
    for place, (dataset, name) in enumerate(PANELS.items()):
        left = 56 + 360 * place
        elements += panel(dataset, result(name), left, left + 290, theme)
    return document(WIDTH, HEIGHT, elements, background=theme["background"], ink=theme["ink"])
