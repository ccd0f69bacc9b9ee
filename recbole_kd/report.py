"""What is printed: the table at a run's end, the list of methods, the keys of one."""

from tabulate import tabulate

from recbole_kd.backbone.base import OFFERS
from recbole_kd.config import about, explain, method_names, term_names
from recbole_kd.term import get_term

ROWS = ("teacher", "student_alone", "distilled")


def table(result):
    """The result as text: a row for each model, then the recovered share."""
    metrics = list(result["distilled"]["test_result"])
    lines = []
    for name in ROWS:
        if name in result:
            row = result[name]
            label = f"distilled ({row['method']})" if name == "distilled" else name.replace("_", " ")
            numbers = [f"{row['test_result'][metric]:.4f}" for metric in metrics]
            lines.append([label, *numbers, f"{row['parameters']:,}", f"{row['bytes']:,}", f"{row['ms_per_user']:.4f}"])
    if "recovered_share" in result:
        shares = [result["recovered_share"][metric] for metric in metrics]
        lines.append(["recovered share", *("n/a" if share is None else f"{share:.0%}" for share in shares), "", "", ""])
    heads = ["test", *metrics, "parameters", "bytes", "ms/user"]
    return tabulate(lines, heads, disable_numparse=True, colalign=("left", *["right"] * (len(heads) - 1)))


def methods():
    """All methods, a row each: name, layer, what the teacher must offer, what it does, paper, how sure the form is."""
    rows = []
    for name in method_names():
        terms = [get_term(term) for term in term_names(name)]
        layers = ", ".join(dict.fromkeys(term.layer for term in terms)) or "any"
        needs = max((term.needs for term in terms), key=OFFERS.index, default="what its terms need")
        rows.append([name, layers, needs, *about(name)])
    return tabulate(rows, ["--model=", "layer", "teacher offers", "what it does", "paper", "how sure"], tablefmt="pipe")


def keys(method, terms=None):
    """The keys of a method, or of a free mix of terms: name, default, type and range, meaning; all from YAML."""
    return grid(explain(method, terms))


def grid(rows):
    """Rows of keys, as ``explain`` gives them, as a table."""
    return tabulate(rows, ["key", "default", "takes", "meaning"], tablefmt="pipe", disable_numparse=True)
