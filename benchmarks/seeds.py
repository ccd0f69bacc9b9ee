"""One method over several seeds, each with its own split, teacher and student alone: means, and a paired interval.

    python benchmarks/seeds.py --seeds=1,2,3,4,5 --result_file=benchmarks/results/x.json --model=MKD --dataset=ml-100k

Every other key goes to run_kd. Run it from the project's root.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd
from command import shareable
from recbole_kd.evaluation.result import recovered_share
from recbole_kd.evaluation.statistics import paired as compared_pairs
from tabulate import tabulate


def rows_of(run):
    """What a run is summed up by: its teacher or teachers, one by one and together, and both students."""
    several = {f"teacher {row['label']}": row for row in run.pop("teachers", [])}
    one = {name: run[name] for name in ("teacher", "ensemble") if name in run}
    found = {**several, **one, "student_alone": run["student_alone"], "distilled": run["distilled"]}
    return {name: {key: value for key, value in row.items() if key != "checkpoint"} for name, row in found.items()}


def paired(ones, others):
    """Mean, 95% t interval and p-value of paired differences."""
    found = compared_pairs(ones, others)
    return {"mean": found["difference"], "low": found["t_low"], "high": found["t_high"], "p": found["p"]}


def summary(runs, metric, part):
    """Mean and standard deviation a row, and the distilled student's paired difference to each of the others."""
    values = {row: [run[row][part][metric] for run in runs] for row in runs[0]}
    result = {
        row: {"mean": statistics.fmean(v), "sd": statistics.stdev(v) if v[1:] else None, "values": v}
        for row, v in values.items()
    }
    for row in others(runs):
        result[f"distilled - {row}"] = paired(values["distilled"], values[row])
    teacher = values["ensemble" if "ensemble" in values else "teacher"]
    return {**result, "recovered_share": recovered_share(values["distilled"], values["student_alone"], teacher)}


def others(runs):
    """The rows that the distilled student is compared with, the student alone first."""
    return ["student_alone", *(row for row in runs[0] if row not in ("student_alone", "distilled"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--result_file", required=True)
    own, rest = parser.parse_known_args()
    runs = []
    for seed in own.seeds.split(","):
        whole = recbole_kd.run_kd(argv=[*rest, f"--seed={seed}"])
        runs.append(rows_of(whole))
    found = {part: summary(runs, own.metric, part) for part in ("valid_result", "test_result")}
    kept = {key: value for key, value in whole["config"].items() if not os.path.isabs(str(value))}
    command = shareable(rest)
    content = {
        "command": command, "seeds": own.seeds, "metric": own.metric, **found, "versions": whole["versions"],
        "config": kept, "runs": runs,
    }  # fmt: skip
    Path(own.result_file).parent.mkdir(parents=True, exist_ok=True)
    Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")
    test = found["test_result"]
    lines = [
        [row, *(f"{v:.4f}" for v in test[row]["values"]), f"{test[row]['mean']:.4f}", f"{test[row]['sd'] or 0:.4f}"]
        for row in runs[0]
    ]
    print(
        tabulate(
            lines,
            [f"test {own.metric}", *(f"seed {s}" for s in own.seeds.split(",")), "mean", "sd"],
            disable_numparse=True,
        )
    )
    for row in others(runs) if runs[1:] else ():
        print(
            f"distilled - {row}: {{mean:+.4f}}, 95% interval [{{low:+.4f}}, {{high:+.4f}}], p {{p:.2g}}".format(
                **test[f"distilled - {row}"]
            )
        )
    print(
        f"recovered share {test['recovered_share']:.0%}"
        if test["recovered_share"] is not None
        else "recovered share n/a"
    )


if __name__ == "__main__":
    main()
