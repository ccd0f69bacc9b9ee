"""How far HetComp's way along its teachers' trajectories is: what their lists share, and when the student is through.

    python benchmarks/walk.py --seeds=1,2,3,4,5 --dataset=ml-100k \
        --teacher_model="['BPR','LightGCN','NeuMF','MultiVAE','ItemKNN']" \
        --result_file=benchmarks/results/walk-ml-100k.json

Per teacher, for each kept moment of its training before the best: the share of its best state's 50 first items that
are among the 50 first there already, a mean over users. Per seed: how many comparisons each way took, which are three
of four states where all users go on each time; the epoch from which 99.5% of them learn from the last states; and the
student's best epoch. What was trained is found again in checkpoint_dir. Run it from the project's root.
"""

import argparse
import itertools
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from command import shareable
from recbole_kd.config import plain_config
from recbole_kd.quick_start import make_config
from recbole_kd.rankings import is_in
from recbole_kd.teacher import parts
from recbole_kd.teacher.checkpoint import read_checkpoint
from recbole_kd.teacher.measure import versions
from recbole_kd.teacher.prepare import get_knowledge, get_teachers
from tabulate import tabulate

FIRST = 50  # items of a list that HetComp compares


def shares(lists):
    """What each earlier state shares with the last one, shape [V, users, items] to V - 1 numbers."""
    first = lists[:, 1:, :FIRST]
    return [round(float(is_in(first[-1], state).double().sum(1).mean()) / FIRST, 4) for state in first[:-1]]


def comparisons(progress, teacher):
    """In how many epochs any of the users went on along this teacher's way."""
    mean = [value for _, value in progress[f"teacher {teacher} mean state"]]
    return sum(after > before for before, after in itertools.pairwise(mean))


def walk_of(argv):
    """One seed: its run, found or trained, and what is said of its walk."""
    argv = [*argv, "--model=HetComp", "--show_progress=False"]
    run = recbole_kd.run_kd(argv=[*argv, "--baseline=False", "--resume=True"])
    config = make_config(argv=argv)
    data = parts.split(plain_config(config))
    read = get_knowledge(config, data, get_teachers(config, data)).trajectories(config["teacher_states"], FIRST)
    file = run["distilled"]["checkpoint"]
    progress = json.loads(Path(f"{file}.json").read_text())["progress"]
    ends = [name for name in progress if name.endswith("at the last state")]
    last = [min((epoch for epoch, share in progress[name] if share >= 0.995), default=None) for name in ends]
    labels = [row["label"] for row in run["teachers"]]
    return {
        "shares": {label: shares(lists) for label, lists in zip(labels, read, strict=True) if len(lists) > 1},
        "comparisons": [comparisons(progress, x + 1) for x, lists in enumerate(read) if len(lists) > 1],
        "all_last_from_epoch": None if None in last else max(last),
        "best_epoch": read_checkpoint(file)["epoch"],
        "epochs": len(progress[ends[0]]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    runs = [{"seed": int(seed), **walk_of([*rest, f"--seed={seed}"])} for seed in own.seeds.split(",")]
    lines = []
    for label in runs[0]["shares"]:
        by_state = zip(*(run["shares"][label] for run in runs if label in run["shares"]), strict=True)
        lines.append([label, *(f"{statistics.fmean(values):.2f}" for values in by_state)])
    print(tabulate(lines, ["teacher", *(f"state {v + 1}" for v in range(len(lines[0]) - 1))], tablefmt="github"))
    for run in runs:
        print({name: run[name] for name in ("seed", "comparisons", "all_last_from_epoch", "best_epoch", "epochs")})
    if own.result_file:
        command = shareable(rest)
        Path(own.result_file).write_text(json.dumps({"command": command, "runs": runs, "versions": versions()}) + "\n")


if __name__ == "__main__":
    main()
