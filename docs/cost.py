"""Print docs/cost.md, from the result files: ``python docs/cost.py > docs/cost.md``."""

import json
import statistics
import textwrap
from pathlib import Path

from tables import gap
from tabulate import tabulate

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
AIMS = {
    **dict.fromkeys(("KD", "CD", "RD", "UnKD"), 2), **dict.fromkeys(("RRD", "SLD", "RCEKD", "NKD"), 3),
    **dict.fromkeys(("MKD", "DE", "PCKD", "HTD", "DCD", "HetComp"), 5),
}  # fmt: skip

PAGE = """# What it costs

Made by `python docs/cost.py > docs/cost.md` from the files in `benchmarks/results/`. One thread throughout, on a
machine of two cores: seconds mean little elsewhere, ratios carry over.

## A training epoch

Over an epoch of plain RecBole's BPR 20 under BPR 200 on citeulike, default settings, without evaluation; epochs in
turn (plain, method, plain, …). Of a method that reads lists anew every so many epochs the sum of six or ten epochs,
those among them, over plain's; of the others the median of {pairs} pairs. Memory is the peak beyond plain training's
{rss:.0f} MiB. Set-up is what is read of the teacher and made of it before the first epoch, once: it is kept on disk
for later runs, and of methods that read the same lists, the first in the alphabet paid for them here. Processor
seconds; other work ran beside these runs, which the spread shows. (`benchmarks/cost.py`, `cost-citeulike.json`)

{epochs}

{over}

MKD's set-up is mostly the search for each item's neighbours among all items, IRRRD's and DCD's the lists of the best
users of each item besides those of the best items of each user, UnKD's a list for each group of items. For MKD's
search scikit-learn's exhaustive one and its k-d tree were tried, and were slower; all lists are exact. CD, PCKD and
RD, each the first to read one list, are under five epochs when less runs beside them. BD trains the teacher too, ten
times the student's width; what is left of its epoch is that.

With a LightGCN student, two layers, default settings, over RecBole's own LightGCN, which keeps its graph in a form
that takes longer to multiply by ([distil.md](distil.md)); the teacher is a LightGCN too
(`cost-citeulike-lightgcn-default.json`; aim 1.5):
{lightgcn}. Over it: {graph_over}.
In batches of 8,192 rows with `kd_rows` 512, in which five of the best were trained for [methods.md](methods.md), a step
is four times as much of a method's work for one propagation (`cost-citeulike-lightgcn.json`):
{large_batches}.

## When it pays for itself

Seconds until the distilled student's validation ndcg@10 reaches the best that plain training ever reaches, reading the
teacher included and training it not, over plain training's seconds to that best. BPR 200 -> 20 on citeulike, methods
at `learning_rate` 0.01, plain training at 0.001, better than 0.003 on validation when both are stopped by mrr@10. The
best is that of all of plain training's epochs, the other time that of the first epoch that reaches it. Seeds 1 to 3,
and later, with what had changed since, 7 to 9; a plain training that finds its best early is caught up with later.
These files are from before the benchmark stopped as RecBole does, which goes on at a score as good as the best: seed
3's plain training ended after 75 epochs, where RecBole's has 123, and seed 8's after 159 for 161, so that their marks
may be too low; the others are the same. (`benchmarks/payback.py`, `payback-citeulike.json`,
`payback-citeulike-seeds-7-9.json`)

{payback}

Others by their rate, seed 1 alone, without weight decay, PCKD as it was before (`cpd_tau: 0.1`, `cpd_rows: 16`), HTD at
128 rows, HetComp under this one teacher; *never* are those that were stopped early below it
(`payback-citeulike-others.json`):
{others}.

## Where an epoch's time goes

Milliseconds a step on citeulike, before and after the work on speed: top-K lists without sorting what cannot be among
them, scores and columns sorted as one number, chosen pairs scored by sampled products and their gradients turned by
counting, dropout of sixteen bits a number, DCD's draws in one race, one fused step for the terms' own weights. RRD and
RCEKD look at 512 users now, at 128 before, RCEKD at the student's lists half as often; PCKD's regulariser looks at 128
rows now, at 16 before, which is what it costs more.
(`benchmarks/profile_epoch.py`, `profile-citeulike.json`)

{profile}

RCEKD reads every user's list of the student anew every second epoch, where its authors do each. DCD draws from lists on
both sides in each step, and ranks both sides' lists anew every third epoch. What is left is how often they do it, not
loops.

## On a GPU

On an {gpu} an epoch took so many times plain RecBole's, on ml-100k, BPR 20 under BPR 200, default settings, by
the clock:
{on_gpu}.
A step of so small a student is mostly the host's work, there too. The other methods were not timed.
(`benchmarks/cost.py`, `cost-ml-100k-gpu.json`)
{graph_teacher}

What a step asks of the device, forwards and backwards, by a GPU's ways: operations that compute something, and how
often the host has to wait for an outcome, where RecBole's own loop waits twice (for the loss, which it adds up, and to
see that it is a number) and once more for each part of a loss. What a method adds beyond that are mostly the batch's
users and items, each once, whose number the device finds. Both are counted as torch dispatches them, without a GPU; the
last column is what torch itself saw on the {gpu}, before the gradient of chosen pairs had its present
form, which waits for nothing either. The five more of most rows bring the batch's columns across.
(`benchmarks/waits.py`, `waits-ml-100k.json`, `waits-ml-100k-gpu.json`)

{waits}

## The same time, other settings

What a sampled share of the work costs in accuracy: the best validation {equal_metric} that is reached within so many
processor seconds of training and reading the teacher, or when it stops early before them, as a few of these did, BPR
200 -> 20 on citeulike at `learning_rate` 0.01, seeds {seeds}; the difference is the default's over the other's,
paired. (`benchmarks/equal_time.py`, `equal-time-citeulike.json`)

{equal_time}

These seeds had no part in choosing the defaults of MKD, RRD and RCEKD. MKD, whose projectors are what `kd_rows`
spares, is better with 128 rows than with all, in each seed; on seeds 1 to 3 it was by {mkd_earlier}
(`equal-time-citeulike-seeds-1-3.json`). RCEKD, at 512 rows and reading the student's lists every second epoch, is no
worse than without either saving. RRD at 512 is as good as with all and a little below 128 here, where it was a little
above on seeds 1 to 3. SLD was lower at 128, its default before, than with all, on seeds 1 to 3 ({sld_earlier}) and
here ({sld_here}). At 512 it is not told apart from all rows, and was made the default on these seeds, so for SLD the
table describes a choice. On three others, 7 to 9, which nothing was chosen on, all of it was a test, and HTD's 96
rows, which its thirty experts are made cheaper by, were held against 128, its default before; HTD is far below every
other method with either (`equal-time-citeulike-seeds-7-9.json`):

{fresh}

## Large data

{scale}

## Serving

Ranking the whole catalogue for a user, milliseconds, and what the item tables take: teacher of width {wide}, student of
width {small}, and {ensemble} such teachers asked one after the other. (`benchmarks/serving.py`, `serving.json`)

{serving}

Where the search for the best ten takes most of the time, both pay the same for it; where reading the item table does,
the student reads a tenth."""


