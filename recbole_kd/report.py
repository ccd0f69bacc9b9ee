"""Accuracy, size and latency side by side: the table at a run's end."""

from tabulate import tabulate

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
