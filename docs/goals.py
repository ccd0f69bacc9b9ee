"""The page of goals: what was to be shown, and how far it is: `python docs/goals.py > docs/goals.md`."""

import json
import shlex
import sys
import textwrap
from pathlib import Path

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from recbole_kd.evaluation.statistics import holm, paired

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
METRIC = "ndcg@10"
ENOUGH = 5  # seeds for a claim
FRESH, FRESHER, LAST = (f", seeds {seeds} \\*" for seeds in ("6 to 10", "11 to 15", "16 to 20"))  # settled on before
NEAR, THREE = ", `neighbour_weight` 1", "above each of three teachers"
HEAVY, AGAIN = f"{NEAR}, `sld_weight` 3", ", seeds 16 to 20"
MIXED = "Distiller --terms=\"['SLD','RCEKD']\" --kd_rows=512"
FIVE = "citeulike, two tuned: HetComp's student above each of five teachers"
CITY, LIGHT, MIX = "citeulike, BPR 200 -> 20", "citeulike, LightGCN 200 -> 20", "SLD and RCEKD mixed"
GOALS = (  # what was to be shown, the row that shows it, the result file
    ("ml-100k, BPR 200 -> 20, tuned: MKD", "MKD", "methods-ml-100k.json"),
    (f"ml-100k, BPR 200 -> 20, tuned: MKD{NEAR}", "MKD", "methods-ml-100k-neighbours.json"),
    ("ml-100k, BPR 200 -> 10, tuned: MKD", "MKD", "methods-ml-100k-10.json"),
    (f"{CITY}: MKD", "MKD", "methods-citeulike-best.json"),
    (f"{CITY}: SLD", "SLD", "methods-citeulike-best.json"),
    (f"{CITY}: RCEKD", "RCEKD", "methods-citeulike-best.json"),
    (f"{CITY}: {MIX}", "Distiller", "methods-citeulike-best.json"),
    (f"{CITY}: MKD{NEAR}", "MKD", "methods-citeulike-neighbours.json"),
    (f"{CITY}: {MIX}{NEAR}", "Distiller", "methods-citeulike-neighbours.json"),
    (f"{CITY}: MKD{NEAR}{FRESH}", "MKD", "methods-citeulike-neighbours-6-10.json"),
    (f"{CITY}, tuned: MKD{NEAR}{FRESHER}", "MKD", "methods-citeulike-tuned.json"),
    (f"{CITY}, tuned: {MIX}{NEAR}{FRESHER}", "Distiller", "methods-citeulike-tuned.json"),
    (f"{CITY}, tuned: MKD{NEAR}{AGAIN}", "MKD", "methods-citeulike-tuned-16-20.json"),
    (f"{CITY}, tuned: {MIX}{NEAR}{AGAIN}", "Distiller", "methods-citeulike-tuned-16-20.json"),
    (f"{CITY}, tuned: MKD{AGAIN}", "MKD", "methods-citeulike-tuned-16-20-plain.json"),
    (f"{CITY}, tuned: {MIX}{AGAIN}", MIXED, "methods-citeulike-tuned-16-20-plain.json"),
    (f"citeulike, BPR 200 -> 10: MKD{NEAR}", "MKD", "methods-citeulike-10.json"),
    (f"citeulike, BPR 200 -> 10, tuned: MKD{HEAVY}", "MKD", "methods-citeulike-tuned-10.json"),
    (f"citeulike, BPR 200 -> 10, tuned: {MIX}{HEAVY}", "Distiller", "methods-citeulike-tuned-10.json"),
    (f"citeulike, BPR 200 -> 10, tuned: {MIX}{HEAVY}{LAST}", "Distiller", "methods-citeulike-tuned-10-16-20.json"),
    (f"{LIGHT}: MKD", "MKD", "methods-citeulike-lightgcn.json"),
    (f"{LIGHT}: RCEKD", "RCEKD", "methods-citeulike-lightgcn.json"),
    (f"{LIGHT}: MKD{NEAR}", "MKD", "methods-citeulike-lightgcn-neighbours.json"),
    (f"{LIGHT}, tuned: MKD{NEAR}{FRESH}", "MKD", "methods-citeulike-lightgcn-tuned.json"),
    (f"{LIGHT}, tuned: {MIX}{NEAR}{FRESH}", "Distiller", "methods-citeulike-lightgcn-tuned.json"),
    (f"citeulike, LightGCN 200 -> 10, tuned: MKD{HEAVY}", "MKD", "methods-citeulike-lightgcn-10.json"),
    (f"citeulike, LightGCN 200 -> 10, tuned: {MIX}{HEAVY}", "Distiller", "methods-citeulike-lightgcn-10.json"),
    ("ml-1m, BPR 200 -> 20: MKD", "MKD", "methods-ml-1m.json"),
    (f"ml-1m, BPR 200 -> 20: {MIX}", "Distiller", "methods-ml-1m.json"),
    (f"ml-1m, BPR 200 -> 20: MKD{NEAR}", "MKD", "methods-ml-1m-neighbours.json"),
    (f"ml-1m, BPR 200 -> 20, tuned: MKD{HEAVY}{FRESH}", "MKD", "methods-ml-1m-neighbours-6-10.json"),
    (f"ml-1m, BPR 200 -> 20, tuned: {MIX}{NEAR}{FRESH}", "Distiller", "methods-ml-1m-neighbours-6-10.json"),
    (f"ml-1m, BPR 200 -> 10: MKD{HEAVY}", "MKD", "methods-ml-1m-10.json"),
    (f"ml-1m, BPR 200 -> 10: {MIX}{HEAVY}", "Distiller", "methods-ml-1m-10.json"),
    (f"ml-1m, LightGCN 200 -> 20, tuned: MKD{HEAVY}{FRESH}", "MKD", "methods-ml-1m-lightgcn.json"),
    (f"ml-1m, LightGCN 200 -> 20, tuned: {MIX}{NEAR}{FRESH}", "Distiller", "methods-ml-1m-lightgcn.json"),
    (f"ml-1m, LightGCN 200 -> 10, tuned: MKD{HEAVY}", "MKD", "methods-ml-1m-lightgcn-10.json"),
    (f"ml-1m, LightGCN 200 -> 10, tuned: {MIX}{HEAVY}", "Distiller", "methods-ml-1m-lightgcn-10.json"),
    ("ml-100k: HetComp's student above each of five teachers", "distilled", "hetcomp-ml-100k-seeds.json"),
    (f"citeulike: HetComp's student {THREE}", "HetComp", "hetcomp-ablation-citeulike.json"),
    (f"ml-1m: HetComp's student {THREE}", "HetComp", "hetcomp-ablation-ml-1m.json"),
    (f"citeulike: SLD's student {THREE}", "distilled", "sld-ensemble-citeulike.json"),
    (f"citeulike, tuned: HetComp's student {THREE}, seeds 6 to 10", "HetComp", "hetcomp-citeulike-tuned.json"),
    (f"citeulike, tuned: SLD's student {THREE}, seeds 6 to 10", "SLD", "hetcomp-citeulike-tuned.json"),
    (f"{FIVE}, seeds 6 to 10", "HetComp", "hetcomp-citeulike-five.json"),
)
TABLES = ("methods-citeulike.json", "mkd-ablation-ml-100k.json")  # files whose commands stand here though no goal does
PAGE = """# Goals, and how far they are

Made by `python docs/goals.py > docs/goals.md` from the files in `benchmarks/results/`. Test ndcg@10, each seed with its
own split, teachers and student alone: is the student above the best teacher of its seed? The difference is paired, with
a 95% t interval. *reached*: the interval is above 0, on {enough} seeds or more; *so far*: the same on fewer; *no*: it
is below 0; *undecided*: 0 is in it.

{table}

\\* Settled on before anything of this row, or of its like, was seen of these seeds: a test of its own. LightGCN's
splits had been seen under BPR. The other rows explore: most grew from three seeds to five after a look at the three,
and the one that is best among several looks better than it is; of seeds 6 to 10 under three teachers HetComp's first
had been seen, by an earlier run of the same settings, and under five all those under three. Random splits of one
dataset overlap, which makes every p smaller than it should be. What is passed is the teacher as it ranks by itself:
with the neighbours that it teaches with it ranks better than its student does
([methods.md](methods.md#with-the-teachers-neighbours)).

{holm}

**citeulike's teachers have no weight decay** but where a row says tuned. With 1e-6 and stopped by ndcg@10 a BPR 200 is
better, {decayed} on validation of seed 1 against {teacher} (`decay.json`), which was found after the other rows: what
was reached there was reached against a teacher that could be stronger. ml-1m's is at the best of three weight decays
on validation of its seed 1.

{protocol}

**How a teacher is passed on citeulike.** Soft labels bring a student of a tenth of the size to where the teacher is
and no further: what the student learns is the teacher's order, and beyond it only its own loss, which alone ends far
below. Tried on validation, seed 1 (`tune-citeulike.json`, `tune-mix-citeulike.json`): candidates of both models
(`sld_mode: union`), more of the student's own candidates, learning rates of 0.001, 0.003 and 0.01, weight decay, more
rows a step, and terms mixed: SLD with RCEKD is the best that was found ({mix} there, the teacher {teacher}), with NKD
and CPD beside them ({four}) or SLD at three times its weight ({heavy}) it is no better, at a rate of 0.001 worse
({slow}); on the test part the mix is not told apart from the teacher. What passes it is to learn from more than the
teacher's scores: from these and its own item neighbours (`neighbour_weight`,
[methods.md](methods.md#with-the-teachers-neighbours)), or from several unlike teachers, whose mean is far above each
and whose student passes each of them, of three and, further, of five.
20 numbers a user hold nearly all of either. At 10 the mix with `sld_weight` 3 is above its tuned teacher in each of
ten seeds in ndcg@10: on the first five not beyond chance, on the other five, of which nothing had been seen, beyond it.
MKD recovers {share} of the way and is below in recall@10.

**On ml-1m** the same: near a regularised teacher without its neighbours, above it with them. At MKD's default weights
it was undecided, on five seeds; at `sld_weight` 3 and 1,024 users a step, chosen on validation of one of them, it is
above in each of five others in ndcg@10, and below in recall@10. Which of the two is better was not asked on the same
seeds. A LightGCN under a LightGCN is above in the same way. Ten numbers a user are too few there, for either.

**On ml-100k** it ends near its teacher once that is regularised; at RecBole's settings, without weight decay, it
passes it in the mean and not beyond chance ([README](../README.md)). Neighbours bring nothing on the test part, to
the teacher as to the student.

## The commands

Each from the project's root; citeulike and ml-1m with `--data_path=data` beside the rest ([data.md](data.md)), and
`--checkpoint_dir=` where the models are to be kept. A file that grew by `--with=` comes in one go of this.

{commands}
"""


