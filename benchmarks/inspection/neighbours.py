"""What a teacher's own item neighbours are worth beside its scores, before anything is distilled: neighbour_weight.

    python benchmarks/neighbours.py --weights=0,0.5,1,2 --seeds=1,2,3 --dataset=ml-100k --checkpoint_dir=saved \
        --result_file=benchmarks/results/neighbours-ml-100k.json

For each weight the metric of the teacher's lists as the terms would read them, on validation; ``--part=test_result``
for the test part. Every other key goes to the run; teachers are found again in checkpoint_dir. Run it from the
project's root.
"""

import argparse
import json
import logging
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # noqa: F401  # first: RecBole starts after it
from command import shareable
from methods import scored
from recbole_kd.backbone import backbone_of
from recbole_kd.config import plain_config
from recbole_kd.quick_start import make_config
from recbole_kd.teacher import parts
from recbole_kd.teacher.knowledge import Knowledge
from recbole_kd.teacher.list_model import ListModel
from recbole_kd.teacher.measure import versions
from recbole_kd.teacher.prepare import get_teachers
from tabulate import tabulate


def scores_of(seed, weights, rest, part, metric):
    """The metric of one seed's teacher at each weight."""
    config = make_config(argv=["--model=SLD", *rest, f"--seed={seed}"])
    own = plain_config(config)
    own.final_config_dict["metric_decimal_place"] = 8  # the teacher itself may have been trained with fewer
    data = parts.split(own)
    (teacher,) = get_teachers(config, data)
    found = {}
    for weight in weights:
        knowledge = Knowledge(backbone_of(teacher.model), data.train_pairs, neighbours=float(weight))
        found[weight] = scored(own, ListModel(knowledge, own, data.train._dataset), data, part)[metric]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="0,0.25,0.5,1,2")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--part", default="valid_result", choices=("test_result", "valid_result"))
    parser.add_argument("--checkpoint_dir", default="saved", help="with a folder seed-N in it for each seed")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    logging.disable(logging.INFO)
    weights, seeds, by_seed = own.weights.split(","), own.seeds.split(","), {}
    for seed in seeds:
        place = [f"--checkpoint_dir={own.checkpoint_dir}/seed-{seed}", "--show_progress=False"]
        by_seed[seed] = scores_of(seed, weights, [*rest, *place], own.part, own.metric)
        print(f"seed {seed}: {by_seed[seed]}", flush=True)
    lines = [[weight, *(f"{by_seed[seed][weight]:.4f}" for seed in seeds),
              f"{statistics.fmean(by_seed[seed][weight] for seed in seeds):.4f}"] for weight in weights]  # fmt: skip
    print(tabulate(lines, ["neighbour_weight", *(f"seed {seed}" for seed in seeds), "mean"], disable_numparse=True))
    if own.result_file:
        content = {"command": shareable(rest), "part": own.part, "metric": own.metric, "runs": by_seed}
        Path(own.result_file).write_text(json.dumps(content | {"versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
