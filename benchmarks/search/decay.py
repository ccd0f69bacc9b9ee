"""Plain RecBole's BPR, or another class, by width, learning rate and weight decay: the best validation score of each.

    python -m benchmarks.search.decay --settings="[[20, 0.003, 0], [20, 0.003, 1.0e-6], [200, 0.001, 1.0e-6]]" \
        --dataset=citeulike --data_path=data --seed=1 --result_file=benchmarks/search/results/decay.json

A setting is [embedding_size, learning_rate, weight_decay]. Records of an earlier result file stay. The split is that of
run_kd; its test part is not evaluated. Every other key goes to RecBole, ``--student_model=LightGCN`` among them.
"""

import argparse
from pathlib import Path

import yaml
from recbole.trainer import Trainer
from tabulate import tabulate

from benchmarks.command import environment, shareable
from benchmarks.result import read_result
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config
from recbole_kd.trainer.model_builder import build_seeded_model


def best_score(setting: dict, words: list[str]) -> tuple[str, int, float]:
    """The model, the seed and the best validation ndcg@10 of plain training at a setting."""
    keys = [f"--{name}={value}" for name, value in setting.items()] + ["--valid_metric=NDCG@10"]
    config = plain_config(make_config(argv=["--model=RRD", *words, *keys, "--show_progress=False", "--state=ERROR"]))
    split = prepare_split(config)
    trainer = Trainer(config, build_seeded_model(config, split.train._dataset))
    score, _ = trainer.fit(split.train, split.valid, saved=False)
    return config["model"], config["seed"], float(score)


def add_record(file: Path, record: dict, place: dict) -> list[dict]:
    """Write a record behind those of the file, which another command may have added to. Returns all records."""
    records = read_result(file).records if file.is_file() else []
    records.append(record)
    command = (
        "python -m benchmarks.search.decay --settings='[[EMBEDDING_SIZE, LEARNING_RATE, WEIGHT_DECAY]]' "
        f"THE_KEYS_OF_THE_RECORD --result_file={file}"
    )
    write_result(file, make_result("weight_decay", [command], {}, records, place))
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", required=True)
    parser.add_argument("--result_file", required=True)
    options, words = parser.parse_known_args()
    records = []
    for width, rate, decay in yaml.safe_load(options.settings):
        setting = {"embedding_size": width, "learning_rate": rate, "weight_decay": float(decay)}
        model, seed, score = best_score(setting, words)
        record = make_record(model, seed, {"valid_ndcg@10": score}, {"keys": shareable(words), **setting})
        records = add_record(Path(options.result_file), record, environment())
    names = ("embedding_size", "learning_rate", "weight_decay")
    lines = [
        [" ".join(one["setting"]["keys"]), *(one["setting"][name] for name in names), one["values"]["valid_ndcg@10"]]
        for one in records
    ]
    print(tabulate(lines, ["keys", *names, "valid ndcg@10"], tablefmt="github"))


if __name__ == "__main__":
    main()