def read(name):
    """A result file, or None where it is not there."""
    file = RESULTS / name
    return json.loads(file.read_text()) if file.is_file() else None


def verdict(found):
    """What a paired comparison says of a goal, in a word or two."""
    if found["t_low"] is None:
        return "one seed"
    if found["t_low"] > 0:
        return "reached" if found["n"] >= ENOUGH else "so far"
    return "**no**" if found["t_high"] < 0 else "undecided"


def row(goal, file, rows, name, teachers):
    """A line of the table.

    Args:
        goal: what was to be shown.
        file: the result file.
        rows: for each seed its rows by name, or None where the file is not there.
        name: the row that is to be above, or its method.
        teachers: how the rows begin that it is to be above of.
    """
    scores = [
        {key: one["test_result"][METRIC] for key, one in seed.items() if "test_result" in one} for seed in rows or []
    ]
    whole = any(name in seed for seed in scores)  # not its name alone: other settings of it stand beside it
    own = [score for seed in scores for key, score in seed.items() if (key if whole else key.split(" --")[0]) == name]
    if not own:
        return [goal, "not run", "", "", "", "", 0, ""]
    if len(own) != len(scores):
        raise ValueError(f"{file}: {name} does not stand once in each seed")
    best = [max(score for key, score in seed.items() if key.startswith(teachers)) for seed in scores]
    found = paired(own, best)
    mean = [f"{sum(values) / len(values):.4f}" for values in (own, best)]
    gap, p = f"{found['difference']:+.4f}", ""
    if found["p"] is not None:
        gap, p = f"{gap} [{found['t_low']:+.4f}, {found['t_high']:+.4f}]", f"{found['p']:.2g}"
    return [goal, verdict(found), *mean, gap, p, found["n"], f"`{file}`"]


