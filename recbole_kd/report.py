"""What is printed: the table at the end of a run, the lists of methods and recipes, the keys of a method."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from plotly.colors import qualitative
from plotly.graph_objects import Scatter
from plotly.subplots import make_subplots
from tabulate import tabulate

from recbole_kd.backbone.capabilities import Capability, describe
from recbole_kd.config.recipes import Recipe
from recbole_kd.config.schema import describe_method, explain_keys, method_names, term_names
from recbole_kd.method.families import STUDENTS, method_family_table
from recbole_kd.term import get_term
from recbole_kd.term.base import Term


def result_table(result: Mapping[str, Any]) -> str:
    """The result of a run as text: a row for each model, the recovered share, warnings, and advice.

    Args:
        result: what ``run_kd`` returns.
    """
    metrics = list(result["distilled"]["test_result"])
    lines = [[label, *_cells(row, metrics)] for label, row in _rows(result)]
    if "recovered_share" in result:
        shares = [result["recovered_share"][metric] for metric in metrics]
        lines.append(["recovered share", *("n/a" if share is None else f"{share:.0%}" for share in shares), "", "", ""])
    headers = ["test", *metrics, "parameters", "bytes", "ms/user"]
    table = tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))
    warnings = [row["warning"] for _, row in _rows(result) if "warning" in row]
    if "shared_pairs" in result:
        warnings.append(result["shared_pairs"]["warning"])
    if "warm_start" in result:
        warnings += [result["warm_start"][name] for name in ("rows", "warning") if name in result["warm_start"]]
    return "\n".join([table, *warnings, *_advice(result)])


def _advice(result: Mapping[str, Any]) -> Iterator[str]:
    """One sentence where the teacher itself ranks better on validation with its item neighbours."""
    advice = result.get("neighbours_worth")
    if advice and advice["better"]:
        yield (
            f"with its own item neighbours beside its scores the teacher ranks better on validation, "
            f"{advice['metric']} {advice['with']:.4f} against {advice['without']:.4f}: "
            f"--neighbour_weight=1 teaches with them"
        )


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of the table: label, result of the model."""
    if "teachers" in result:
        yield from ((f"teacher {row['label']}", row) for row in result["teachers"])
        yield "ensemble of them", result["ensemble"]
    else:
        yield "teacher", result["teacher"]
    if "with_neighbours" in result:
        yield "with its neighbours", result["with_neighbours"]
    if "student_alone" in result:
        yield "student alone", result["student_alone"]
    yield f"distilled ({result['distilled']['method']})", result["distilled"]
    yield from ((f"its first {row['width']} coordinates", row) for row in result.get("widths", []))


def _cells(row: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    results = row["test_result"]  # empty for a teacher that cannot be measured
    numbers = [f"{results[metric]:.4f}" if metric in results else "" for metric in metrics]
    costs = [(row["parameters"], ","), (row["bytes"], ","), (row["ms_per_user"], ".4f")]
    return [*numbers, *("" if value is None else format(value, form) for value, form in costs)]


def progress_page(result: Mapping[str, Any]) -> str | None:
    """The progress that a method reported over the epochs, as a self-contained HTML page; None without a report.

    Args:
        result: what ``run_kd`` returns.
    """
    plots = _progress_plots(result)
    if not plots:
        return None
    figure = make_subplots(rows=len(plots), cols=1, shared_xaxes=True, subplot_titles=list(plots))
    for row, lines in enumerate(plots.values(), 1):
        for index, (label, points) in enumerate(lines):
            x, y = zip(*points, strict=True)
            colour = qualitative.Plotly[index % len(qualitative.Plotly)]
            line = Scatter(x=x, y=y, name=label, legendgroup=label, showlegend=row == 1, line={"color": colour})
            figure.add_trace(line, row=row, col=1)
    figure.update_xaxes(title_text="epoch", row=len(plots), col=1)
    figure.update_layout(
        title=f"{result['distilled']['method']}: how far along their training the teachers are followed"
    )
    return figure.to_html(include_plotlyjs=True)


def _progress_plots(result: Mapping[str, Any]) -> dict[str, list[tuple[str, Sequence[Any]]]]:
    """The lines of each plot: label and points, by the plot's title."""
    plots: dict[str, list[tuple[str, Sequence[Any]]]] = {}
    labels = [row["label"] for row in result.get("teachers", [result.get("teacher")])]
    for name, points in result.get("progress", {}).items():
        match = re.fullmatch(r"teacher (\d+) (.*)", name)
        label, title = (labels[int(match[1]) - 1], match[2]) if match else (name, "")
        plots.setdefault(title, []).append((label, points))
    return plots


def methods_table(broken: Collection[str] = ()) -> str:
    """All methods, a row each: name, layer, needs of teacher and student, what it does, paper, fidelity.

    Args:
        broken: names of methods that cannot be loaded, which are left out.
    """
    rows = []
    for name in method_names():
        if name in broken:
            continue
        terms = [get_term(term) for term in term_names(name)]
        layers = ", ".join(dict.fromkeys(term.layer for term in terms)) or "any"
        rows.append([name, layers, *_needs(terms), *describe_method(name)])
    headers = ["--model=", "layer", "teacher needs", "student needs", "what it does", "paper", "fidelity"]
    return tabulate(rows, headers, tablefmt="pipe")


def families_table(broken: Collection[str] = ()) -> str:
    """For each method the kinds of teachers that can teach each kind of student, in at most 100 columns.

    Args:
        broken: as for ``methods_table``.
    """
    rows = [[method, *cells] for method, cells in method_family_table(broken).items()]
    return tabulate(rows, ["--model=", *STUDENTS], tablefmt="simple", disable_numparse=True)


def _needs(terms: Sequence[type[Term]]) -> list[str]:
    """What these terms together need of the teacher and of the student, two phrases."""
    if not terms:
        return ["what its terms need"] * 2
    teacher = student = Capability(0)
    for term in terms:
        teacher, student = teacher | term.teacher_needs, student | term.student_needs
    return [describe(teacher), describe(student)]


def recipes_table(recipes: Sequence[Recipe]) -> str:
    """All recipes, a row each, in at most 100 columns."""
    rows = [
        [recipe.name, recipe.method, recipe.dataset, recipe.student, recipe.teacher, recipe.validation]
        for recipe in recipes
    ]
    headers = ["--recipe=", "method", "dataset", "student", "teacher", "valid"]
    return tabulate(rows, headers, disable_numparse=True, maxcolwidths=[None, None, 12, None, None, None])


def keys_table(method: str, terms: Sequence[str] | None = None) -> str:
    """The keys of a method, or of a free mix of terms: name, default, type and range, meaning."""
    return key_grid(explain_keys(method, terms))


def key_grid(rows: Sequence[Sequence[str]]) -> str:
    """Rows of keys, as ``explain_keys`` returns them, as a table."""
    return tabulate(rows, ["key", "default", "takes", "meaning"], tablefmt="pipe", disable_numparse=True)
