"""Whether it helps a student to begin at its teacher's factors instead of at random ones.

    python -m benchmarks.inspection.initial --method=MKD --seeds=6 --dataset=citeulike --data_path=data \
        --embedding_size=10 --teacher.embedding_size=200 --neighbour_weight=1.0 \
        --result_file=benchmarks/inspection/results/initial-citeulike-10.json

The nearest scores of the student's width, in squares, to those that it learns from: their truncated singular value
decomposition, half of each singular value for either side. The student, BPR, is distilled from there and from where
RecBole begins it; the file has the best epoch's validation metrics, the test part is not evaluated. Teachers are read
again from checkpoint_dir.
"""

import argparse
import logging
from typing import Any

import torch
from recbole.utils import init_seed
from tabulate import tabulate

from benchmarks.command import command_line, environment, folder_of, keys_of
from benchmarks.cost.epoch import config_of
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.views import FactorView
from recbole_kd.config.configurator import Config
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.knowledge.neighbour_scores import with_neighbours
from recbole_kd.method.registry import method_class
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer.kd_trainer import KDTrainer


def nearest(view: FactorView, width: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """The best factors of that width for a view's scores: users, items, and the share of the squares that they hold."""
    sides = [torch.linalg.qr(table.double()) for table in (view.query_table, view.item_table)]
    left, values, right = torch.linalg.svd(sides[0].R @ sides[1].R.T)
    half = values[:width].sqrt()
    users, items = sides[0].Q @ left[:, :width] * half, sides[1].Q @ right[:width].T * half
    return users.float(), items.float(), float(values[:width].square().sum() / values.square().sum())


def run_of(config: Config, start: str) -> dict[str, Any]:
    """The validation metrics of a student from one start, and its best epoch."""
    data = prepare_split(plain_config(config))
    (teacher,) = teachers = provide_teachers(config, data)
    knowledge = load_knowledge(config, data, teachers)
    data = prepare_split(plain_config(config))  # its loaders have not been drawn from
    init_seed(config["seed"], config["reproducibility"])
    model, values = method_class(config.method)(config, data.train._dataset, knowledge), {}
    if start == "teacher":
        view = backbone_of(teacher.model).snapshot()
        if config["neighbour_weight"]:
            view = with_neighbours(view, data.train_pairs, config["neighbour_weight"])
        users, items, values["share"] = nearest(view, config["embedding_size"])
        with torch.no_grad():
            model.student.user_embedding.weight.copy_(users)
            model.student.item_embedding.weight.copy_(items)
    trainer = KDTrainer(config, model)
    best: dict[str, float] = {}

    def watch(epoch, score):
        if score > best.get("score", float("-inf")):
            best.update(score=score, epoch=epoch)

    trainer.fit(data.train, data.valid, saved=False, show_progress=False, callback_fn=watch)
    metrics = {f"valid_{name}": float(value) for name, value in trainer.best_valid_result.items()}
    return {**values, **metrics, "best_epoch": best["epoch"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="MKD")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    logging.disable(logging.INFO)
    folder, words = folder_of(words)
    records = []
    for seed in map(int, options.seeds.split(",")):
        config = config_of(options.method, [*words, f"--seed={seed}", f"--checkpoint_dir={folder}/seed-{seed}"])
        runs = {start: run_of(config, start) for start in ("random", "teacher")}
        records += [make_record(start, seed, run) for start, run in runs.items()]
        lines = [[start, run[f"valid_{options.metric}"], run["best_epoch"]] for start, run in runs.items()]
        print(tabulate(lines, [f"seed {seed}: begins at", options.metric, "best epoch"], floatfmt=".4f"), flush=True)
    if options.result_file:
        more = [f"--method={options.method}", f"--seeds={options.seeds}"]
        command = command_line("benchmarks.inspection.initial", [*more, *words])
        settings = {"keys": keys_of(words), "method": options.method}
        content = make_result("initial_factors", [command], settings, records, environment())
        write_result(options.result_file, content)


if __name__ == "__main__":
    main()