def of_file(goal, name, file):
    """A line from a result file of benchmarks/methods.py, or of seeds.py or hetcomp.py with several teachers."""
    runs = (read(file) or {}).get("runs")
    seeds = list(runs.values()) if isinstance(runs, dict) else [run.get("rows", run) for run in runs or []]
    return row(goal, file, seeds, name, "teacher")


def protocol():
    """How far the published figures of protocol A are met."""
    rows = read("protocol-a.json")["datasets"]["citeulike-fileorder"]["rows"]
    own, parts = {name: row["metrics"][METRIC] for name, row in rows.items()}, []
    for name, printed in (("teacher", 0.0155), ("student alone", 0.0098)):
        away = own[name]["mean"] / printed - 1
        met = _there(own[name]) if abs(away) <= 0.05 else "**no**"
        parts.append(f"the {name} {own[name]['mean']:.4f}, to be within 5% of {printed}: {met} ({away:+.0%})")
    values = {name: list(row["values"].values()) for name, row in own.items()}
    for name, printed in (("RRD", 0.65), ("DCD", 0.67), ("DCD-relaxed", 0.67), ("HetComp", 0.65), ("RCEKD", 0.95)):
        ends = zip(values["teacher"], values["student alone"], strict=True)
        found = paired(values[name], [alone + printed * (teacher - alone) for teacher, alone in ends])
        parts.append(
            f"{name}, to recover {printed:.0%}: {own[name]['share']:.0%}, {verdict(found)}, {_gap(found)} over it"
        )
    best = max(("RRD", "DCD", "DCD-relaxed", "HetComp", "RCEKD"), key=lambda name: own[name]["mean"])
    for name, words in (("MKD", "MKD"), ("MKD-neighbours", "MKD with `neighbour_weight` 1 and RCEKD's weight decay")):
        for rival, aim in ((best, "above them all"), ("teacher", "above the teacher")):
            found = paired(values[name], values[rival])
            parts.append(f"{words} {aim}: {verdict(found)}, {_gap(found)} over {'it' if rival == 'teacher' else best}")
    seeds = f"([protocol-a.md](protocol-a.md), {own['teacher']['n']} seeds)"
    said = f"**Protocol A** {seeds}, the first two by the mean, the rest by the interval: {'; '.join(parts)}. "
    said += (
        "MKD's settings with neighbours were settled after its test figures without them were known on these seeds: "
    )
    return textwrap.fill(said + "an exploring row.", 118)


