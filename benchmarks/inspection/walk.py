"""How long HetComp's teacher trajectories are: what their lists share, and when the student reaches their ends.

    python -m benchmarks.inspection.walk --seeds=1,2,3,4,5 --dataset=ml-100k \
        --teacher_model="['BPR','LightGCN','NeuMF','MultiVAE','ItemKNN']" \
        --result_file=benchmarks/inspection/results/walk-ml-100k.json

Per teacher, for each kept moment of its training before the best: the share of its best state's 50 first items that
are among its 50 first already, a mean over users. Per teacher and seed also in how many comparisons any user moved on
to the next state (at least three for four states). Per seed: the epoch from which 99.5% of the users learn from the
last states, and the student's best epoch. What was trained is read again from checkpoint_dir.
"""

import argparse
import itertools
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from benchmarks.command import command_line, environment, keys_of
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.ops.ranking import membership
from recbole_kd.quick_start import run_kd
from recbole_kd.teacher.provider import provide_teachers

FIRST = 50  # items of a list that HetComp compares


def shares(lists: torch.Tensor) -> list[float]:
    """What each earlier state shares with the last one, shape [V, users, items] to V - 1 numbers."""
    first = lists[:, 1:, :FIRST]
    return [round(float(membership(first[-1], state).double().sum(1).mean()) / FIRST, 4) for state in first[:-1]]


def comparisons(progress: dict, teacher: int) -> int:
    """In how many epochs any user moved on to a later state of this teacher."""
    mean = [value for _, value in progress[f"teacher {teacher} mean state"]]
    return sum(after > before for before, after in itertools.pairwise(mean))


def records_of(seed: int, words: list[str]) -> list[dict]:
    """The records of one seed: its run, read again or trained, a record a teacher and one for the student."""
    argv = [*words, f"--seed={seed}", "--model=HetComp", "--show_progress=False"]
    run = run_kd(argv=[*argv, "--baseline=False", "--resume=True"])
    config = make_config(argv=argv)
    split = prepare_split(plain_config(config))
    lists = load_knowledge(config, split, provide_teachers(config, split)).trajectories(config["teacher_states"], FIRST)
    file = run["distilled"]["checkpoint"]
    progress = json.loads(Path(f"{file}.json").read_text())["progress"]
    labels = [row["label"] for row in run["teachers"]]
    records = [
        make_record(label, seed, {"shares": shares(states), "comparisons": comparisons(progress, place)})
        for place, (label, states) in enumerate(zip(labels, lists, strict=True), 1)
        if len(states) > 1
    ]
    return [*records, make_record("student", seed, student_values(file, progress))]


def student_values(file: str, progress: dict) -> dict[str, Any]:
    """When the student's users reached the last states, its best epoch, and its epochs."""
    ends = [name for name in progress if name.endswith("at the last state")]
    last = [min((epoch for epoch, share in progress[name] if share >= 0.995), default=None) for name in ends]
    return {
        "all_last_from_epoch": None if None in last else max(last), "best_epoch": read_checkpoint(file)["epoch"],
        "epochs": len(progress[ends[0]]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    records = [record for seed in options.seeds.split(",") for record in records_of(int(seed), words)]
    lines = []
    for label in dict.fromkeys(record["name"] for record in records if "shares" in record["values"]):
        by_state = zip(*(record["values"]["shares"] for record in records if record["name"] == label), strict=True)
        lines.append([label, *(f"{statistics.fmean(values):.2f}" for values in by_state)])
    print(tabulate(lines, ["teacher", *(f"state {v + 1}" for v in range(len(lines[0]) - 1))], tablefmt="github"))
    for record in (record for record in records if record["name"] == "student"):
        print({"seed": record["seed"], **record["values"]})
    if options.result_file:
        command = command_line("benchmarks.inspection.walk", [f"--seeds={options.seeds}", *words])
        content = make_result("trajectories", [command], {"keys": keys_of(words)}, records, environment())
        write_result(options.result_file, content)


if __name__ == "__main__":
    main()
