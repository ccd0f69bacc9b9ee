"""Fill the tables of README.md and of some pages of docs/ from their result files: ``python docs/tables.py``.

A table stands under a comment that says what it shows, ``<!-- table: methods methods-ml-1m over=teacher -->``: one of
the functions below, its file and its options. The lines of the table under it are made anew.
"""

import json
import re
import shlex
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from recbole_kd.evaluation.statistics import paired

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "methods.md", ROOT / "docs" / "protocol-a.md")
METRIC = "ndcg@10"
AT_10_AND_20 = ("recall@10", METRIC, "recall@20", "ndcg@20")
SPOT = re.compile(r"(<!-- table: (.+?) -->\n\n)(?:\|.*\n)*\n?")


def result(name):
    """A result file."""
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())


def spread(values):
    """Mean and standard deviation, as text."""
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"


def gap(own, other):
    """A paired difference and its 95% t interval, as text."""
    found = paired(own, other)
    return f"{found['difference']:+.4f} [{found['t_low']:+.4f}, {found['t_high']:+.4f}]"


def markdown(heads, rows):
    """A table, a line a row."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def scores(runs, row, part="test_result", metric=METRIC):
    """A row's metric in each run that has it."""
    return [run[row][part][metric] for run in runs if row in run]


def methods(name, over=None, best=None, cost=None, without=""):
    """Of benchmarks/methods.py: a line a method.

    Args:
        over: the row that the others are held against, paired.
        best: the share of the gap between student alone and teacher, the best method first.
        cost: the file that holds what an epoch takes.
        without: words that every method's name has.
    """
    found = result(name)
    summary, runs = found["summary"], list(found["runs"].values())
    costs = result(cost)["methods"] if cost else {}
    heads = ["method", "recall@10", METRIC]
    heads += [f"recovered ({METRIC})"] if best else []
    heads += [f"over the {over}" if over == "teacher" else "over MKD"] if over else []
    heads[-1] += f" ({METRIC}, paired 95%)" if over else ""
    heads += ["epochs", *(("epoch / plain", "MiB over plain") if cost else ())]
    base = over and next(row for row in summary if row == over or row == f"{over}{without}")
    names = list(summary)
    if best:
        names[2:] = sorted(names[2:], key=lambda row: -summary[row][METRIC]["mean"])
    rows = []
    for row in names:
        own = summary[row]
        line = [row.replace(without, "", 1), *(spread(scores(runs, row, metric=one)) for one in ("recall@10", METRIC))]
        line += [f"{own[METRIC]['share']:.0%}" if "share" in own[METRIC] else ""] if best else []
        line += ["" if row == base else gap(scores(runs, row), scores(runs, base))] if over else []
        line += [f"{own['epochs']:.0f}" if own["epochs"] else ""]
        if cost:  # measured at default settings: not those of a row that looks at another number of users a step
            spent = costs.get(row) or costs.get(row.split(" ")[0] if "--kd_rows" not in row else "")
            line += [f"{spent['ratio']:.1f}", f"{spent['extra_rss_mib']:+.0f}"] if spent else ["", ""]
        rows.append(line)
    return markdown(heads, rows)


def tuned(*names):
    """Of benchmarks/methods.py on validation, files of the same ends: the best setting of each method, of how many."""
    summary = {row: own for name in names for row, own in result(name)["summary"].items()}
    groups = {}
    for row in summary:
        groups.setdefault(shlex.split(row)[0], []).append(row)
    rows = [[end, "", f"{summary[end][METRIC]['mean']:.4f}", "", ""] for end in ("teacher", "student alone")]
    found = [(max(own, key=lambda row: summary[row][METRIC]["mean"]), len(own)) for own in groups.values()]
    for row, settings in sorted(found, key=lambda pair: -summary[pair[0]][METRIC]["mean"]):
        if "share" in summary[row][METRIC]:
            method, *keys = shlex.split(row)
            said = " ".join(f"`{key.removeprefix('--')}`" for key in keys)
            own = summary[row][METRIC]
            rows.append([method, said, f"{own['mean']:.4f}", f"{own['share']:.0%}", str(settings)])
    return markdown(["method", "its best setting", f"{METRIC}, validation", "recovered", "settings"], rows)