def read(name):
    """A result file."""
    return json.loads((RESULTS / name).read_text())


def table(rows, heads):
    """Rows of text as Markdown."""
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def epochs(found):
    """The table of what an epoch costs, the cheapest method first."""
    rows = [
        [name, f"{row['ratio']:.1f}", f"{row['spread'][0]:.1f} to {row['spread'][1]:.1f}", str(AIMS.get(name, "")),
         f"{row['extra_rss_mib']:+.0f}", f"{row['setup_seconds']:.1f}"]
        for name, row in sorted(found.items(), key=lambda item: item[1]["ratio"])
    ]  # fmt: skip
    return table(rows, ["method", "epoch / plain", "spread", "aim", "MiB over plain", "set-up, seconds"])


def at_the_end(found, one, other):
    """Two settings after the longest time: that, their means, and their paired difference."""
    at = max(found["scores"][one][0], key=float)
    values = [[run[at]["best"] for run in found["scores"][setting]] for setting in (one, other)]
    return f"{float(at):.0f}", *(f"{statistics.fmean(each):.4f}" for each in values), gap(*values)


def equal_time(found):
    """The table of settings at equal time, as the benchmark prints it, the longest time of each pair."""
    rows = [
        [one, f"`{other.removeprefix(one).strip(' -')}`", *at_the_end(found, one, other)]
        for one, other in found["pairs"]
    ]
    return table(rows, ["method", "other setting", "seconds", "default", "other", "difference (95%)"])


