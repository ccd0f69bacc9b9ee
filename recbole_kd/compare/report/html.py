"""The report: one page that needs nothing else, with tables, charts and the numbers to take away."""

import base64
import json
from html import escape

from plotly.offline import get_plotlyjs

from recbole_kd.compare.plan import ALONE, REFERENCES
from recbole_kd.compare.report.charts import bin_names, curves, gains, popularity, sizes
from recbole_kd.compare.report.tables import (
    accuracy,
    costs,
    failures,
    format_number,
    format_p_value,
    format_percent,
    format_signed,
    mean_sd,
    metrics_of,
    summary_csv,
)
from recbole_kd.compare.summary import AGAINST, complete, ranked

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto; max-width: 70rem;
  padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.5rem; border-top: 2px solid #1c1c1c; padding-top: 1rem; }
h3 { margin: 2rem 0 .4rem; } p, li { max-width: 46rem; } .quiet { color: #555; font-size: .9rem; }
.wide { overflow-x: auto; margin: .5rem 0 1rem; } table { border-collapse: collapse; font-size: .88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
thead th { border-bottom: 2px solid #888; vertical-align: bottom; } th:first-child, td:first-child { text-align: left;
  position: sticky; left: 0; background: #fff; }
.words th, .words td { text-align: left; }
tr.best td { font-weight: 600; } details { margin: .4rem 0; } summary { cursor: pointer; padding: .2rem 0; }
.failed { border-left: 4px solid #D55E00; padding: .2rem 1rem; background: #fdf3ec; } code { font-size: .9em; }
@media (max-width: 30rem) { body { padding: .5rem .75rem 3rem; } th, td { padding: .25rem .5rem; } }
"""
NOTES = """<p class="quiet">A seed has a split, a teacher and a student alone of its own, which all methods of that
seed share; so differences are taken seed by seed. p: two-sided paired t-test over the seeds; Holm: adjusted for the
number of methods tested on this metric. The first interval is a bootstrap of the seeds' differences (95%, percentile),
the second that of the t-test: with few seeds the first is too narrow. Random splits of one dataset overlap, which
makes every p-value smaller than it should be: read a p near 0.05 as nothing shown. The best rival is the method with
the best mean among the others, which is chosen after the fact.</p>"""


def page(found, runs):
    """The report of a summary as HTML; ``runs``: the comparison's, for the learning curves."""
    methods = list(dict.fromkeys(name for part in found["datasets"].values() for name in part["rows"]))
    title = f"Comparison of {', '.join(name for name in methods if name not in REFERENCES) or 'no method'}"
    rows = [row for run in runs if (row := run.row()) and "failed" not in row]
    body = [f"<h1>{escape(title)}</h1>", _intro(found), _boxes(found)]
    if len(found["datasets"]) > 1:
        body.append(_overview(found))
    for name, part in found["datasets"].items():
        body.append(_section(found, name, part, [row for row in rows if row["dataset"] == name]))
    body += [_settings(found), _links(found)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _intro(found):
    seeds = ", ".join(map(str, found["seeds"]))
    return f"<p>{len(found['seeds'])} seeds ({seeds}); shown first: test {escape(found['metric'])}.</p>"


def _overview(found):
    """All datasets side by side, and the mean of the methods' places."""
    metric, parts = found["metric"], found["datasets"]
    places: dict[str, list] = {}
    for part in parts.values():
        for place, name in enumerate(ranked(part["rows"], metric), 1):
            places.setdefault(name, []).append(place)
    lines = []
    for name in dict.fromkeys(name for part in parts.values() for name in part["rows"]):
        there = [part["rows"].get(name) for part in parts.values()]
        means = [mean_sd(row["metrics"][metric]) if row else "" for row in there]
        lines.append([name, *means, format_number(sum(places[name]) / len(places[name]), 2) if name in places else ""])
    table = _table([f"test {metric}", *parts, "mean place"], lines)
    return f"<h2>All datasets</h2>{table}"


def _boxes(found):
    """What failed, and what to be wary of."""
    said = {
        "Failed, and left out of what follows:": failures(found["failed"]),
        "Teachers that were taken although they may have seen what is tested:": found["warnings"],
    }
    return "".join(_box(title, sentences) for title, sentences in said.items() if sentences)


def _box(title, sentences):
    lines = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="failed"><p>{title}</p><ul>{lines}</ul></div>'


def _section(found, name, part, rows):
    metric = found["metric"]
    by_name = {label: [row for row in rows if row["name"] == label] for label in part["rows"]}
    popular = popularity(part)
    heads, lines = accuracy(part, metric)
    parts = [
        f"<h2>{escape(name)}</h2>",
        f"<p>{part['users']:,} users, {part['items']:,} items, {part['interactions']:,} interactions.</p>",
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in findings(part, metric))}</ul>",
        "<h3>Accuracy and cost</h3>",
        _table(heads, lines, best=ranked(part["rows"], metric)[:1]),
        _table(*costs(part)),
        '<p class="quiet">Mean ± standard deviation over the seeds. Recovered: how much of the gap between the student '
        f"alone and the teacher a method makes up for, in {escape(metric)}; over: the mean difference, seed by seed. "
        "ms/user: milliseconds to rank the whole catalogue for a user, all models in turn, first seed. Epochs and "
        "seconds of training: means; the seconds depend on what else ran on the machine.</p>",
        "<h3>What the methods gain over the student alone</h3>",
        _chart(gains(part, metric)),
        '<p class="quiet">Dot: mean; ticks: seeds; thick line: bootstrap interval; thin line: t interval.</p>',
        *(_tests(part, one, one == metric) for one in sorted(metrics_of(part), key=lambda one: one != metric)),
        NOTES,
        "<h3>Learning curves</h3>",
        _chart(curves(by_name, part["valid_metric"])),
        '<p class="quiet">A line each seed; the dot is the epoch whose weights were kept.</p>',
        "<h3>Accuracy against size</h3>",
        _chart(sizes(part, metric)),
    ]
    if popular is not None:
        parts += ["<h3>Popular and rare items</h3>", _chart(popular), _popularity(part)]
    return "\n".join([*parts, "<h3>Seed by seed</h3>", _seeds(part, found["seeds"])])


def findings(part, metric):
    """What the numbers say, a sentence each."""
    order = ranked(part["rows"], metric)
    if not order:
        return ["No method has come to an end."]
    lines = []
    full = complete({name: part["rows"][name]["metrics"][metric]["values"] for name in order})
    for name in full[:1]:
        entry = part["rows"][name]["metrics"][metric]
        lines.append(
            f"{name} has the best mean {metric} of {len(full)} method{'s' if full[1:] else ''}: {mean_sd(entry)}"
            + (
                f", {format_percent(entry['share'])} of the teacher's lead recovered"
                if entry["share"] is not None
                else ""
            )
            + "."
        )
        rival = entry["against_rival"]
        if rival["difference"] is not None:
            lines.append(f"Against {rival['rival']}, the next: {_said(rival)}.")
    for name in order:
        for against, who in (("against_alone", "the student alone"), ("against_teacher", "the teacher")):
            entry = part["rows"][name]["metrics"][metric][against]
            if entry["difference"] is not None:
                lines.append(f"{name} against {who}: {_said(entry)}.")
    few = [f"{name} ({part['rows'][name]['metrics'][metric]['n']})" for name in order if name not in full]
    if few:
        lines.append(f"Not on the same seeds as the others, so that their means do not compare: {', '.join(few)}.")
    alone = part["rows"].get(ALONE, {}).get("parameters")
    for name in order:
        own = part["rows"][name]["parameters"]
        if alone is not None and own != alone:
            lines.append(f"{name} ships a student of {own:,} parameters, the student alone has {alone:,}.")
    return lines


def _said(entry):
    if entry["p_holm"] is None:
        return f"{format_signed(entry['difference'])} on one seed, which shows nothing yet"
    shown = "" if entry["p_holm"] < 0.05 else ": no difference shown"
    sign = "" if entry["p_holm"] < 0.0001 else "= "
    return f"{format_signed(entry['difference'])} (p {sign}{format_p_value(entry['p_holm'])} after Holm, {entry['n']} seeds){shown}"


def _tests(part, metric, opened):
    heads = ["difference", "bootstrap 95%", "t 95%", "t", "p", "p (Holm)", "seeds"]
    tables = []
    for against, who in zip(AGAINST, ("the student alone", "the teacher", "the best rival"), strict=True):
        lines = []
        for name in ranked(part["rows"], metric):
            entry = part["rows"][name]["metrics"][metric][against]
            rival = [entry["rival"] or "none"] if "rival" in entry else []
            lines.append(
                [name, *rival, format_signed(entry["difference"]), _interval(entry["low"], entry["high"]),
                 _interval(entry["t_low"], entry["t_high"]), format_number(entry["t"], 2), format_p_value(entry["p"]),
                 format_p_value(entry["p_holm"]), str(entry["n"])]
            )  # fmt: skip
        tables.append(_table([f"against {who}", *(["rival"] if "rival" in against else []), *heads], lines))
    summary = f"<summary>{escape(metric)}</summary>"
    return f"<details{' open' if opened else ''}>{summary}{''.join(tables)}</details>"


def _interval(low, high):
    return "" if low is None else f"[{format_signed(low)}, {format_signed(high)}]"


def _popularity(part):
    rows = {name: row["popularity"] for name, row in part["rows"].items() if row["popularity"]}
    some = next(iter(rows.values()))
    heads = ["", *bin_names(len(some))]
    lines = [
        ["items", *(format_number(one["items"], 0) for one in some)],
        ["times trained on", *("" if one["least"] is None else f"{one['least']:,}–{one['most']:,}" for one in some)],
        ["test pairs", *(format_number(one["pairs"], 0) for one in some)],
        *([name, *(mean_sd(one) for one in bins)] for name, bins in rows.items()),
    ]
    return _table(heads, lines) + (
        f'<p class="quiet">Items in fifths by training pairs; recall@{part["k"]}: the share of a fifth\'s test pairs '
        "that stand in the lists. The first lines are means over the seeds, the ranges are over all.</p>"
    )


def _seeds(part, seeds):
    tables = []
    for metric in metrics_of(part):
        lines = [
            [name, *(format_number(row["metrics"][metric]["values"].get(str(seed))) for seed in seeds)]
            for name, row in part["rows"].items()
        ]
        heads = ["test", *(f"seed {seed}" for seed in seeds)]
        tables.append(f"<details><summary>{escape(metric)}</summary>{_table(heads, lines)}</details>")
    return "".join(tables)


def _settings(found):
    lines = [["every run", "", _keys(found["keys"])], ["student alone", "", _keys(found["alone"])]]
    for name, part in found["datasets"].items():
        lines.append([name, part["dataset"], _keys(part["keys"])])
        lines += [[label, row["method"], _keys(row["keys"])] for label, row in part["rows"].items() if row["method"]]
    unique = [list(line) for line in dict.fromkeys(map(tuple, lines))]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    table = _table(["", "what", "keys"], unique, kind="wide words")
    return f'<h2>Settings</h2>{table}<p class="quiet">{escape(versions)}</p>'


def _keys(keys):
    return ", ".join(f"{key}: {value}" for key, value in keys.items()) or "defaults"


def _links(found):
    files = {"summary.json": json.dumps(found, indent=1), "summary.csv": summary_csv(found)}
    links = " · ".join(
        f'<a download="{name}" href="data:text/plain;base64,{base64.b64encode(text.encode()).decode()}">{name}</a>'
        for name, text in files.items()
    )
    return f"<p>All numbers, unrounded: {links}</p>"


def _chart(figure):
    return figure.to_html(
        full_html=False, include_plotlyjs=False, default_width="100%",
        config={"responsive": True, "displaylogo": False, "displayModeBar": False},
    )  # fmt: skip


def _table(heads, lines, best=(), kind="wide"):
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr{' class=best' if line[0] in best else ''}>"
        f"{''.join(f'<td>{escape(str(cell))}</td>' for cell in line)}</tr>"
        for line in lines
    )
    return f'<div class="{kind}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
