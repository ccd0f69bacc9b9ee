"""Several methods over several seeds: each seed has one split, one teacher and one student alone, which all share.

    python benchmarks/methods.py --methods="RRD;DE --de_weight=0.1;MKD" --seeds=1,2,3 --dataset=citeulike \
        --data_path=data --checkpoint_dir=saved --result_file=benchmarks/results/methods-citeulike.json

A method may carry keys of its own, so the same command compares settings (``--part=valid_result``: on validation, the
test part is not looked at). Every other key goes to every run; ``--alone`` holds keys for the student alone only, which
may learn best at another rate; ``student alone --weight_decay=…`` among the methods is one more of them. What was
trained is found again in checkpoint_dir, so that an interrupted command goes on, and commands over other seeds may run
beside it; ``--with`` takes the runs of an earlier result file in, of other seeds or methods, made with the same keys.
``--cost`` adds what an epoch costs beside plain RecBole's, from a result file of benchmarks/cost.py. Run it from the
project's root.
"""

import argparse
import json
import logging
import shlex
import statistics
import sys
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from command import device_name, shareable
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.evaluation.metrics import evaluate_validation
from recbole_kd.evaluation.result import recovered_share
from recbole_kd.evaluation.result import versions
from recbole_kd.experiment import get_distilled
from recbole_kd.experiment import get_student_alone
from recbole_kd.experiment import make_config
from recbole_kd.io import exclusive_folder
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.knowledge.loader import teachers_name
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer.training import read_done_marker
from seeds import paired
from tabulate import tabulate

ALONE = "student alone"
ENDS = ("teacher", ALONE)


def scored(config, model, data, part):
    """A model's metrics on one part; the test part is not looked at but where it is asked for."""
    return evaluate_validation(config, model, data) if part == "valid_result" else evaluate(config, model, data)[1]


def row_of(config, model, file, data, part):
    """A model's metrics on one part, kept beside its checkpoint."""
    asked = [config["metrics"], config["topk"], Path(file).stat().st_mtime]
    if config["eval_mask"]:  # it changes the test part's numbers and nothing that was trained
        asked.append(config["eval_mask"])
    asked = zlib.crc32(json.dumps(asked).encode())
    kept = Path(f"{file}.{part}-{asked:08x}")
    if not kept.is_file():
        kept.write_text(json.dumps(scored(config, model, data, part)))
    mark = read_done_marker(file) or {}
    return {
        part: json.loads(kept.read_text()), "epochs": mark.get("epochs"), "seconds": mark.get("seconds"),
        "best_epoch": read_checkpoint(file).get("epoch"),
    }  # fmt: skip


def bare(method):
    """A method without its own keys, but for those that it is none without and how far it follows a teacher."""
    name, *keys = shlex.split(method)
    return shlex.join([name, *(word for word in keys if word.startswith(("--terms=", "--teacher_states=")))])


def runs_of(seed, methods, rest, part, for_alone):
    """Every method of one seed: name to row; the teacher and the student alone among them."""

    def made(method, *more):
        name, *keys = [*shlex.split(method), *more]
        words = {word.partition("=")[0]: word for word in [*rest, *keys]}  # the last one of a key wins
        return make_config(argv=[f"--model={name}", *words.values(), f"--seed={seed}", "--resume=True"])

    # teacher and student alone do not depend on any method's own keys, but Distiller is none without its terms
    taught = [method for method in methods if not method.startswith(ALONE)]
    some, configs = bare(taught[0]), {method: made(method) for method in taught}
    # what any method learns along is kept when the teacher is trained
    common = made(bare(max(taught, key=lambda method: configs[method]["teacher_states"])))
    for method, config in configs.items():
        asked = [(one.teacher.final_config_dict, one["neighbour_weight"]) for one in (config, common)]
        if asked[0] != asked[1]:
            raise SystemExit(
                f"{method!r} asks for another teacher: a method's own keys are its student's and its terms'"
            )
    data = prepare_split(plain_config(common))
    teachers = provide_teachers(common, data)
    knowledge = load_knowledge(common, data, teachers)

    def row_alone(*more):
        lone = made(some, *more)
        own = plain_config(lone)
        return row_of(own, *get_student_alone(lone, own, data), data, part)

    rows = {
        "teacher": row_of(teachers[0].config, teachers[0].model, teachers[0].file, data, part),
        ALONE: row_alone(*for_alone),
    }
    if common["neighbour_weight"]:
        own = plain_config(common)
        ranked = ListRecommender(knowledge, own, data.train._dataset)
        rows["with its neighbours"] = {part: scored(own, ranked, data, part), "epochs": None}
    for method in methods:
        if method.startswith(ALONE):
            rows[method] = row_alone(*shlex.split(method.removeprefix(ALONE)))
            continue
        config, student = configs[method], plain_config(configs[method])
        began = time.perf_counter()
        try:
            model, file = get_distilled(config, data, knowledge, teachers_name(teachers))
        except recbole_kd.NonFiniteLoss as error:
            print(f"seed {seed} {method}: {error}", flush=True)
            continue
        rows[method] = row_of(student, model, file, data, part)
        found = ", ".join(f"{name} {value:.4f}" for name, value in rows[method][part].items())
        print(f"seed {seed} {method}: {found}; {time.perf_counter() - began:.0f} s", flush=True)
    return rows