def over(found):
    """A sentence on what misses its aim."""
    slow = [name for name, row in found.items() if round(row["ratio"], 1) > AIMS.get(name, 99)]
    large = [name for name, row in found.items() if row["extra_rss_mib"] > 300]
    late = [name for name, row in found.items() if row["setup_seconds"] > 5 * row["plain_seconds"]]
    parts = [f"over their aim: {', '.join(slow) or 'none'}", f"over 300 MiB: {', '.join(large) or 'none'}"]
    return f"Epochs {parts[0]}; {parts[1]}; set-up of more than five plain epochs: {', '.join(late) or 'none'}."


def listed(found):
    """All ratios and their spreads, in lines."""
    said = (
        f"{name} {row['ratio']:.1f} ({row['spread'][0]:.1f} to {row['spread'][1]:.1f})" for name, row in found.items()
    )
    return textwrap.fill(", ".join(said), 118)


def payback(*found):
    """The table of when distillation has paid."""
    rows, runs = [], [run for one in found for run in one["runs"]]
    for method in runs[0]["methods"]:
        ratios = [run["methods"][method]["ratio"] for run in runs if run["methods"][method]]
        cells = [f"{part(ratios):.2f}" for part in (statistics.median, min, max)] if ratios else ["never"] * 3
        rows.append([method, *cells, f"{len(ratios)} of {len(runs)}"])
    return table(rows, ["method", "time / plain", "from", "to", "seeds that reach it"])


def on_both(name):
    """A sentence on a LightGCN that was trained on a GPU and on a CPU."""
    (gpu,), (cpu,) = (read(f"{name}-{more}.json")["runs"].values() for more in ("gpu", "plain"))
    ends = ("teacher", "student alone")
    assert all(gpu[row]["valid_result"] == cpu[row]["valid_result"] for row in ends)
    said = (
        f"The teacher LightGCN 200 on citeulike, {gpu['teacher']['epochs']} epochs, took "
        f"{gpu['teacher']['seconds']:.0f} s there beside up to eight other processes, and "
        f"{cpu['teacher']['seconds']:.0f} s on one thread of the machine of the other tables, beside one or two; all "
        "metrics on validation of both, and of the student alone on both, are the same to the eighth decimal "
        f"(`{name}-gpu.json`, `{name}-plain.json`)."
    )
    return "\n" + textwrap.fill(said, 118, break_on_hyphens=False)


def waits(found, on_gpu):
    """What a step asks of the device, plain RecBole's first, and the waits that were seen on a GPU."""
    names = {"_local_scalar_dense": "numbers", "_unique2": "unique ids", "index by a mask": "masks",
             "repeat_interleave": "repeats", "nonzero": "places"}  # fmt: skip
    rows = []
    for name, row in found["steps"].items():
        which = ", ".join(f"{names[part]} {number:.0f}" for part, number in row["waits_by"].items())
        seen = f"{on_gpu['steps'][name]['seen']:.0f}"
        rows.append([name, f"{row['operations']:.0f}", f"{row['waits']:.0f}", which, seen])
    return table(rows, ["method", "operations", "waits", "for", "seen on a GPU"])


def others(found):
    """The ratios of the methods that were run on one seed by their rate, the soonest first."""
    by_rate = {}
    for run in found["runs"]:
        for name, own in run["methods"].items():
            rate = next(word.partition("=")[2] for word in name.split() if word.startswith("--learning_rate="))
            by_rate.setdefault(rate, {})[name.split()[0]] = own and own["ratio"]
    parts = []
    for rate, ratios in sorted(by_rate.items(), reverse=True):
        ordered = sorted(ratios.items(), key=lambda item: (item[1] is None, item[1] or 0.0))
        said = ", ".join(f"{name} {'never' if own is None else f'{own:.2f}'}" for name, own in ordered)
        parts.append(f"at {rate} {said}")
    return textwrap.fill("; ".join(parts), 118)


def profile(found):
    """Milliseconds by part, before and now, a column pair a method; three methods a table."""
    methods = list(found["ms_a_step"])
    return "\n\n".join(_profile(found, methods[start : start + 3]) for start in range(0, len(methods), 3))


def _profile(found, methods):
    columns = [found[side][method] for method in methods for side in ("before", "ms_a_step")]
    parts = dict.fromkeys(part for column in columns for part in column)
    rows = [[part, *(f"{column[part]:.1f}" if part in column else "" for column in columns)] for part in parts]
    rows.append(["together", *(f"{sum(column.values()):.1f}" for column in columns)])
    return table(rows, ["ms a step", *(f"{method}, {when}" for method in methods for when in ("before", "now"))])