def teachers(name):
    """Of benchmarks/hetcomp.py, several teachers and their students: a line a row."""
    runs = [run["rows"] for run in result(name)["runs"]]
    small = runs[0]["HetComp"]["parameters"]  # the student alone's too
    rows = [
        [row, *(spread(scores(runs, row, part)) for part in ("valid_result", "test_result")),
         "" if row == "HetComp" else gap(scores(runs, row), scores(runs, "HetComp")),
         f"{runs[0][row].get('parameters', small):,}"]
        for row in runs[0]
    ]  # fmt: skip
    seeds = f"{METRIC}, {len(runs)} seeds"
    return markdown([seeds, "validation", "test", "test, over HetComp (paired 95%)", "parameters"], rows)


def seeds(name):
    """Of benchmarks/seeds.py: a line a row, a column a seed."""
    found = result(name)
    runs, words = found["runs"], {"student_alone": "student alone", "distilled": f"distilled by {kind(found)}"}
    rows = [
        [words.get(row, row), *(f"{value:.4f}" for value in scores(runs, row)), spread(scores(runs, row)),
         "" if row == "distilled" else gap(scores(runs, "distilled"), scores(runs, row)),
         f"{runs[0][row]['parameters']:,}"]
        for row in runs[0]
    ]  # fmt: skip
    heads = [f"test {METRIC}", *(f"seed {seed}" for seed in found["seeds"].split(",")), "mean ± sd"]
    return markdown([*heads, "distilled over it (paired 95%)", "parameters"], rows)


def kind(found):
    """The method of a file of benchmarks/seeds.py."""
    return next(word.partition("=")[2] for word in found["command"] if word.startswith("--model="))


BEST = {  # README's first table: what was distilled under a tuned teacher that teaches with its neighbours
    "ml-100k, BPR 200 → BPR 20": "methods-ml-100k-neighbours",
    "citeulike, BPR 200 → BPR 20": "methods-citeulike-tuned",
    "citeulike, LightGCN 200 → LightGCN 20": "methods-citeulike-lightgcn-tuned",
    "ml-1m, BPR 200 → BPR 20": "methods-ml-1m-neighbours-6-10",
    "ml-1m, LightGCN 200 → LightGCN 20": "methods-ml-1m-lightgcn",
}


def headline():
    """README's first table: teacher, student alone and distilled students, a line a dataset and class."""
    rows = []
    for label, name in BEST.items():
        runs = list(result(name)["runs"].values())
        line = [label, *(spread(scores(runs, row)) for row in ("teacher", "student alone"))]
        for method in ("MKD", "Distiller"):
            row = next((row for row in runs[0] if row.startswith(method)), None)
            line += [spread(scores(runs, row)), gap(scores(runs, row), scores(runs, "teacher"))] if row else ["", ""]
        rows.append(line)
    over = "over its teacher (paired 95%)"
    heads = ["teacher", "the student alone", "distilled by MKD", over, "by SLD and RCEKD mixed", over]
    return markdown([f"test {METRIC}, 5 seeds each", *heads], rows)


def larger(**files):
    """README's table of larger data: means of teacher, student alone, MKD and the mix, and what they recover."""
    rows = []
    for label, name in files.items():
        summary = result(name)["summary"]
        line = [label, str(summary["teacher"]["seeds"])]
        for start in ("teacher", "student alone", "MKD", "Distiller"):
            own = next(row[METRIC] for method, row in summary.items() if method.startswith(start))
            line += [f"{own['mean']:.4f}", *([f"{own['share']:.0%}"] if "share" in own else [])]
        rows.append(line)
    heads = ["seeds", "teacher, BPR 200", "alone, BPR 20", "MKD", "recovered", "SLD and RCEKD mixed", "recovered"]
    return markdown([f"test {METRIC}", *heads], rows)


def widths(name, **files):
    """Of benchmarks/methods.py, a file a width of the student, the teacher's being 200: a line a width."""
    rows = []
    for width, more in sorted((int(width), more) for width, more in files.items()):
        found = result(f"{name}{more}")
        runs, mkd = list(found["runs"].values()), found["methods"][-1]
        alone, own, teacher = (scores(runs, row) for row in ("student alone", mkd, "teacher"))
        share = f"{found['summary'][mkd][METRIC]['share']:.0%}"
        rows.append(
            [str(width), f"1/{200 // width}", spread(alone), spread(own), share, gap(own, alone), gap(own, teacher)]
        )
    heads = ["width", "of the teacher's", "student alone", "MKD", "recovered", "over alone (paired 95%)"]
    return markdown([*heads, "over the teacher (paired 95%)"], rows)