def earlier_runs(own, command):
    """The runs of the earlier result file, by seed. Refused where its keys differ from these."""
    found = json.loads(Path(own.earlier).read_text())
    there = [found["command"], found["part"], found["alone"], found.get("device", "cpu")]
    if there != [command, own.part, own.alone, device_name()]:
        raise SystemExit(
            f"{own.earlier} was made with other keys, or on another device: {shlex.join(found['command'])}"
        )
    return found["runs"]


def joined(earlier, by_seed):
    """The runs of an earlier result file and these, by seed; these win."""
    seeds = sorted({*earlier, *by_seed}, key=int)
    return {seed: {**earlier.get(seed, {}), **by_seed.get(seed, {})} for seed in seeds}


def summary(by_seed, part, metrics):
    """A row for each method: mean and standard deviation of each metric, the gain over the student alone, and the share
    of the gap between the student alone and the teacher that it makes up for.
    """
    found = {}
    for method in dict.fromkeys(name for rows in by_seed.values() for name in rows):
        there = [rows for rows in by_seed.values() if method in rows]
        row = {"seeds": len(there), "epochs": statistics.fmean(rows[method]["epochs"] or 0 for rows in there)}
        for metric in metrics:
            values = [rows[method][part][metric] for rows in there]
            row[metric] = {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if there[1:] else 0.0}
            if method not in ENDS:
                alone = [rows["student alone"][part][metric] for rows in there]
                teacher = [rows["teacher"][part][metric] for rows in there]
                row[metric] |= {
                    "share": recovered_share(values, alone, teacher),
                    "gain": paired(values, alone) if values[1:] else {"mean": values[0] - alone[0]},
                }
        found[method] = row
    return found


def table(found, metrics):
    """The summary as text."""
    lines = []
    for method, row in found.items():
        cells = [f"{row[metric]['mean']:.4f} ± {row[metric]['sd']:.4f}" for metric in metrics]
        share = row[metrics[-1]].get("share")
        cost = row.get("cost")
        lines.append(
            [method, *cells, "" if share is None else f"{share:.0%}", f"{row['epochs']:.0f}",
             *((f"{cost['ratio']:.1f}", f"{cost['extra_rss_mib']:+.0f}") if cost else ("", ""))]
        )  # fmt: skip
    heads = ["method", *metrics, f"recovered ({metrics[-1]})", "epochs", "epoch / plain", "MiB over plain"]
    return tabulate(lines, heads, tablefmt="pipe", disable_numparse=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", required=True, help="separated by ;, or all")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--metrics", default="recall@10,ndcg@10")
    parser.add_argument("--part", default="test_result", choices=("test_result", "valid_result"))
    parser.add_argument("--alone", default="", help="keys for the student alone")
    parser.add_argument("--cost", help="a result file of benchmarks/cost.py, for what an epoch costs")
    parser.add_argument("--with", dest="earlier", help="a result file whose runs are taken in")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    logging.disable(logging.INFO)
    methods = [method.strip() for method in own.methods.split(";") if method.strip()]
    if methods == ["all"]:
        methods = [name for name in recbole_kd.method_names() if name != "Distiller"]
    metrics = own.metrics.split(",")
    folder = next((word.partition("=")[2] for word in rest if word.startswith("--checkpoint_dir=")), "saved")
    keys = [word for word in rest if not word.startswith("--checkpoint_dir=")] + ["--show_progress=False"]
    command = shareable(keys)
    earlier, by_seed = earlier_runs(own, command) if own.earlier else {}, {}
    for seed in own.seeds.split(","):
        place = f"{folder}/seed-{seed}"
        Path(place).mkdir(parents=True, exist_ok=True)
        with exclusive_folder(place):
            rows = runs_of(seed, methods, [*keys, f"--checkpoint_dir={place}"], own.part, shlex.split(own.alone))
        by_seed[seed] = rows
    by_seed = joined(earlier, by_seed)
    found = summary(by_seed, own.part, metrics)
    costs = json.loads(Path(own.cost).read_text())["methods"] if own.cost else {}
    for method, row in found.items():
        if method.split(" ")[0] in costs:
            row["cost"] = costs[method.split(" ")[0]]
    print(table(found, metrics))
    if own.result_file:
        content = {
            "command": command, "methods": [name for name in found if name not in ENDS], "seeds": ",".join(by_seed),
            "part": own.part, "alone": own.alone, "summary": found, "runs": by_seed, "versions": versions(),
            "device": device_name(),
        }  # fmt: skip
        Path(own.result_file).parent.mkdir(parents=True, exist_ok=True)
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