def scale():
    """What the runs on synthetic data took."""
    rows, heads = [], ["method", "users x items", "interactions", "teachers x lists", "knowledge, s", "epoch, s",
                       "step / plain's", "peak MiB", "disk MiB"]  # fmt: skip
    runs = [json.loads(file.read_text()) for file in RESULTS.glob("scale-*.json")]
    for found in sorted(runs, key=lambda run: (run["asked"]["method"], run["asked"]["users"])):
        asked = found["asked"]
        ratio = f"{found['step_ms'] / found['plain_step_ms']:.1f}" if "plain_step_ms" in found else ""
        rows.append(
            [asked["method"], f"{asked['users']:,} x {asked['items']:,}", f"{found['interactions']:,}",
             f"{asked['teachers']} x {asked['states']}", f"{found['knowledge_seconds']:,.0f}",
             f"{found['epoch_seconds']:,.0f}", ratio, f"{found['peak_rss_mib']:,.0f}", f"{found['disk_mib']:,.0f}"]
        )  # fmt: skip
    text = """Synthetic data: popularity by a power law, teachers of random factors of width 16. An epoch of
more than 200 steps is extrapolated from them; HetComp's is its tenth, which compares all users' lists. A step is held
against that of BPR of the same width on the same data without a teacher, in the same run: where tables are large, both
pay most for their dense gradients and for Adam. Seconds are the processor's, one thread; of HetComp's run, which is
older and has no such ratio, the clock's, beside up to three other jobs: upper bounds. Up to five jobs shared the
machine's two cores and its memory's bandwidth, so seconds of different lines are not to be compared to a tenth: MKD's
largest, run twice, took 5,187 s for its knowledge beside three jobs, as here, and 3,491 s beside fewer. Lists
are exact throughout, the catalogue searched in parts. (`benchmarks/scale.py`, `scale-*.json`)

"""
    picture = "\n\n![Time, memory and disk by the number of users and items, on logarithmic axes](scale.svg)"
    return text + table(rows, heads) + picture


def serving(found):
    """Milliseconds a user by catalogue and batch."""
    rows = [
        [f"{row['items']:,}", str(row["batch"]), f"{row['teacher_ms']:.3f}", f"{row['student_ms']:.3f}",
         f"{row['ratio']:.1f}", f"{row['ensemble_ms']:.3f}", f"{row['ensemble_ratio']:.1f}",
         f"{row['teacher_mib']:.0f} / {row['student_mib']:.0f}"]
        for row in found["rows"]
    ]  # fmt: skip
    heads = ["items", "users at once", "teacher", "student", "ratio", "ensemble", "ratio", "MiB, teacher / student"]
    return table(rows, heads)


def page():
    """The whole page."""
    cost, served = read("cost-citeulike.json"), read("serving.json")
    graph, large = (read(f"cost-citeulike-lightgcn{more}.json")["methods"] for more in ("-default", ""))
    equal, earlier = read("equal-time-citeulike.json"), read("equal-time-citeulike-seeds-1-3.json")
    on_gpu = read("cost-ml-100k-gpu.json")
    slow = [name for name, row in graph.items() if round(row["ratio"], 1) > 1.5]
    few, whole = "SLD --kd_rows=128", "SLD --kd_rows=0"
    return PAGE.format(
        pairs=5, rss=cost["plain"]["rss_mib"], epochs=epochs(cost["methods"]), over=over(cost["methods"]),
        lightgcn=listed(graph), graph_over=", ".join(slow) or "none", large_batches=listed(large),
        equal_time=equal_time(equal), equal_metric=equal["metric"],
        mkd_earlier=at_the_end(earlier, "MKD", "MKD --kd_rows=0")[-1], sld_earlier=at_the_end(earlier, few, whole)[-1],
        sld_here=at_the_end(equal, few, whole)[-1], fresh=equal_time(read("equal-time-citeulike-seeds-7-9.json")),
        seeds=" to ".join((equal["seeds"][0], equal["seeds"][-1])),
        payback=payback(read("payback-citeulike.json"), read("payback-citeulike-seeds-7-9.json")),
        others=others(read("payback-citeulike-others.json")),
        profile=profile(read("profile-citeulike.json")), scale=scale(), on_gpu=listed(on_gpu["methods"]),
        waits=waits(read("waits-ml-100k.json"), read("waits-ml-100k-gpu.json")), gpu=on_gpu["device"],
        graph_teacher=on_both("tune-citeulike-lightgcn"),
        wide=served["asked"]["teacher"], small=served["asked"]["student"], ensemble=served["asked"]["ensemble"],
        serving=serving(served),
    )  # fmt: skip


if __name__ == "__main__":
    print(page())