def _gap(found):
    return f"{found['difference']:+.4f} [{found['t_low']:+.4f}, {found['t_high']:+.4f}]"


def _there(row):
    return "reached" if row["n"] >= ENOUGH else "so far"


def corrected(lines):
    """Holm's correction over the tests of these lines: their number; of each goal reached its p before and after."""
    tested = [line for line in lines if line[5]]
    adjusted = holm([float(line[5]) for line in tested])
    return len(tested), [(line[5], p) for line, p in zip(tested, adjusted, strict=True) if line[1] == "reached"]


def held_together(lines):
    """What Holm's correction makes of the rows that reached their goal, all as one family and the starred alone."""
    number, reached = corrected(lines)
    said = (
        f"Holm's correction over all {number} tests of this page, those that explore with those that confirm, leaves "
    )
    said += f"{sum(p < 0.05 for _, p in reached)} of what was reached below 0.05: of its p "
    said += (", ".join(f"{before} becomes {p:.2g}" for before, p in reached) or "nothing") + ". "
    number, reached = corrected([line for line in lines if line[0].endswith("\\*")])
    said += f"Over the {number} rows with a star alone it leaves {sum(p < 0.05 for _, p in reached)}, the largest at "
    said += f"{max(p for _, p in reached):.2g}."
    return textwrap.fill(said, 118)


