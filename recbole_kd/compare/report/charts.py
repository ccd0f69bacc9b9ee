"""The charts of a report: plotly figures of one dataset's content in the summary."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recbole_kd.compare.plan import ALONE, NEIGHBOURS, REFERENCES, TEACHER, TEST

# the palette of Okabe and Ito, safe for colour-blind readers; it repeats with other dashes and symbols
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B6F00")
GREYS = {TEACHER: "#222222", ALONE: "#8A8A8A", NEIGHBOURS: "#555555"}
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")


def styles(names: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """The colour, dash and symbol of each name, the same in every chart."""
    names = list(names)
    result = {name: (GREYS[name], "solid", "circle") for name in names if name in REFERENCES}
    for number, name in enumerate(name for name in names if name not in REFERENCES):
        turn, index = divmod(number, len(COLOURS))
        result[name] = COLOURS[index], DASHES[turn % len(DASHES)], SYMBOLS[turn % len(SYMBOLS)]
    return result


def gains(dataset: Mapping[str, Any], metric: str, part: str = TEST) -> go.Figure:
    """Each method's difference to the student alone: seeds, mean and both intervals; the teacher's mean as a line.

    Args:
        dataset: the dataset's content in the summary.
        metric: the metric.
        part: the part of the split that the models were evaluated on.
    """
    rows = {name: row["metrics"][metric] for name, row in dataset["rows"].items()}
    methods = [name for name in rows if name not in REFERENCES][::-1]
    style, figure = styles(dataset["rows"]), go.Figure()
    alone = rows.get(ALONE, {}).get("values", {})
    for name in methods:
        if rows[name]["against_alone"]["difference"] is not None:
            _add_gain(figure, name, rows[name], alone, style[name][0])
    figure.add_vline(x=0, line={"color": GREYS[ALONE], "width": 1})
    teacher = rows.get(TEACHER, {}).get("values", {})
    gaps = [value - alone[seed] for seed, value in teacher.items() if seed in alone]
    if gaps:
        gap = statistics.fmean(gaps)
        figure.add_vline(x=gap, line={"color": GREYS[TEACHER], "dash": "dot"})
        figure.add_annotation(x=gap, y=1, yref="paper", yanchor="bottom", text="teacher", showarrow=False)
    figure.update_layout(showlegend=False, height=150 + 44 * max(len(methods), 1))
    figure.update_yaxes(range=[-0.6, len(methods) - 0.4])
    return _apply_layout(figure, f"difference in {part} {metric}", None)


def _add_gain(figure: go.Figure, name: str, row: Mapping[str, Any], alone: Mapping[str, float], colour: str) -> None:
    entry = row["against_alone"]
    for low, high, width in (("t_low", "t_high", 2), ("low", "high", 7)):
        if entry[low] is not None:
            figure.add_scatter(
                x=[entry[low], entry[high]],
                y=[name, name],
                mode="lines",
                line={"color": colour, "width": width},
                opacity=0.45,
                hoverinfo="skip",
            )
    seeds = [seed for seed in row["values"] if seed in alone]
    figure.add_scatter(
        x=[row["values"][seed] - alone[seed] for seed in seeds],
        y=[name] * len(seeds),
        mode="markers",
        text=[f"seed {seed}" for seed in seeds],
        hovertemplate="%{text}: %{x:+.4f}<extra></extra>",
        marker={"symbol": "line-ns-open", "size": 11, "color": colour},
    )
    figure.add_scatter(
        x=[entry["difference"]],
        y=[name],
        mode="markers",
        marker={"size": 11, "color": colour},
        hovertemplate="mean: %{x:+.4f}<extra></extra>",
    )


def curves(rows: Mapping[str, Sequence[Mapping[str, Any]]], valid_metric: str) -> go.Figure:
    """The validation score by epoch, one line for each run.

    Args:
        rows: name to the contents of its run files.
        valid_metric: the name of the score.
    """
    style, figure = styles(rows), go.Figure()
    for name, runs in rows.items():
        colour, dash, _ = style[name]
        runs = [run for run in runs if run["valid_scores"]]
        for number, run in enumerate(runs):
            epochs, scores = zip(*run["valid_scores"], strict=True)
            is_best = [epoch == run["best_epoch"] for epoch in epochs]
            figure.add_scatter(
                x=[epoch + 1 for epoch in epochs],
                y=scores,
                name=name,
                legendgroup=name,
                showlegend=not number,
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 1.5},
                opacity=0.75,
                marker={"size": [8 if best else 1 for best in is_best], "color": colour},
                hovertemplate=f"{name}, seed {run['seed']}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )
    return _apply_layout(figure, "epoch", f"validation {valid_metric}")


def sizes(dataset: Mapping[str, Any], metric: str, part: str = TEST) -> go.Figure:
    """The metric by the number of parameters. Models of the same size are drawn next to each other.

    Args:
        dataset: the dataset's content in the summary.
        metric: the metric.
        part: the part of the split that the models were evaluated on.
    """
    style, figure = styles(dataset["rows"]), go.Figure()
    by_size: dict[int, list[str]] = {}
    for name, row in dataset["rows"].items():
        by_size.setdefault(row["parameters"], []).append(name)
    for size, names in by_size.items():
        for number, name in enumerate(names):
            row = dataset["rows"][name]
            entry = row["metrics"][metric]
            figure.add_scatter(
                x=[max(size, 1) * 1.09 ** (number - (len(names) - 1) / 2)],
                y=[entry["mean"]],
                name=name,
                mode="markers",
                marker={"size": 11, "color": style[name][0], "symbol": style[name][2]},
                error_y={"type": "data", "array": [entry["sd"] or 0], "thickness": 1.5, "width": 4},
                customdata=[[size, row["bytes"]]],
                hovertemplate="%{customdata[0]:,} parameters, %{customdata[1]:,} bytes<br>%{y:.4f}",
            )
    figure.update_xaxes(type="log", tickvals=list(by_size), ticktext=[f"{size:,}" for size in by_size])
    return _apply_layout(figure, "parameters (log scale)", f"{part} {metric}, mean ± sd")


def popularity(dataset: Mapping[str, Any]) -> go.Figure | None:
    """The recall by popularity bin, one line for each model; None where it was not measured.

    Args:
        dataset: the dataset's content in the summary.
    """
    rows = {name: row["popularity"] for name, row in dataset["rows"].items() if row["popularity"]}
    if not rows:
        return None
    style, figure = styles(dataset["rows"]), go.Figure()
    for name, bins in rows.items():
        colour, dash, symbol = style[name]
        figure.add_scatter(
            x=bin_names(len(bins)),
            y=[one["mean"] for one in bins],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"size": 7, "symbol": symbol},
            customdata=[one["sd"] or 0 for one in bins],
            hovertemplate="%{y:.4f} ± %{customdata:.4f}",
        )
    figure.update_xaxes(type="category")
    return _apply_layout(figure, "items, the least popular first", f"recall@{dataset['k']} of test items")


def bin_names(count: int) -> list[str]:
    """The names of popularity bins, as shares of the items, the least popular first.

    >>> bin_names(2)
    ['0–50%', '50–100%']
    """
    step = 100 // count
    return [f"{step * number}–{step * (number + 1)}%" for number in range(count)]


def _apply_layout(figure: go.Figure, x: str, y: str | None) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        margin={"l": 8, "r": 8, "t": 24, "b": 8},
        hovermode="closest",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "yanchor": "top", "y": -0.22, "x": 0},
    )
    figure.update_layout(height=figure.layout.height or 400)
    figure.update_xaxes(title=x, automargin=True)
    figure.update_yaxes(title=y, automargin=True)
    return figure
