"""The report of a comparison: one HTML page that needs no other file, with tables, charts and downloads."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from plotly.offline import get_plotlyjs

from recbole_kd.compare.plan import REFERENCES, TEST
from recbole_kd.compare.report.charts import bin_names, curves, gains, popularity, sizes
from recbole_kd.compare.report.findings import findings
from recbole_kd.compare.report.formats import format_number, format_p_value, format_signed, mean_sd
from recbole_kd.compare.report.markup import STYLE, bullets, chart, details, table, warning_box
from recbole_kd.compare.report.tables import accuracy, costs, failures, metrics_of, summary_csv
from recbole_kd.compare.run import Run
from recbole_kd.compare.summary import AGAINST, ranked

OPPONENTS = dict(zip(AGAINST, ("the student alone", "the teacher", "the best rival"), strict=True))
TEST_NOTES = """<p class="quiet">Each seed has one split, one teacher and one student alone, which all methods of that
seed share, so differences are taken seed by seed. p: two-sided paired t-test over the seeds; Holm: adjusted for the
number of methods tested on this metric. The first interval is a bootstrap of the seeds' differences (95%, percentile),
the second that of the t-test: with few seeds the first is too narrow. Random splits of one dataset overlap, which
makes every p-value smaller than it should be: a p near 0.05 shows no difference. The best rival is the method with
the best mean among the others, which is chosen after the fact.</p>"""


def page(summary: Mapping[str, Any], runs: Sequence[Run]) -> str:
    """The report as HTML.

    Args:
        summary: the content of ``summary.json``.
        runs: the runs of the comparison, for the learning curves.
    """
    datasets = summary["datasets"]
    names = dict.fromkeys(name for dataset in datasets.values() for name in dataset["rows"])
    title = f"Comparison of {', '.join(name for name in names if name not in REFERENCES) or 'no method'}"
    rows = [row for run in runs if (row := run.row()) and "failed" not in row]
    body = [f"<h1>{escape(title)}</h1>", _intro(summary), _warnings(summary)]
    if len(datasets) > 1:
        body.append(_overview(summary))
    for name, dataset in datasets.items():
        body.append(_section(summary, name, dataset, [row for row in rows if row["dataset"] == name]))
    body += [_settings(summary), _downloads(summary)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _intro(summary: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, summary["seeds"]))
    return f"<p>{len(summary['seeds'])} seeds ({seeds}); shown first: {escape(_metric_title(summary))}.</p>"


def _metric_title(summary: Mapping[str, Any]) -> str:
    """The metric that is shown first, with its part: "test ndcg@10"."""
    return f"{summary.get('part', TEST)} {summary['metric']}"


def _warnings(summary: Mapping[str, Any]) -> str:
    boxes = {
        "These runs failed and are missing below:": failures(summary["failed"]),
        "The numbers below may be too good:": summary["warnings"],
    }
    return "".join(warning_box(title, sentences) for title, sentences in boxes.items() if sentences)


def _overview(summary: Mapping[str, Any]) -> str:
    """The means on all datasets, and the mean rank of each method."""
    metric, datasets = summary["metric"], summary["datasets"]
    ranks: dict[str, list[int]] = {}
    for dataset in datasets.values():
        for rank, name in enumerate(ranked(dataset["rows"], metric), 1):
            ranks.setdefault(name, []).append(rank)
    lines = []
    for name in dict.fromkeys(name for dataset in datasets.values() for name in dataset["rows"]):
        rows = [dataset["rows"].get(name) for dataset in datasets.values()]
        means = [mean_sd(row["metrics"][metric]) if row else "" for row in rows]
        lines.append([name, *means, format_number(sum(ranks[name]) / len(ranks[name]), 2) if name in ranks else ""])
    return f"<h2>All datasets</h2>{table([_metric_title(summary), *datasets, 'mean rank'], lines)}"


def _section(
    summary: Mapping[str, Any], name: str, dataset: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> str:
    """The section of one dataset; ``rows``: the contents of its run files."""
    metric, part = summary["metric"], summary.get("part", TEST)
    by_name = {label: [row for row in rows if row["name"] == label] for label in dataset["rows"]}
    pieces = [
        f"<h2>{escape(name)}</h2>",
        f"<p>{dataset['users']:,} users, {dataset['items']:,} items, {dataset['interactions']:,} interactions.</p>",
        bullets(findings(dataset, metric)),
        *_accuracy_and_cost(dataset, metric, part),
        *_gains(dataset, metric, part),
        "<h3>Learning curves</h3>",
        chart(curves(by_name, dataset["valid_metric"])),
        '<p class="quiet">One line for each seed; the dot is the epoch whose weights were evaluated.</p>',
        "<h3>Accuracy against size</h3>",
        chart(sizes(dataset, metric, part)),
        *_popularity(dataset),
        "<h3>Seed by seed</h3>",
        _values_by_seed(dataset, summary["seeds"], part),
    ]
    return "\n".join(pieces)


def _accuracy_and_cost(dataset: Mapping[str, Any], metric: str, part: str) -> list[str]:
    header, lines = accuracy(dataset, metric, part)
    return [
        "<h3>Accuracy and cost</h3>",
        table(header, lines, best=ranked(dataset["rows"], metric)[:1]),
        table(*costs(dataset)),
        '<p class="quiet">Mean ± standard deviation over the seeds. Recovered: the share of the gap between the '
        f"student alone and the teacher that a method covers, in {escape(metric)}; over: the mean difference, seed by "
        "seed. ms/user: milliseconds to rank the whole catalogue for a user, all models in turn, first seed. Epochs "
        "and seconds of training: means; the seconds depend on the machine's load.</p>",
    ]


def _gains(dataset: Mapping[str, Any], metric: str, part: str) -> list[str]:
    metrics = sorted(metrics_of(dataset), key=lambda other: other != metric)
    return [
        "<h3>What the methods gain over the student alone</h3>",
        chart(gains(dataset, metric, part)),
        '<p class="quiet">Dot: mean; ticks: seeds; thick line: bootstrap interval; thin line: t interval.</p>',
        *(_tests(dataset, other, is_open=other == metric) for other in metrics),
        TEST_NOTES,
    ]


def _tests(dataset: Mapping[str, Any], metric: str, is_open: bool) -> str:
    header = ["difference", "bootstrap 95%", "t 95%", "t", "p", "p (Holm)", "seeds"]
    tables = []
    for against, opponent in OPPONENTS.items():
        lines = []
        for name in ranked(dataset["rows"], metric):
            entry = dataset["rows"][name]["metrics"][metric][against]
            rival = [entry["rival"] or "none"] if "rival" in entry else []
            lines.append([name, *rival, *_test_cells(entry)])
        tables.append(table([f"against {opponent}", *(["rival"] if "rival" in against else []), *header], lines))
    return details(metric, "".join(tables), is_open)


def _test_cells(entry: Mapping[str, Any]) -> list[str]:
    return [
        format_signed(entry["difference"]),
        _interval(entry["low"], entry["high"]),
        _interval(entry["t_low"], entry["t_high"]),
        format_number(entry["t"], 2),
        format_p_value(entry["p"]),
        format_p_value(entry["p_holm"]),
        str(entry["n"]),
    ]


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None else f"[{format_signed(low)}, {format_signed(high)}]"


def _popularity(dataset: Mapping[str, Any]) -> list[str]:
    """The recall of popular and rare items; empty where it was not measured."""
    figure = popularity(dataset)
    if figure is None:
        return []
    rows = {name: row["popularity"] for name, row in dataset["rows"].items() if row["popularity"]}
    bins = next(iter(rows.values()))
    counts = ["" if one["least"] is None else f"{one['least']:,}–{one['most']:,}" for one in bins]
    lines = [
        ["items", *(format_number(one["items"], 0) for one in bins)],
        ["training pairs per item", *counts],
        ["test pairs", *(format_number(one["pairs"], 0) for one in bins)],
        *([name, *(mean_sd(one) for one in results)] for name, results in rows.items()),
    ]
    note = (
        '<p class="quiet">Items in fifths by training pairs; '
        f"recall@{dataset['k']}: the share of a fifth's test pairs whose item is in the user's list. The first lines "
        "are means over the seeds, the ranges cover all seeds.</p>"
    )
    return ["<h3>Popular and rare items</h3>", chart(figure), table(["", *bin_names(len(bins))], lines) + note]


def _values_by_seed(dataset: Mapping[str, Any], seeds: Sequence[int], part: str) -> str:
    header = [part, *(f"seed {seed}" for seed in seeds)]
    tables = []
    for metric in metrics_of(dataset):
        lines = [
            [name, *(format_number(row["metrics"][metric]["values"].get(str(seed))) for seed in seeds)]
            for name, row in dataset["rows"].items()
        ]
        tables.append(details(metric, table(header, lines)))
    return "".join(tables)


def _settings(summary: Mapping[str, Any]) -> str:
    lines = [["every run", "", _keys_text(summary["keys"])], ["student alone", "", _keys_text(summary["alone"])]]
    for name, dataset in summary["datasets"].items():
        lines.append([name, dataset["dataset"], _keys_text(dataset["keys"])])
        methods = [(label, row) for label, row in dataset["rows"].items() if row["method"]]
        lines += [[label, row["method"], _keys_text(row["keys"])] for label, row in methods]
    unique = [list(line) for line in dict.fromkeys(map(tuple, lines))]
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    settings = table(["", "model or dataset", "keys"], unique, kind="wide words")
    return f'<h2>Settings</h2>{settings}<p class="quiet">{escape(versions)}</p>'


def _keys_text(keys: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in keys.items()) or "defaults"


def _downloads(summary: Mapping[str, Any]) -> str:
    files = {"summary.json": json.dumps(summary, indent=1), "summary.csv": summary_csv(summary)}
    links = " · ".join(
        f'<a download="{name}" href="data:text/plain;base64,{base64.b64encode(text.encode()).decode()}">{name}</a>'
        for name, text in files.items()
    )
    return f"<p>All numbers, unrounded: {links}</p>"
