"""DLLM2Rec from a teacher's files against the student alone, on validation.

    python -m benchmarks.families.dllm2rec --seeds=1,2,3,4,5 --folder=dllm2rec --result_file=dllm2rec.json

For each seed a SASRec is trained, and its lists for the training rows, its confidences and its item vectors are written
to files, as a language model's would be. The student GRU4Rec learns from these files by DLLM2Rec, with each part and
with both, and is compared with the student alone. Words ``--key=value`` change the settings of all runs, such as
``--epochs=1`` for a try, or ``--student.learning_rate=0.003``. Runs that are done are found again in the folder.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import command_line, environment, keys_of
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.evaluation.metrics import evaluate_validation, unrounded
from recbole_kd.experiment import Experiment, TrainedModel, make_config
from recbole_kd.knowledge.export import write_item_vectors, write_row_lists

METRIC = "ndcg@10"
LIST_LENGTH = 20
SETTINGS = {
    "dataset": "ml-100k", "student_model": "GRU4Rec", "MAX_ITEM_LIST_LENGTH": 20, "valid_metric": METRIC,
    "topk": [10], "show_progress": False, "resume": True, "state": "WARNING",
    "student.hidden_size": 8, "student.embedding_size": 8,
}  # fmt: skip
TEACHER = {"teacher_model": "SASRec", "teacher.hidden_size": 64, "teacher.inner_size": 256}
VARIANTS: dict[str, dict[str, Any]] = {
    "DLLM2Rec": {},
    "DLLM2Rec, lists alone": {"dllm2rec_ed_weight": 0.0},
    "DLLM2Rec, item vectors alone": {"dllm2rec_weight": 0.0},
}


def validation_score(experiment: Experiment, trained: TrainedModel) -> float:
    """The metric of a trained model on the validation part."""
    return float(evaluate_validation(unrounded(trained.config), trained.model, experiment.split)[METRIC])


def write_files(settings: dict[str, Any], folder: Path) -> tuple[dict[str, str], float]:
    """Write what the teacher knows; returns the entry of ``teachers`` that reads it, and the teacher's own score."""
    experiment = Experiment(make_config("DLLM2Rec", config_dict={**settings, **TEACHER}))
    (teacher,), files = experiment.teachers, {"scores": folder / "rows.npz", "factors": folder / "items.npz"}
    write_row_lists(files["scores"], experiment.knowledge, experiment.split, LIST_LENGTH)
    write_item_vectors(files["factors"], experiment.knowledge, experiment.split)
    assert teacher.config is not None and teacher.model is not None  # it was trained here
    score = validation_score(experiment, TrainedModel(teacher.config, teacher.model, teacher.file))
    return {name: str(file) for name, file in files.items()}, score


def measure_seed(seed: int, keys: dict[str, Any], folder: Path) -> dict[str, float]:
    """The validation score of the teacher, the student alone and each variant, for one seed."""
    folder = folder / f"seed-{seed}"
    settings = {**SETTINGS, "seed": seed, "checkpoint_dir": str(folder), **keys}
    entry, teacher_score = write_files(settings, folder)
    scores = {"teacher": teacher_score}
    of_student = {key: value for key, value in settings.items() if not key.startswith("teacher.")}
    for name, variant in VARIANTS.items():
        config = make_config(
            "DLLM2Rec", config_dict={**of_student, **variant, "teachers": [entry], "teacher_check": "warn"}
        )
        experiment = Experiment(config)
        if "student alone" not in scores:
            scores["student alone"] = validation_score(experiment, experiment.train_alone())
        scores[name] = validation_score(experiment, experiment.distil())
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3,4,5", help="separated by commas")
    parser.add_argument("--folder", default="dllm2rec", help="where checkpoints and files go")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    keys = keys_of(words)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    scores = {seed: measure_seed(seed, keys, Path(options.folder)) for seed in seeds}
    for name in scores[seeds[0]]:
        values = np.array([scores[seed][name] for seed in seeds])
        print(f"{name:30} {METRIC} on validation {values.mean():.4f} ({', '.join(f'{value:.4f}' for value in values)})")
    if options.result_file:
        records = [
            make_record(name, seed, {f"validation {METRIC}": score})
            for seed, of_seed in scores.items()
            for name, score in of_seed.items()
        ]
        command = command_line("benchmarks.families.dllm2rec", [f"--seeds={options.seeds}", *words])
        settings = {**SETTINGS, **TEACHER, "list_length": LIST_LENGTH, **keys}
        write_result(options.result_file, make_result("dllm2rec", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
