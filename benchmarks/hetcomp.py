"""HetComp and what is left of it without one of its parts, from the same teachers: means, and paired differences.

    python benchmarks/hetcomp.py --seeds=1,2,3 --dataset=citeulike --data_path=data \
        --teachers="[{model: BPR}, {model: LightGCN, learning_rate: 0.005}, {model: ItemKNN, k: 500, shrink: 10}]" \
        --alone="--learning_rate=0.001" --result_file=benchmarks/results/hetcomp-ablation-citeulike.json

The rows: HetComp; from the teachers' last states alone; without adaptive transfer; RRD from the consensus; HetComp from
the one teacher that is best on validation; and SLD and RCEKD from the mean of the scores. Each seed has its own split,
teachers and student alone. ``--only`` takes some of the rows, separated by ;, each with keys of its own behind it.
``--alone`` holds keys for the student alone, which may learn best at another rate than HetComp's 0.005 and the others'
0.01. Every other key goes to each run. ``--teachers`` is written as run_kd's key. What was trained is found again in
checkpoint_dir. Run it from the project's root.
"""

import argparse
import json
import shlex
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from command import shareable
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.parsing import parse_value
from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.evaluation.result import versions
from recbole_kd.evaluation.statistics import paired
from recbole_kd.experiment import get_student_alone
from recbole_kd.experiment import make_config
from tabulate import tabulate

ROWS = {
    "HetComp": ("HetComp", "states", ["--learning_rate=0.005"]),
    "last states only": ("HetComp", "files", ["--learning_rate=0.005"]),
    "no adaptive transfer": ("HetComp", "states", ["--learning_rate=0.005", "--hetcomp_transfer=rank"]),
    "best teacher only": ("HetComp", "best", ["--learning_rate=0.005"]),
    "RRD": ("RRD", "files", ["--learning_rate=0.01", "--kd_rows=128"]),
    "SLD": ("SLD", "files", ["--learning_rate=0.01", "--ensemble=score"]),
    "RCEKD": ("RCEKD", "files", ["--learning_rate=0.01", "--ensemble=score"]),
}


def distilled(model, keys):
    """One run's result; what it trained before is found."""
    fixed = ["--show_progress=False", "--baseline=False", "--resume=True"]
    return recbole_kd.run_kd(argv=[f"--model={model}", *keys, *fixed])


def student_alone(keys):
    """The row of the student that nobody teaches."""
    config = make_config(argv=["--model=HetComp", *keys, "--show_progress=False", "--resume=True"])
    own, data = plain_config(config), prepare_split(plain_config(config))
    valid, test = evaluate(own, get_student_alone(config, own, data)[0], data)
    return {"valid_result": valid, "test_result": test}


def runs_of(seed, names, teachers, rest, alone, metric):
    """The rows of one seed: name to {valid_result, test_result, …}."""
    keys = [*rest, f"--seed={seed}"]
    first = distilled("HetComp", [*keys, f"--teachers={teachers}", *ROWS["HetComp"][2]])
    best = max(first["teachers"], key=lambda row: row["valid_result"][metric])
    given = {
        "states": f"--teachers={teachers}",
        "files": f"--teacher_path={[row['checkpoint'] for row in first['teachers']]}",
        "best": f"--teachers={[teachers[first['teachers'].index(best)]]}",
    }
    found = {f"teacher {row['label']}": row for row in first["teachers"]}
    found |= {"ensemble": first["ensemble"], "student alone": student_alone([*keys, *alone])}
    for name in names:
        row, _, more = name.partition(" --")
        model, source, default = ROWS[row]
        words = {word.partition("=")[0]: word for word in [*default, *shlex.split(more and f"--{more}")]}
        own = [key for key in keys if source != "files" or not key.startswith("--teacher.")]  # a file is not trained
        found[name] = distilled(model, [*own, given[source], *words.values()])["distilled"]
        print(f"seed {seed} {name}: {found[name]['test_result'][metric]:.4f}", flush=True)
    shown = ("label", "best_epoch", "parameters", "ms_per_user", "valid_result", "test_result")
    return {name: {key: row[key] for key in shown if key in row} for name, row in found.items()}


def joinable(file, command, teachers, alone, seeds):
    """The runs of an earlier result file; refused where its keys differ or it has one of the seeds."""
    earlier = json.loads(Path(file).read_text())
    if [earlier["command"], earlier["teachers"], earlier["alone"]] != [command, teachers, alone]:
        raise SystemExit(f"{file} was made with other keys: {shlex.join(earlier['command'])}")
    twice = {run["seed"] for run in earlier["runs"]} & set(seeds)
    if twice:
        raise SystemExit(f"{file} has seed {min(twice)} too")
    return earlier["runs"]


def summary(runs, part, metric):
    """Mean and standard deviation of each row, and paired differences to HetComp and to the student alone."""
    values = {name: [run[name][part][metric] for run in runs] for name in runs[0]}
    result = {}
    for name, own in values.items():
        result[name] = {"mean": statistics.fmean(own), "sd": statistics.stdev(own) if len(own) > 1 else 0.0}
        for other in ("HetComp", "student alone"):
            if other in values and name != other and len(own) > 1:
                result[name][f"over {other}"] = paired(own, values[other])
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", required=True, help="a list of entries")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--alone", default="", help="keys for the student alone")
    parser.add_argument("--only", default=";".join(ROWS))
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--with", dest="earlier", action="append", default=[], help="result files of other seeds")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    names, teachers = own.only.split(";"), parse_value("teachers", own.teachers)
    alone = shlex.split(own.alone)
    seeds, before = [int(seed) for seed in own.seeds.split(",")], []
    for file in own.earlier:
        before += joinable(file, shareable(rest), teachers, own.alone, [*seeds, *(run["seed"] for run in before)])
    runs = [
        {"seed": int(seed), "rows": runs_of(seed, names, teachers, rest, alone, own.metric)}
        for seed in own.seeds.split(",")
    ]
    runs += before
    runs.sort(key=lambda run: run["seed"])
    rows = [run["rows"] for run in runs]
    found = {part: summary(rows, part, own.metric) for part in ("valid_result", "test_result")}
    lines = [
        [name, *(f"{found[part][name]['mean']:.4f} ± {found[part][name]['sd']:.4f}" for part in found)]
        for name in found["test_result"]
    ]
    print(tabulate(lines, [own.metric, "validation", "test"], tablefmt="github"))
    if own.result_file:
        command = shareable(rest)
        content = {
            "command": command,
            "teachers": teachers,
            "alone": own.alone,
            "metric": own.metric,
            "summary": found,
            "runs": runs,
        }
        Path(own.result_file).write_text(json.dumps({**content, "versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
