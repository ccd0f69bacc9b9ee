"""Tables of test and validation metrics."""

import shlex

from benchmarks.accuracy.analysis import ALONE, share
from benchmarks.result import Result, result
from tools.docs.text import difference, markdown, mean_sd

METRIC = "ndcg@10"
TEST = f"test_{METRIC}"


def scores(source: Result, name: str, key: str = TEST) -> list[float]:
    """A row's value of each seed."""
    return list(source.by_seed(name, key).values())


def epochs(source: Result, name: str) -> str:
    """The mean epochs of a row; nothing for a model that is not trained in epochs."""
    values = [record["values"].get("epochs") or 0 for record in source.of(name)]
    if any(record["seed"] is None for record in source.of(name)):  # a mean in a record of its own
        values = source.values(name, "epochs") or [0]
    mean = sum(values) / len(values)
    return f"{mean:.0f}" if mean else ""


def methods(name: str, over: str = "", best: str = "", cost: str = "", without: str = "") -> str:
    """A line a method, of a comparison.

    Args:
        name: the result file.
        over: the row that the others are compared with, paired.
        best: not empty: with the share of the gap between student alone and teacher, the best method first.
        cost: the result file of what an epoch takes.
        without: words that every method's name has and the table leaves out.
    """
    source = result(name)
    names = source.names()
    headers = ["method", "recall@10", METRIC, *([f"recovered ({METRIC})"] if best else [])]
    if over:
        headers.append(f"over {'the teacher' if over == 'teacher' else 'MKD'} ({METRIC}, paired 95%)")
    headers += ["epochs", *(("epoch / plain", "MiB over plain") if cost else ())]
    base = next((row for row in names if row in (over, f"{over}{without}")), None)
    if best:
        names[2:] = sorted(names[2:], key=lambda row: -source.mean(row, TEST))
    rows = []
    for row in names:
        line = [
            row.replace(without, "", 1),
            *(mean_sd(scores(source, row, f"test_{m}")) for m in ("recall@10", METRIC)),
        ]
        line += [recovered(source, row)] if best else []
        line += ["" if row == base else difference(scores(source, row), scores(source, base))] if over else []
        rows.append([*line, epochs(source, row), *(cost_cells(row, cost) if cost else ())])
    return markdown(headers, rows)


def cost_cells(row: str, cost: str) -> list[str]:
    """What an epoch takes at default settings; nothing for a row that looks at another number of users a step."""
    source = result(cost)
    name = row if row in source.names() else row.split(" ")[0]
    if name not in source.names() or (name != row and "--kd_rows" in row) or row in ("teacher", ALONE):
        return ["", ""]
    (record,) = source.of(name)
    return [f"{record['values']['ratio']:.1f}", f"{record['values']['extra_rss_mib']:+.0f}"]


def recovered(source: Result, name: str, key: str = TEST) -> str:
    """The share of the gap that a row recovers, as text; nothing for teacher and student alone."""
    value = None if name in ("teacher", ALONE) else share(source, name, key)
    return "" if value is None else f"{value:.0%}"


def tuned(*names: str) -> str:
    """The best setting of each method on validation, and of how many; of files with the same teacher."""
    key, rows_of = f"valid_{METRIC}", {}
    for source in map(result, names):
        rows_of |= dict.fromkeys(source.names(), source)
    groups: dict[str, list[str]] = {}
    for row in rows_of:
        groups.setdefault(shlex.split(row)[0], []).append(row)
    means = {row: source.mean(row, key) for row, source in rows_of.items()}
    rows = [[end, "", f"{means[end]:.4f}", "", ""] for end in ("teacher", ALONE)]
    best = [(max(group, key=means.get), len(group)) for group in groups.values()]
    for row, settings in sorted(best, key=lambda pair: -means[pair[0]]):
        if row not in ("teacher", ALONE):
            method, *keys = shlex.split(row)
            shown = " ".join(f"`{key.removeprefix('--')}`" for key in keys)
            rows.append([method, shown, f"{means[row]:.4f}", recovered(rows_of[row], row, key), str(settings)])
    return markdown(["method", "its best setting", f"{METRIC}, validation", "recovered", "settings"], rows)