def figures():
    """The single figures of the page's text."""
    tried = {name: f"{row[METRIC]['mean']:.4f}" for name, row in read("tune-mix-citeulike.json")["summary"].items()}
    four = next(name for name in tried if "NKD" in name)
    wide = ("--dataset=citeulike", 200, 0.001, 1e-6)
    decayed = next(
        row[f"valid_{METRIC}"] for row in read("decay.json")
        if (row["keys"][0], row["embedding_size"], row["learning_rate"], row["weight_decay"]) == wide
    )  # fmt: skip
    narrow = read("methods-citeulike-tuned-10.json")["summary"]["MKD --sld_weight=3"][METRIC]["share"]
    return {
        "teacher": tried["teacher"], "mix": tried[MIXED], "four": tried[four],
        "heavy": tried[f"{MIXED} --sld_weight=3"],
        "slow": tried[f"{MIXED} --learning_rate=0.001"], "decayed": f"{decayed:.4f}", "share": f"{narrow:.0%}",
    }  # fmt: skip


def quoted(word):
    """A word --key=value for a shell; as RecBole's users write it, its value in double quotes."""
    key, value = word.split("=", 1)
    return word if shlex.quote(word) == word else f'{key}="' + value.replace('"', '\\"') + '"'


def command(name):
    """How a result file was made: one line for a shell."""
    found = read(name)
    said = {"seeds": found.get("seeds") or ",".join(str(run["seed"]) for run in found["runs"])}
    if "methods" in found:
        script, said["methods"] = "methods", ";".join(one for one in found["methods"] if one != "with its neighbours")
    elif "teachers" in found:
        ends = ("teacher ", "ensemble", "student alone")
        own = [one for one in found["runs"][0]["rows"] if not one.startswith(ends)]
        script, said["only"] = "hetcomp", ";".join(own)
        said["teachers"] = json.dumps(found["teachers"]).replace('"', "")
    else:
        script = "seeds"
    said |= {"alone": found["alone"]} if found.get("alone") else {}
    said["result_file"] = f"benchmarks/results/{name}"
    words = [f"--{key}={value}" for key, value in said.items()] + found["command"]
    shown = [quoted(word) for word in words if word not in ("--show_progress=False", "--resume=True")]
    return f"python benchmarks/{script}.py {' '.join(shown)}"


def commands(lines):
    """The command of each file of the table, in the table's order."""
    files = dict.fromkeys([*(line[-1].strip("`") for line in lines if line[-1]), *TABLES])
    return "\n\n".join(f"```sh\n{command(name)}\n```" for name in files)


def page():
    """The whole page."""
    lines = [of_file(*goal) for goal in GOALS]
    heads = ["goal", "", "student", "best teacher", "difference", "p", "seeds", "file"]
    table = tabulate(lines, heads, tablefmt="github", disable_numparse=True)
    return PAGE.format(
        enough=ENOUGH,
        table=table,
        holm=held_together(lines),
        protocol=protocol(),
        commands=commands(lines),
        **figures(),
    )


if __name__ == "__main__":
    print(page(), end="")
