"""What a teacher's own item neighbours are worth beside its scores, before anything is distilled: neighbour_weight.

    python -m benchmarks.inspection.neighbours --weights=0,0.5,1,2 --seeds=1,2,3 --dataset=ml-100k \
        --checkpoint_dir=saved --result_file=benchmarks/inspection/results/neighbours-ml-100k.json

For each weight the metric of the teacher's lists as the terms would read them, on validation; ``--part=test`` for the
test part. Every other key goes to the run; teachers are read again from checkpoint_dir.
"""

import argparse
import logging
import statistics

from tabulate import tabulate

from benchmarks.command import command_line, environment, keys_of
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.backbone import backbone_of
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.evaluation.metrics import evaluate_validation
from recbole_kd.experiment import make_config
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.teacher.provider import provide_teachers


def scores_of(seed: str, weights: list[str], words: list[str], part: str, metric: str) -> dict[str, float]:
    """The metric of one seed's teacher at each weight."""
    config = make_config(argv=["--model=SLD", *words, f"--seed={seed}"])
    student = plain_config(config)
    student.final_config_dict["metric_decimal_place"] = 8  # the teacher itself may have been trained with fewer
    split = prepare_split(student)
    (teacher,) = provide_teachers(config, split)
    scores = {}
    for weight in weights:
        knowledge = ModelKnowledge(backbone_of(teacher.model), split.train_pairs, neighbours=float(weight))
        model = ListRecommender(knowledge, student, split.train._dataset)
        only_validation = part == "valid"  # the test part is not evaluated unless it is requested
        metrics = evaluate_validation(student, model, split) if only_validation else evaluate(student, model, split)[1]
        scores[weight] = metrics[metric]
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="0,0.25,0.5,1,2")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--part", default="valid", choices=("valid", "test"))
    parser.add_argument("--checkpoint_dir", default="saved", help="with a folder seed-N in it for each seed")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    logging.disable(logging.INFO)
    weights, seeds = options.weights.split(","), options.seeds.split(",")
    scores = {}
    for seed in seeds:
        place = [f"--checkpoint_dir={options.checkpoint_dir}/seed-{seed}", "--show_progress=False"]
        scores[seed] = scores_of(seed, weights, [*words, *place], options.part, options.metric)
        print(f"seed {seed}: {scores[seed]}", flush=True)
    lines = [
        [weight, *(f"{scores[seed][weight]:.4f}" for seed in seeds),
         f"{statistics.fmean(scores[seed][weight] for seed in seeds):.4f}"]
        for weight in weights
    ]  # fmt: skip
    print(tabulate(lines, ["neighbour_weight", *(f"seed {seed}" for seed in seeds), "mean"], disable_numparse=True))
    if options.result_file:
        key = f"{options.part}_{options.metric}"
        records = [
            make_record("teacher", int(seed), {key: scores[seed][weight]}, {"neighbour_weight": float(weight)})
            for seed in seeds
            for weight in weights
        ]
        more = [f"--weights={options.weights}", f"--seeds={options.seeds}", f"--part={options.part}"]
        command = command_line("benchmarks.inspection.neighbours", [*more, *words])
        content = make_result("neighbour_weight", [command], {"keys": keys_of(words)}, records, environment())
        write_result(options.result_file, content)


if __name__ == "__main__":
    main()
