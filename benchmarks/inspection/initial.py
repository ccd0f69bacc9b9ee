"""Whether it helps a student to begin at its teacher's factors instead of at random ones.

    python benchmarks/initial.py --method=MKD --seeds=6 --dataset=citeulike --data_path=data --embedding_size=10 \
        --teacher.embedding_size=200 --neighbour_weight=1.0 --result_file=benchmarks/results/initial-citeulike-10.json

The nearest scores of the student's width, in squares, to those that it learns from: their truncated singular value
decomposition, half of each singular value for either side. The student, BPR, is distilled from there and from where
RecBole begins it; the best epoch's validation metrics, the test part is not looked at. Teachers are found again in
checkpoint_dir. Run it from the project's root.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from cost import config_of  # first: RecBole starts after it
from command import shareable
import torch
from recbole.utils import init_seed
from recbole_kd import KDTrainer
from recbole_kd.backbone import backbone_of
from recbole_kd.config import plain_config
from recbole_kd.register import method_class
from recbole_kd.teacher import parts
from recbole_kd.teacher.measure import versions
from recbole_kd.teacher.neighbours import with_neighbours
from recbole_kd.teacher.prepare import get_knowledge, get_teachers
from tabulate import tabulate


def nearest(view, width):
    """The best factors of that width for a View's scores: users, items, and the share of the squares that they hold."""
    sides = [torch.linalg.qr(table.double()) for table in (view.user_table, view.item_table)]
    left, values, right = torch.linalg.svd(sides[0].R @ sides[1].R.T)
    half = values[:width].sqrt()
    users, items = sides[0].Q @ left[:, :width] * half, sides[1].Q @ right[:width].T * half
    return users.float(), items.float(), float(values[:width].square().sum() / values.square().sum())


def run_of(config, start):
    """The validation metrics of a student from one start, and its best epoch."""
    data = parts.split(plain_config(config))
    (teacher,) = teachers = get_teachers(config, data)
    knowledge = get_knowledge(config, data, teachers)
    data = parts.split(plain_config(config))  # its loaders have not been drawn from
    init_seed(config["seed"], config["reproducibility"])
    model, found = method_class(config.method)(config, data.train._dataset, knowledge), {}
    if start == "teacher":
        view = backbone_of(teacher.model).tables()
        if config["neighbour_weight"]:
            view = with_neighbours(view, data.train_pairs, config["neighbour_weight"])
        users, items, found["share"] = nearest(view, config["embedding_size"])
        with torch.no_grad():
            model.student.user_embedding.weight.copy_(users)
            model.student.item_embedding.weight.copy_(items)
    trainer, best = KDTrainer(config, model), {}

    def watch(epoch, score):
        if score > best.get("score", float("-inf")):
            best.update(score=score, epoch=epoch)

    trainer.fit(data.train, data.valid, saved=False, show_progress=False, callback_fn=watch)
    metrics = {name: float(value) for name, value in trainer.best_valid_result.items()}
    return {**found, "valid_result": metrics, "best_epoch": best["epoch"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="MKD")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    logging.disable(logging.INFO)
    folder = next((word.partition("=")[2] for word in rest if word.startswith("--checkpoint_dir=")), "saved")
    rest = [word for word in rest if not word.startswith("--checkpoint_dir=")]
    runs = {}
    for seed in own.seeds.split(","):
        config = config_of(own.method, [*rest, f"--seed={seed}", f"--checkpoint_dir={folder}/seed-{seed}"])
        runs[seed] = {start: run_of(config, start) for start in ("random", "teacher")}
        lines = [[start, row["valid_result"][own.metric], row["best_epoch"]] for start, row in runs[seed].items()]
        print(tabulate(lines, [f"seed {seed}: begins at", own.metric, "best epoch"], floatfmt=".4f"), flush=True)
    if own.result_file:
        content = {"command": shareable(rest), "method": own.method, "runs": runs, "versions": versions()}
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
