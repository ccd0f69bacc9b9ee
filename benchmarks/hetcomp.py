"""HetComp and what is left of it without one of its parts, from the same teachers: means, and paired differences.

    python benchmarks/hetcomp.py --seeds=1,2,3 --teachers="['BPR','MultiVAE','ItemKNN']" --dataset=citeulike \
        --data_path=data --learning_rate=0.005 --result_file=benchmarks/results/hetcomp-citeulike.json

The rows: HetComp; from the teachers' last states alone; without adaptive transfer; RRD from the consensus; HetComp from
the one teacher that is best on validation; and SLD and RCEKD from the mean of the scores. Each seed has its own split,
teachers and student alone. ``--only`` takes some of the rows, separated by ;. Every other key goes to each run. What
was trained is found again in checkpoint_dir. Run it from the project's root.
"""

import argparse
import ast
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from recbole_kd.compare.statistics import paired
from recbole_kd.teacher.measure import versions
from tabulate import tabulate

ROWS = {
    "HetComp": ("HetComp", "states", []),
    "last states only": ("HetComp", "files", []),
    "no adaptive transfer": ("HetComp", "states", ["--hetcomp_transfer=rank"]),
    "best teacher only": ("HetComp", "best", []),
    "RRD": ("RRD", "files", []),
    "SLD": ("SLD", "files", ["--ensemble=score"]),
    "RCEKD": ("RCEKD", "files", ["--ensemble=score"]),
}


def distilled(model, keys):
    """One run, without the paths of its files."""
    return recbole_kd.run_kd(argv=[f"--model={model}", *keys, "--show_progress=False"])


def runs_of(seed, names, teachers, rest, metric):
    """The rows of one seed: name to {valid_result, test_result, …}."""
    keys = [*rest, f"--seed={seed}"]
    first = distilled("HetComp", [*keys, f"--teacher_model={teachers}"])
    best = max(first["teachers"], key=lambda row: row["valid_result"][metric])
    given = {
        "states": f"--teacher_model={teachers}",
        "files": f"--teacher_path={[row['checkpoint'] for row in first['teachers']]}",
        "best": f"--teacher_model={teachers[first['teachers'].index(best)]}",
    }
    found = {f"teacher {row['label']}": row for row in first["teachers"]}
    found |= {"ensemble": first["ensemble"], "student alone": first["student_alone"]}
    for name in names:
        model, source, own = ROWS[name]
        found[name] = distilled(model, [*keys, given[source], *own])["distilled"]
        print(f"seed {seed} {name}: {found[name]['test_result'][metric]:.4f}", flush=True)
    shown = ("label", "best_epoch", "parameters", "ms_per_user", "valid_result", "test_result")
    return {name: {key: row[key] for key in shown if key in row} for name, row in found.items()}


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
    parser.add_argument("--teachers", required=True, help="a list of models")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--only", default=";".join(ROWS))
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--with", dest="earlier", action="append", default=[], help="result files of other seeds")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    names, teachers = own.only.split(";"), ast.literal_eval(own.teachers)
    runs = [
        {"seed": int(seed), "rows": runs_of(seed, names, teachers, rest, own.metric)} for seed in own.seeds.split(",")
    ]
    for file in own.earlier:
        runs += json.loads(Path(file).read_text())["runs"]
    runs.sort(key=lambda run: run["seed"])
    rows = [run["rows"] for run in runs]
    found = {part: summary(rows, part, own.metric) for part in ("valid_result", "test_result")}
    lines = [
        [name, *(f"{found[part][name]['mean']:.4f} ± {found[part][name]['sd']:.4f}" for part in found)]
        for name in found["test_result"]
    ]
    print(tabulate(lines, [own.metric, "validation", "test"], tablefmt="github"))
    if own.result_file:
        command = [word for word in rest if "data_path" not in word and "checkpoint_dir" not in word]
        content = {"command": command, "teachers": teachers, "metric": own.metric, "summary": found, "runs": runs}
        Path(own.result_file).write_text(json.dumps({**content, "versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