def teachers(name: str) -> str:
    """Several teachers and their students: a line a row."""
    source = result(name)
    first = {record["name"]: record["values"] for record in source.records if record["seed"] == source.seeds()[0]}
    small = first["HetComp"]["parameters"]  # the student alone's too
    rows = [
        [row, *(mean_sd(scores(source, row, f"{part}_{METRIC}")) for part in ("valid", "test")),
         "" if row == "HetComp" else difference(scores(source, row), scores(source, "HetComp")),
         f"{values.get('parameters', small):,}"]
        for row, values in first.items()
    ]  # fmt: skip
    headers = [f"{METRIC}, {len(source.seeds())} seeds", "validation", "test", "test, over HetComp (paired 95%)"]
    return markdown([*headers, "parameters"], rows)


def seeds(name: str) -> str:
    """One method: a line a row, a column a seed."""
    source = result(name)
    (method,) = source.settings["methods"]
    rows = [
        [f"distilled by {method}" if row == method else row, *(f"{value:.4f}" for value in scores(source, row)),
         mean_sd(scores(source, row)), "" if row == method else difference(scores(source, method), scores(source, row)),
         f"{source.values(row, 'parameters')[0]:,}"]
        for row in source.names()
    ]  # fmt: skip
    headers = [f"test {METRIC}", *(f"seed {seed}" for seed in source.seeds()), "mean ± sd"]
    return markdown([*headers, "distilled over it (paired 95%)", "parameters"], rows)


# the first table of docs/results.md: what was distilled under a tuned teacher that teaches with its neighbours
HEADLINE = {
    "ml-100k, BPR 200 → BPR 20": "methods-ml-100k-neighbours",
    "citeulike, BPR 200 → BPR 20": "methods-citeulike-tuned",
    "citeulike, LightGCN 200 → LightGCN 20": "methods-citeulike-lightgcn-tuned",
    "ml-1m, BPR 200 → BPR 20": "methods-ml-1m-neighbours-6-10",
    "ml-1m, LightGCN 200 → LightGCN 20": "methods-ml-1m-lightgcn",
}


def starting_with(source: Result, start: str) -> str | None:
    """The first row whose name begins so."""
    return next((row for row in source.names() if row.startswith(start)), None)


def headline() -> str:
    """The first table of docs/results.md: teacher, student alone and distilled students, a line a dataset and class."""
    rows = []
    for label, source in ((label, result(name)) for label, name in HEADLINE.items()):
        line = [label, *(mean_sd(scores(source, row)) for row in ("teacher", ALONE))]
        for row in (starting_with(source, method) for method in ("MKD", "Distiller")):
            distilled = scores(source, row) if row else []
            line += [mean_sd(distilled), difference(distilled, scores(source, "teacher"))] if row else ["", ""]
        rows.append(line)
    over = "over its teacher (paired 95%)"
    headers = ["teacher", "the student alone", "distilled by MKD", over, "by SLD and RCEKD mixed", over]
    return markdown([f"test {METRIC}, 5 seeds each", *headers], rows)


def larger(**files: str) -> str:
    """The table of larger data: means of teacher, student alone, MKD and the mix, and what they recover."""
    rows = []
    for label, source in ((label, result(name)) for label, name in files.items()):
        line = [label, str(len(source.seeds()))]
        for row in (starting_with(source, start) for start in ("teacher", ALONE, "MKD", "Distiller")):
            line.append(f"{source.mean(row, TEST):.4f}")
            line += [] if row in ("teacher", ALONE) else [recovered(source, row)]
        rows.append(line)
    headers = ["seeds", "teacher, BPR 200", "alone, BPR 20", "MKD", "recovered", "SLD and RCEKD mixed", "recovered"]
    return markdown([f"test {METRIC}", *headers], rows)


def widths(name: str, **files: str) -> str:
    """A line a width of the student, the teacher's being 200; ``files``: width to the ending of its result file."""
    rows = []
    for width, source in sorted((int(width), result(f"{name}{more}")) for width, more in files.items()):
        mkd = list(source.settings["methods"])[-1]
        alone, distilled, teacher = (scores(source, row) for row in (ALONE, mkd, "teacher"))
        gaps = [difference(distilled, other) for other in (alone, teacher)]
        cells = [mean_sd(alone), mean_sd(distilled), recovered(source, mkd), *gaps]
        rows.append([str(width), f"1/{200 // width}", *cells])
    headers = ["width", "of the teacher's", "student alone", "MKD", "recovered", "over alone (paired 95%)"]
    return markdown([*headers, "over the teacher (paired 95%)"], rows)
