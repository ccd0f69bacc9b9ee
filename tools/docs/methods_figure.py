"""The picture of the methods, an SVG on stdout: `python docs/picture.py > docs/methods.svg`."""

import json
import statistics
from html import escape
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
SEEDS = ("1", "2", "3")  # those that all methods were run on
# rows of other files, of the same teachers and students alone: what they are called here, and there
OTHERS = {
    "methods-citeulike-best.json": {"SLD and RCEKD": "Distiller"},
    "methods-citeulike-neighbours.json": {"teacher, neighbours": "with its neighbours", "MKD, neighbours": "MKD"},
}
LEFT, WIDTH, ROW, TOP = 136, 560, 19, 44  # pixels: the names' column, the bars' field, a row, the head
METHOD, END, LOSS = "#0072B2", "#8A8A8A", "#D55E00"


def label(name):
    """A row's name without its keys, but for weight decay."""
    bare, keys = name.partition(" --")[::2]
    return f"{bare}, decay" if "weight_decay" in keys else bare


def svg(found, metric="ndcg@10"):
    """Bars of each row's mean on the test part, best first, with a standard deviation; one that is not above the better
    student alone, where the dashed line is, in another colour.

    Args:
        found: name to metric to ``mean`` and ``sd``.
        metric: which metric of it.
    """
    rows = sorted(found.items(), key=lambda row: -row[1][metric]["mean"])
    alone = max(row[metric]["mean"] for name, row in rows if name.startswith("student alone"))
    scale = WIDTH / max(row[metric]["mean"] + row[metric]["sd"] for _, row in rows)
    height = TOP + ROW * len(rows) + 14
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 60} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{LEFT + WIDTH + 60}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-size="14">citeulike, BPR 200 → BPR 20: test {metric}, mean and standard deviation '
        "of 3 seeds</text>",
    ]
    for place, (name, row) in enumerate(rows):
        mean, sd = row[metric]["mean"], row[metric]["sd"]
        colour = END if name.startswith(("teacher", "student alone")) else METHOD if mean > alone else LOSS
        y = TOP + ROW * place
        low, high = (LEFT + scale * (mean + sign * sd) for sign in (-1, 1))
        lines += [
            f'<text x="{LEFT - 6}" y="{y + 11}" text-anchor="end">{escape(label(name))}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{scale * mean:.1f}" height="{ROW - 5}" fill="{colour}"/>',
            f'<path d="M{low:.1f} {y + 7}H{high:.1f}" stroke="#000000" stroke-width="1.5"/>',
            f'<text x="{high + 5:.1f}" y="{y + 11}">{mean:.4f}</text>',
        ]
    x = LEFT + scale * alone
    lines.append(f'<path d="M{x:.1f} {TOP - 8}V{height - 8}" stroke="#8A8A8A" stroke-dasharray="3 3"/>')
    return "\n".join([*lines, "</svg>"])


def rows(metric="ndcg@10"):
    """The methods of one table, and beside them what other files have of the same seeds."""
    found = json.loads((RESULTS / "methods-citeulike.json").read_text())["summary"]
    for file, names in OTHERS.items():
        runs = [json.loads((RESULTS / file).read_text())["runs"][seed] for seed in SEEDS]
        for name, there in names.items():
            values = [next(row for key, row in run.items() if key.split(" --")[0] == there) for run in runs]
            values = [row["test_result"][metric] for row in values]
            found[name] = {metric: {"mean": statistics.fmean(values), "sd": statistics.stdev(values)}}
    return found


if __name__ == "__main__":
    print(svg(rows()))
