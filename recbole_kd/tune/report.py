"""The table that a search ends with."""

from tabulate import tabulate


def trials_table(found):
    """What tune found as text: a row for each trial, and where the recipe is."""
    search, rows = found["search"], found["trials"]
    names = list(rows[0]["settings"])
    lines = []
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:.4f}"
        settings = [row["settings"][name] for name in names]
        lines.append([row["number"], *settings, value, row["state"], len(row["curve"]), f"{row['seconds']:.0f}"])
    heads = ["trial", *names, f"valid {search['valid_metric']}", "", "evaluations", "seconds"]
    best, default = rows[found["best"]]["value"], rows[0]["value"]
    gain = "" if default is None else f", {best - default:+.4f} over the default settings (trial 0)"
    said = f"best: trial {found['best']}, {search['valid_metric']} {best:.4f} on validation{gain}"
    return "\n".join([
        tabulate(lines, heads, disable_numparse=True), said, f"recipe: {found['recipe']}; all trials: {found['file']}",
    ])  # fmt: skip
