"""docs/images/NAME-….svg: the figures of a comparison, from its committed result file."""

import statistics

from benchmarks.accuracy.analysis import ALONE, ENDS, compare_rows, is_method
from benchmarks.result import Result
from tools.docs.accuracy import METRIC, TEST
from tools.docs.svg import BLACK, COLOURS, GREY, LIGHT, Axis, circle, document, line, path, text

WIDTH = 720
END_COLOURS = {"teacher": BLACK, ALONE: GREY, "with its neighbours": "#8B6F00"}


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each row, the same in all figures."""
    methods = [name for name in names if name not in ENDS]
    return END_COLOURS | {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(methods)}


def vertical_grid(axis: Axis, top: float, bottom: float, form: str) -> list[str]:
    """Lines and labels of an axis that runs from left to right."""
    elements = []
    for tick in axis.ticks():
        x = axis(tick)
        elements += [
            line(x, top, x, bottom, stroke=LIGHT),
            text(x, bottom + 16, format(tick, form), text_anchor="middle"),
        ]
    return elements


def horizontal_grid(axis: Axis, left: float, right: float, form: str) -> list[str]:
    """Lines and labels of an axis that runs from bottom to top."""
    elements = []
    for tick in axis.ticks():
        y = axis(tick)
        elements += [
            line(left, y, right, y, stroke=LIGHT),
            text(left - 6, y + 4, format(tick, form), text_anchor="end"),
        ]
    return elements


def gains(source: Result) -> str:
    """Each method's difference to the student alone: seeds as ticks, the mean as a dot, both 95% intervals.

    The thick line is the bootstrap interval of the mean over seeds, the thin one that of the paired t-test; the dotted
    line is the teacher's mean difference.
    """
    methods = [name for name in source.names() if is_method(name)]
    tests = {name: compare_rows(source, name, ALONE, TEST) for name in methods}
    teacher = compare_rows(source, "teacher", ALONE, TEST)["difference"]
    ends = [0.0, teacher, *(test[end] for test in tests.values() for end in ("t_low", "t_high"))]
    margin = 0.06 * (max(ends) - min(ends))
    left, top, row = 150, 62, 44
    bottom = top + row * len(methods)
    axis = Axis(min(ends) - margin, max(ends) + margin, left, WIDTH - 20)
    shade, values_of = colours(source.names()), source.by_seed
    elements = [text(8, 20, f"Gain over the student alone: difference in test {METRIC}", font_size=14)]
    elements += vertical_grid(axis, top, bottom, "+.3f")
    elements += [
        line(axis(0.0), top, axis(0.0), bottom, stroke=GREY, stroke_width="1.5"),
        line(axis(teacher), top, axis(teacher), bottom, stroke=BLACK, stroke_dasharray="2 3"),
        text(axis(teacher), top - 8, "teacher", text_anchor="middle"),
    ]
    for place, name in enumerate(methods):
        y, test, colour = top + row * (place + 0.5), tests[name], shade[name]
        alone = values_of(ALONE, TEST)
        seeds = [value - alone[seed] for seed, value in values_of(name, TEST).items()]
        elements += [
            text(left - 8, y + 4, name, text_anchor="end"),
            line(axis(test["t_low"]), y, axis(test["t_high"]), y, stroke=colour, stroke_width="2"),
            line(axis(test["low"]), y, axis(test["high"]), y, stroke=colour, stroke_width="7", stroke_opacity="0.45"),
            *(line(axis(seed), y - 9, axis(seed), y + 9, stroke=colour) for seed in seeds),
            circle(axis(test["difference"]), y, 5, fill=colour),
        ]
    return document(WIDTH, bottom + 30, elements)


def sizes(source: Result) -> str:
    """Test metric, mean ± standard deviation over the seeds, against the number of parameters."""
    rows = {name: (source.values(name, "parameters")[0], list(source.by_seed(name, TEST).values()))
            for name in source.names()}  # fmt: skip
    spread = {name: (statistics.fmean(values), statistics.stdev(values)) for name, (_, values) in rows.items()}
    lows, highs = zip(*((mean - sd, mean + sd) for mean, sd in spread.values()), strict=True)
    margin = 0.1 * (max(highs) - min(lows))
    left, top, bottom = 70, 40, 330
    y = Axis(min(lows) - margin, max(highs) + margin, bottom, top)
    counts = sorted({parameters for parameters, _ in rows.values()})
    x = Axis(counts[0] / 2, counts[-1] * 4, left, WIDTH - 20, logarithmic=True)
    shade = colours(source.names())
    elements = [text(8, 20, f"Accuracy against size: test {METRIC} by number of parameters (log scale)", font_size=14)]
    elements += horizontal_grid(y, left, WIDTH - 20, ".3f")
    for count in counts:
        elements.append(text(x(count), bottom + 18, f"{count:,}", text_anchor="middle"))
        beside = sorted((name for name in rows if rows[name][0] == count), key=lambda name: -spread[name][0])
        for place, name in enumerate(beside):  # models of one size stand side by side
            mean, sd = spread[name]
            at = x(count) + 14 * (place - (len(beside) - 1) / 2)
            elements += [
                line(at, y(mean - sd), at, y(mean + sd), stroke=shade[name], stroke_width="2"),
                circle(at, y(mean), 5, fill=shade[name]),
            ]
    return document(WIDTH, bottom + 62, [*elements, *legend(list(rows), shade, left, bottom + 46)])


def popularity(source: Result) -> str:
    """Recall of test items by how often they occur in training: fifths of the items, the least popular first."""
    rows = {name: source.values(name, "popularity_recall") for name in source.names()}
    recall = {name: [statistics.fmean(bins) for bins in zip(*values, strict=True)] for name, values in rows.items()}
    fifths = len(next(iter(recall.values())))
    left, top, bottom = 70, 40, 330
    y = Axis(0.0, 1.08 * max(value for values in recall.values() for value in values), bottom, top)
    x = Axis(0, fifths - 1, left + 40, WIDTH - 60)
    shade, k = colours(source.names()), source.settings["data"]["k"]
    title = f"Rare and popular items: recall@{k} of test items by popularity in training"
    elements = [text(8, 20, title, font_size=14), *horizontal_grid(y, left, WIDTH - 20, ".2f")]
    for place in range(fifths):
        words = f"{100 // fifths * place}–{100 // fifths * (place + 1)}% of items"
        elements.append(text(x(place), bottom + 18, words, text_anchor="middle"))
    for name, values in recall.items():
        points = [(x(place), y(value)) for place, value in enumerate(values)]
        lines = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        elements.append(path(f"M{lines}", fill="none", stroke=shade[name], stroke_width="2"))
        elements += [circle(a, b, 4, fill=shade[name]) for a, b in points]
    return document(WIDTH, bottom + 62, [*elements, *legend(list(recall), shade, left, bottom + 46)])


def legend(names: list[str], shade: dict[str, str], left: float, y: float) -> list[str]:
    """The names with their colours in one line."""
    elements, x = [], left
    for name in names:
        elements += [circle(x, y - 4, 5, fill=shade[name]), text(x + 10, y, name)]
        x += 34 + 7 * len(name)
    return elements


FIGURES = {"gains": gains, "sizes": sizes, "popularity": popularity}
