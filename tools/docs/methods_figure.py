"""docs/images/methods.svg: bars of each method's test metric on citeulike."""

import statistics

from benchmarks.result import result
from tools.docs.accuracy import METRIC, TEST
from tools.docs.svg import COLOURS, GREY, document, path, rectangle, text

SEEDS = (1, 2, 3)  # those that all methods were run on
# rows of other files, of the same teachers and students alone: what the figure calls them, and the files
OTHERS = {
    "methods-citeulike-best": {"SLD and RCEKD": "Distiller"},
    "methods-citeulike-neighbours": {"teacher, neighbours": "with its neighbours", "MKD, neighbours": "MKD"},
}
LEFT, WIDTH, ROW, TOP = 136, 560, 19, 44  # pixels: the names' column, the bars' field, a row, the title
METHOD, LOSS = COLOURS[0], COLOURS[1]


def label(name: str) -> str:
    """A row's name without its keys, but for weight decay."""
    bare, keys = name.partition(" --")[::2]
    return f"{bare}, decay" if "weight_decay" in keys else bare


def rows() -> dict[str, list[float]]:
    """The values of each row: the methods of one table, and what other files have of the same seeds."""
    source = result("methods-citeulike")
    values = {name: list(source.by_seed(name, TEST).values()) for name in source.names()}
    for file, names in OTHERS.items():
        other = result(file)
        for shown, start in names.items():
            name = next(name for name in other.names() if name.split(" --")[0] == start)
            by_seed = other.by_seed(name, TEST)
            values[shown] = [by_seed[seed] for seed in SEEDS]
    return values


def figure() -> str:
    """Bars of each row's mean on the test part, best first, with a standard deviation.

    A method that is not above the better student alone, where the dashed line is, has another colour.
    """
    measured = {name: (statistics.fmean(values), statistics.stdev(values)) for name, values in rows().items()}
    ordered = sorted(measured.items(), key=lambda row: -row[1][0])
    alone = max(mean for name, (mean, _) in ordered if name.startswith("student alone"))
    scale = WIDTH / max(mean + sd for _, (mean, sd) in ordered)
    height = TOP + ROW * len(ordered) + 14
    title = f"citeulike, BPR 200 → BPR 20: test {METRIC}, mean and standard deviation of 3 seeds"
    elements = [text(8, 20, title, font_size=14)]
    for place, (name, (mean, sd)) in enumerate(ordered):
        is_end = name.startswith(("teacher", "student alone"))
        colour = GREY if is_end else METHOD if mean > alone else LOSS
        y = TOP + ROW * place
        low, high = (LEFT + scale * (mean + sign * sd) for sign in (-1, 1))
        elements += [
            text(LEFT - 6, y + 11, label(name), text_anchor="end"),
            rectangle(LEFT, y, scale * mean, ROW - 5, fill=colour),
            path(f"M{low:.1f} {y + 7}H{high:.1f}", stroke="#000000", stroke_width="1.5"),
            text(high + 5, y + 11, f"{mean:.4f}"),
        ]
    x = LEFT + scale * alone
    elements.append(path(f"M{x:.1f} {TOP - 8}V{height - 8}", stroke=GREY, stroke_dasharray="3 3"))
    return document(LEFT + WIDTH + 60, height, elements)
