"""Each of RecBole's models outside the context-aware family as a student and as a teacher, for one epoch.

python -m benchmarks.families.census --output=benchmarks/families/results/census.json
python -m benchmarks.families.census --models=SASRec,NeuMF --side=student

A run of some models, or of one side, keeps the other records of its --output file.

The data are small and generated: interactions in the order of time with features of items, and a knowledge graph. A
model is taken where the run ends with a checkpoint and finite metrics; refused where recbole_kd says in one sentence
why it is not; anything else is a defect, and the exit code is 1.
"""

import argparse
import logging
import math
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from recbole.model import general_recommender, knowledge_aware_recommender, sequential_recommender
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import ModelType

from benchmarks.command import command_line, environment
from benchmarks.result import read_result
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.recbole_files import RECBOLE_PROPERTIES
from recbole_kd.errors import KDError
from recbole_kd.quick_start import run_kd
from recbole_kd.testing.datasets import write_knowledge_dataset, write_sequence_dataset

FAMILIES = {
    "general": general_recommender,
    "sequential": sequential_recommender,
    "knowledge": knowledge_aware_recommender,
}
METHOD = "RRD"  # reads ranks of the teacher and scores of the student, which most models have
SIDES = ("student", "teacher")
SECONDS = 300  # for one model on one side
ITEMS = 150  # GRU4RecCPR ranks a hundred items anew
FEATURES = {"inter": ["user_id", "item_id", "rating", "timestamp"], "item": ["item_id", "class", "release_year"]}
VECTORS = {"inter": ["user_id", "item_id", "rating", "timestamp"], "ent": ["ent_id", "ent_emb"]}
# what a model needs beyond its defaults, to read the generated data
EXTRA: dict[str, dict[str, Any]] = {
    **{
        name: {"load_col": FEATURES, "selected_features": ["class"]}
        for name in ("FDSA", "SASRecF", "GRU4RecF", "S3Rec")
    },
    **{key: {"load_col": VECTORS, "additional_feat_suffix": "ent"} for key in ("GRU4RecKG", "KSR")},
    "ConvNCF": {"embedding_size": 64},
    "NCL": {"num_clusters": 5},
}
MODEL_KEYS = {"embedding_size", "num_clusters", "selected_features"}


def models() -> dict[str, str]:
    """Model to family: the classes of three RecBole packages that have a YAML file."""
    found = {}
    for family, package in FAMILIES.items():
        for name, value in sorted(vars(package).items()):
            is_model = isinstance(value, type) and issubclass(value, AbstractRecommender)
            if is_model and (RECBOLE_PROPERTIES / "model" / f"{name}.yaml").is_file():
                found[name] = "traditional" if value.type == ModelType.TRADITIONAL else family
    return found


def write_data(folder: Path) -> None:
    """The generated datasets: ``census_seq`` in the order of time, and ``census_kg``."""
    write_sequence_dataset(folder, "census_seq", users=80, items=ITEMS)
    write_knowledge_dataset(folder, "census_kg")
    rng = np.random.default_rng(0)
    rows = [f"i{item}\t{' '.join(f'{x:.3f}' for x in rng.normal(size=16))}" for item in range(ITEMS)]
    text = "\n".join(["ent_id:token\tent_emb:float_seq", *rows]) + "\n"
    (folder / "census_seq" / "census_seq.ent").write_text(text)


def settings(name: str, family: str, side: str, folder: Path) -> dict[str, Any]:
    """The keys of a run with the model on one side, and a usual model of its family on the other."""
    other = {"sequential": "GRU4Rec", "knowledge": "CKE"}.get(family, "BPR")
    extra = EXTRA.get(name, {})
    student, teacher = (name, other) if side == "student" else (other, name)
    return {
        "student_model": student,
        "teacher_model": teacher,
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved" / f"{side}-{name}"),
        "epochs": 1,
        # the keys of a model itself are for one side; the others say what is read
        "teacher": {"epochs": 1, **({key: extra[key] for key in MODEL_KEYS & set(extra)} if side == "teacher" else {})},
        "train_batch_size": 256,
        "MAX_ITEM_LIST_LENGTH": 10,
        "show_progress": False,
        "state": "ERROR",
        **{key: value for key, value in extra.items() if side == "student" or key not in MODEL_KEYS},
    }


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in the block after so many seconds."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no result after {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def try_model(name: str, family: str, side: str, folder: Path) -> tuple[str, str]:
    """(outcome, reason): ``taken``, ``refused`` with recbole_kd's sentence, or ``failed`` with the error."""
    dataset = "census_kg" if family == "knowledge" else "census_seq"
    try:
        with time_limit(SECONDS):
            result = run_kd(METHOD, dataset, config_dict=settings(name, family, side, folder))
    except KDError as error:
        return "refused", str(error)
    except Exception as error:
        traceback.print_exc()
        return "failed", f"{type(error).__name__}: {' '.join(str(error).split())}"
    assert result is not None
    rows = (result["teacher"], result["distilled"])
    if not all(math.isfinite(value) for row in rows for value in row["test_result"].values()):
        return "failed", "a metric is not finite"
    return "taken", ""


def merged(former: list[dict], records: list[dict]) -> list[dict]:
    """The records of an earlier run, those of the same model and side replaced, ordered by side."""
    by_key = {(record["setting"]["side"], record["name"]): record for record in [*former, *records]}
    return sorted(by_key.values(), key=lambda record: SIDES.index(record["setting"]["side"]))


def parse(words: list[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """The options, and the chosen models with their families."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families.census")
    parser.add_argument("--models", default="", help="names, separated by commas; all where left out")
    parser.add_argument("--side", choices=SIDES, help="one side alone")
    parser.add_argument("--output", help="the result file, written after each model")
    options = parser.parse_args(words)
    known = models()
    names = options.models.split(",") if options.models else list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such model among the {len(known)} of the census: {', '.join(unknown)}")
    return options, {name: known[name] for name in names}


def run(chosen: dict[str, str], sides: Iterable[str]) -> Iterator[dict]:
    """Try the models, and print and yield a record each."""
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        for side in sides:
            for name, family in chosen.items():
                started = time.perf_counter()
                outcome, reason = try_model(name, family, side, Path(folder))
                seconds = round(time.perf_counter() - started, 1)
                print(f"{side:8}{name:13}{outcome:9}{seconds:6}  {reason}", flush=True)
                setting = {"side": side, "family": family, "outcome": outcome, "reason": reason}
                yield make_record(name, 2020, {"taken": outcome == "taken", "seconds": seconds}, setting)


def main(words: list[str]) -> int:
    """The command line. Returns the exit code."""
    options, chosen = parse(words)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    command = [command_line("benchmarks.families.census", words)]
    former: list[dict] = []
    if options.output and Path(options.output).is_file():
        earlier = read_result(options.output)
        former, command = earlier.records, list(dict.fromkeys([*earlier.command, *command]))
    sides = SIDES if options.side is None else (options.side,)
    records = []
    for record in run(chosen, sides):
        records.append(record)
        if options.output:
            asked = {"items": ITEMS, "method": METHOD, "seconds": SECONDS}
            content = make_result("census", command, asked, merged(former, records), environment())
            write_result(options.output, content)
    for side in sides:
        taken = sum(record["values"]["taken"] for record in records if record["setting"]["side"] == side)
        print(f"{side}s: {taken} of {len(chosen)}")
    return int(any(record["setting"]["outcome"] == "failed" for record in records))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