def preferences(name):
    """Of benchmarks/preferences.py: how often a pair's order is turned round, a line a method."""
    rows = []
    for row, own in result(name)["summary"].items():
        grid, runs = own["by_fifth"], result(name)["runs"][row]
        rates = [f"{rate:.1%}" for rate in (own["uniform"], grid[0][0], grid[0][-1], grid[-1][-1])]
        means = [
            f"{statistics.fmean(run[part][METRIC] for run in runs):.4f}" for part in ("valid_result", "test_result")
        ]
        rows.append([row, *rates, *means])
    heads = ["method", "two uniform items", "two of the first fifth", "first and last fifth", "two of the last"]
    return markdown([*heads, f"{METRIC}, validation", "test"], rows)


def neighbours(*names):
    """Of benchmarks/neighbours.py: validation by neighbour_weight, a line a dataset."""
    rows = []
    for name in names:
        runs = list(result(name)["runs"].values())
        means = [f"{statistics.fmean(run[weight] for run in runs):.4f}" for weight in runs[0]]
        rows.append([name.removeprefix("neighbours-"), *means])
    return markdown(["dataset, BPR 200", *runs[0]], rows)


def walk(name):
    """Of benchmarks/walk.py: how much of a teacher's list is there after a part of its training."""
    runs = result(name)["runs"]
    rows = [
        [
            label,
            *(f"{statistics.fmean(part):.0%}" for part in zip(*(run["shares"][label] for run in runs), strict=True)),
        ]
        for label in runs[0]["shares"]
    ]
    return markdown([f"mean of {len(runs)} seeds", "a quarter", "half", "three quarters"], rows)


def compared(name, dataset):
    """A summary of ``compare``: a line a row, four metrics of the test part."""
    rows, found = [], result(name)["datasets"][dataset]["rows"]
    for row, own in found.items():
        test = own["metrics"]
        values, theirs = (one["metrics"][METRIC]["values"].values() for one in (own, found["teacher"]))
        line = [row, *(spread(test[one]["values"].values()) for one in AT_10_AND_20)]
        line += [f"{test[METRIC]['share']:.0%}" if "share" in test[METRIC] else ""]
        line += ["" if row == "teacher" else gap(list(values), list(theirs)), f"{own['epochs']:.0f}"]
        rows.append(line)
    heads = [f"recovered ({METRIC})", f"over the teacher ({METRIC}, paired 95%)", "epochs"]
    seeds = ", ".join(str(seed) for seed in result(name)["seeds"])
    return markdown([f"test, seeds {seeds}", *AT_10_AND_20, *heads], rows)


PRINTED = {  # of arXiv 2509.20989, Table 1, CiteULike, MF to MF, in the order of AT_10_AND_20
    "teacher": (0.0283, 0.0155, 0.0442, 0.0198),
    "student alone": (0.0177, 0.0098, 0.0284, 0.0128),
    "RCEKD": (0.0278, 0.0152, 0.0431, 0.0194),
    "RRD": (0.0251, 0.0135, 0.0362, 0.0169),
    "DCD": (0.0254, 0.0136, 0.0375, 0.0173),
    "DCD-relaxed": (0.0254, 0.0136, 0.0375, 0.0173),  # DCD's: which of the two forms was printed is not known
    "HetComp": (0.0255, 0.0135, 0.0391, 0.0177),
}


def printed(name, dataset):
    """A summary of ``compare`` beside the published table, PRINTED, and what each recovers of the gap in ndcg@10."""
    found, rows = result(name)["datasets"][dataset]["rows"], []
    _, teacher, *_ = PRINTED["teacher"]
    _, alone, *_ = PRINTED["student alone"]
    for row, theirs in PRINTED.items():
        own = found[row]["metrics"]
        pairs = zip(theirs, AT_10_AND_20, strict=True)
        line = [row, *(f"{value:.4f} / {own[one]['mean']:.4f}" for value, one in pairs)]
        share = f"{(theirs[1] - alone) / (teacher - alone):.0%} / {own[METRIC].get('share', 0):.0%}"
        rows.append([*line, share if "share" in own[METRIC] else ""])
    return markdown(["printed / here", *AT_10_AND_20, f"recovered ({METRIC})"], rows)


KINDS = (methods, compared, printed, tuned, teachers, seeds, headline, larger, widths, preferences, neighbours, walk)


def table(said):
    """The table that a comment asks for."""
    what, *words = shlex.split(said)
    options = dict(word.split("=", 1) for word in words if "=" in word)
    made = next(one for one in KINDS if one.__name__ == what)
    return made(*(word for word in words if "=" not in word), **options)


def filled(text):
    """A page with its tables as their files have them."""
    return SPOT.sub(lambda spot: spot[1] + table(spot[2]) + "\n", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
