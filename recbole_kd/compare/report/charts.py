"""The charts of a report: plotly figures of one dataset's part of the summary."""

import statistics

import plotly.graph_objects as go

from recbole_kd.compare.plan import ALONE, NEIGHBOURS, REFERENCES, TEACHER

# Okabe and Ito's, which colour-blind readers tell apart; then the same as another dash
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B6F00")
GREYS = {TEACHER: "#222222", ALONE: "#8A8A8A", NEIGHBOURS: "#555555"}
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")


def styles(names):
    """name to (colour, dash, symbol), the same in every chart."""
    methods = [name for name in names if name not in REFERENCES]
    found = {name: (GREYS[name], "solid", "circle") for name in names if name in REFERENCES}
    for number, name in enumerate(methods):
        turn, place = divmod(number, len(COLOURS))
        found[name] = COLOURS[place], DASHES[turn % len(DASHES)], SYMBOLS[turn % len(SYMBOLS)]
    return found


def gains(part, metric):
    """Each method's difference to the student alone: seeds, mean, both intervals; the teacher's as a line."""
    rows = {name: row["metrics"][metric] for name, row in part["rows"].items()}
    methods = [name for name in rows if name not in REFERENCES][::-1]
    style, figure = styles(part["rows"]), go.Figure()
    alone = rows.get(ALONE, {}).get("values", {})
    for name in methods:
        entry, colour = rows[name]["against_alone"], style[name][0]
        if entry["difference"] is None:
            continue
        for low, high, width in (("t_low", "t_high", 2), ("low", "high", 7)):
            if entry[low] is not None:
                figure.add_scatter(
                    x=[entry[low], entry[high]], y=[name, name], mode="lines", line={"color": colour, "width": width},
                    opacity=0.45, hoverinfo="skip",
                )  # fmt: skip
        seeds = [seed for seed in rows[name]["values"] if seed in alone]
        figure.add_scatter(
            x=[rows[name]["values"][seed] - alone[seed] for seed in seeds], y=[name] * len(seeds), mode="markers",
            text=[f"seed {seed}" for seed in seeds], hovertemplate="%{text}: %{x:+.4f}<extra></extra>",
            marker={"symbol": "line-ns-open", "size": 11, "color": colour},
        )  # fmt: skip
        figure.add_scatter(
            x=[entry["difference"]], y=[name], mode="markers", marker={"size": 11, "color": colour},
            hovertemplate="mean: %{x:+.4f}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREYS[ALONE], "width": 1})
    theirs = rows.get(TEACHER, {}).get("values", {})
    gaps = [value - alone[seed] for seed, value in theirs.items() if seed in alone]
    if gaps:
        gap = statistics.fmean(gaps)
        figure.add_vline(x=gap, line={"color": GREYS[TEACHER], "dash": "dot"})
        figure.add_annotation(x=gap, y=1, yref="paper", yanchor="bottom", text="teacher", showarrow=False)
    figure.update_layout(showlegend=False, height=150 + 44 * max(len(methods), 1))
    figure.update_yaxes(range=[-0.6, len(methods) - 0.4])
    return _apply_layout(figure, f"difference in test {metric}", None)


def curves(rows, valid_metric):
    """Validation score by epoch, a line each run; ``rows``: name to the files' contents of its seeds."""
    style, figure = styles(rows), go.Figure()
    for name, runs in rows.items():
        colour, dash, _ = style[name]
        runs = [run for run in runs if run["valid_scores"]]
        for number, run in enumerate(runs):
            epochs, scores = zip(*run["valid_scores"], strict=True)
            kept = [epoch == run["best_epoch"] for epoch in epochs]
            figure.add_scatter(
                x=[epoch + 1 for epoch in epochs], y=scores, name=name, legendgroup=name, showlegend=not number,
                mode="lines+markers", line={"color": colour, "dash": dash, "width": 1.5}, opacity=0.75,
                marker={"size": [8 if one else 1 for one in kept], "color": colour},
                hovertemplate=f"{name}, seed {run['seed']}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )  # fmt: skip
    return _apply_layout(figure, "epoch", f"validation {valid_metric}")


def sizes(part, metric):
    """Test metric against the number of parameters; models of one size stand side by side."""
    style, figure = styles(part["rows"]), go.Figure()
    by_size: dict[int, list] = {}
    for name, row in part["rows"].items():
        by_size.setdefault(row["parameters"], []).append(name)
    for size, names in by_size.items():
        for number, name in enumerate(names):
            entry, row = part["rows"][name]["metrics"][metric], part["rows"][name]
            figure.add_scatter(
                x=[max(size, 1) * 1.09 ** (number - (len(names) - 1) / 2)], y=[entry["mean"]], name=name,
                mode="markers", marker={"size": 11, "color": style[name][0], "symbol": style[name][2]},
                error_y={"type": "data", "array": [entry["sd"] or 0], "thickness": 1.5, "width": 4},
                customdata=[[size, row["bytes"]]],
                hovertemplate="%{customdata[0]:,} parameters, %{customdata[1]:,} bytes<br>%{y:.4f}",
            )  # fmt: skip
    figure.update_xaxes(type="log", tickvals=list(by_size), ticktext=[f"{size:,}" for size in by_size])
    return _apply_layout(figure, "parameters (log scale)", f"test {metric}, mean ± sd")


def popularity(part):
    """Recall by popularity bin, a line each model; None where nothing was measured."""
    rows = {name: row["popularity"] for name, row in part["rows"].items() if row["popularity"]}
    if not rows:
        return None
    style, figure = styles(part["rows"]), go.Figure()
    for name, bins in rows.items():
        colour, dash, symbol = style[name]
        figure.add_scatter(
            x=bin_names(len(bins)), y=[one["mean"] for one in bins], name=name, mode="lines+markers",
            line={"color": colour, "dash": dash}, marker={"size": 7, "symbol": symbol},
            customdata=[one["sd"] or 0 for one in bins], hovertemplate="%{y:.4f} ± %{customdata:.4f}",
        )  # fmt: skip
    figure.update_xaxes(type="category")
    return _apply_layout(figure, "items, the least popular first", f"recall@{part['k']} of test items")


def bin_names(count):
    """'0–20%', '20–40%', …: of the items, the least popular first."""
    step = 100 // count
    return [f"{step * number}–{step * (number + 1)}%" for number in range(count)]


def _apply_layout(figure, x, y):
    figure.update_layout(
        template="plotly_white", margin={"l": 8, "r": 8, "t": 24, "b": 8}, hovermode="closest",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "yanchor": "top", "y": -0.22, "x": 0},
    )  # fmt: skip
    figure.update_layout(height=figure.layout.height or 400)
    figure.update_xaxes(title=x, automargin=True)
    figure.update_yaxes(title=y, automargin=True)
    return figure
