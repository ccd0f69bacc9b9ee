"""What is printed: the table at a run's end, the list of methods, the keys of one."""

import re

from plotly.colors import qualitative
from plotly.graph_objects import Scatter
from plotly.subplots import make_subplots
from tabulate import tabulate

from recbole_kd.backbone.capabilities import Capability, describe
from recbole_kd.config.schema import describe_method, explain_keys, method_names, term_names
from recbole_kd.term import get_term


def result_table(result):
    """The result as text: a row for each model, the recovered share, what to be wary of, and what else to try."""
    metrics = list(result["distilled"]["test_result"])
    lines = [[label, *_cells(row, metrics)] for label, row in _rows(result)]
    if "recovered_share" in result:
        shares = [result["recovered_share"][metric] for metric in metrics]
        lines.append(["recovered share", *("n/a" if share is None else f"{share:.0%}" for share in shares), "", "", ""])
    heads = ["test", *metrics, "parameters", "bytes", "ms/user"]
    rows = tabulate(lines, heads, disable_numparse=True, colalign=("left", *["right"] * (len(heads) - 1)))
    return "\n".join([rows, *(row["warning"] for _, row in _rows(result) if "warning" in row), *_advice(result)])


def _advice(result):
    """One sentence where the teacher itself ranks better on validation with its item neighbours."""
    worth = result.get("neighbours_worth")
    if worth and worth["better"]:
        yield (
            f"with its own item neighbours beside its scores the teacher ranks better on validation, {worth['metric']} "
            f"{worth['with']:.4f} against {worth['without']:.4f}: --neighbour_weight=1 teaches with them"
        )


def _rows(result):
    """What stands in the table: (label, row)."""
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


def _cells(row, metrics):
    numbers = [f"{row['test_result'][metric]:.4f}" for metric in metrics]
    costs = [(row["parameters"], ","), (row["bytes"], ","), (row["ms_per_user"], ".4f")]
    return [*numbers, *("" if value is None else format(value, form) for value, form in costs)]


def progress_page(result):
    """What a method said of its progress, over the epochs, as an HTML page that needs nothing else; None where it said
    nothing.
    """
    kinds: dict[str, list] = {}
    labels = [row["label"] for row in result.get("teachers", [result.get("teacher")])]
    for name, points in result.get("progress", {}).items():
        match = re.fullmatch(r"teacher (\d+) (.*)", name)
        label, kind = (labels[int(match[1]) - 1], match[2]) if match else (name, "")
        kinds.setdefault(kind, []).append((label, points))
    if not kinds:
        return None
    figure = make_subplots(rows=len(kinds), cols=1, shared_xaxes=True, subplot_titles=list(kinds))
    for row, lines in enumerate(kinds.values(), 1):
        for place, (label, points) in enumerate(lines):
            x, y = zip(*points, strict=True)
            colour = qualitative.Plotly[place % len(qualitative.Plotly)]
            line = Scatter(x=x, y=y, name=label, legendgroup=label, showlegend=row == 1, line={"color": colour})
            figure.add_trace(line, row=row, col=1)
    figure.update_xaxes(title_text="epoch", row=len(kinds), col=1)
    figure.update_layout(
        title=f"{result['distilled']['method']}: how far along their training the teachers are followed"
    )
    return figure.to_html(include_plotlyjs=True)


def methods_table():
    """All methods, a row each: name, layer, needs of teacher and student, what it does, paper, how sure the form is."""
    rows = []
    for name in method_names():
        terms = [get_term(term) for term in term_names(name)]
        layers = ", ".join(dict.fromkeys(term.layer for term in terms)) or "any"
        rows.append([name, layers, *_needs(terms), *describe_method(name)])
    headers = ["--model=", "layer", "teacher needs", "student needs", "what it does", "paper", "how sure"]
    return tabulate(rows, headers, tablefmt="pipe")


def _needs(terms):
    """What these terms together need of the teacher and of the student, two phrases."""
    if not terms:
        return ["what its terms need"] * 2
    teacher = student = Capability(0)
    for term in terms:
        teacher, student = teacher | term.teacher_needs, student | term.student_needs
    return [describe(teacher), describe(student)]


def keys_table(method, terms=None):
    """The keys of a method, or of a free mix of terms: name, default, type and range, meaning; all from YAML."""
    return key_grid(explain_keys(method, terms))


def key_grid(rows):
    """Rows of keys, as ``explain`` gives them, as a table."""
    return tabulate(rows, ["key", "default", "takes", "meaning"], tablefmt="pipe", disable_numparse=True)
