"""Each of RecBole's models outside the context-aware family as a student and as a teacher, for one epoch.

python -m benchmarks.families.census --output=benchmarks/families/results/census.json
python -m benchmarks.families.census --models=SASRec,NeuMF --side=student

A run of some models, or of one side, keeps the other records of its --output file. So does a run without a package
that a model needs (dgl for KGAT, torch_scatter for KGIN and MCCLK): the earlier record of the model stays.

The data are small and generated: interactions in the order of time with features of items, and a knowledge graph.
S3Rec and RaCT are pre-trained by RecBole for an epoch a stage, and distilled in their last stage. A model is taken
where the run ends with a checkpoint and finite metrics; refused where recbole_kd says in one sentence why it is not;
anything else is a defect, and the exit code is 1.
"""

import argparse
import importlib
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

from recbole.model import general_recommender, knowledge_aware_recommender, sequential_recommender
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import ModelType

from benchmarks.command import command_line, environment
from benchmarks.families import census_data
from benchmarks.families.census_data import GRAPH, ITEMS, SEQUENCES
from benchmarks.result import read_result
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.recbole_files import RECBOLE_PROPERTIES
from recbole_kd.errors import KDError
from recbole_kd.method.unsupported import PACKAGES, missing_package_of
from recbole_kd.quick_start import run_kd

FAMILIES = {
    "general": general_recommender,
    "sequential": sequential_recommender,
    "knowledge": knowledge_aware_recommender,
}
METHOD = "RRD"  # reads ranks of the teacher and scores of the student, which most models have
SIDES = ("student", "teacher")
SECONDS = 300  # for one model on one side


def models() -> dict[str, str]:
    """Model to family: the classes of three RecBole packages that have a YAML file."""
    found = {}
    for family, package in FAMILIES.items():
        for name, value in sorted(vars(package).items()):
            is_model = isinstance(value, type) and issubclass(value, AbstractRecommender)
            if is_model and (RECBOLE_PROPERTIES / "model" / f"{name}.yaml").is_file():
                found[name] = "traditional" if value.type == ModelType.TRADITIONAL else family
    return found


def settings(name: str, family: str, side: str, folder: Path) -> dict[str, Any]:
    """The keys of a run with the model on one side, and a usual model of its family on the other."""
    other = {"sequential": "GRU4Rec", "knowledge": "CKE"}.get(family, "BPR")
    student, teacher = (name, other) if side == "student" else (other, name)
    blocks: dict[str, dict[str, Any]] = {"student": {}, "teacher": {"epochs": 1}}
    shared = census_data.common_settings(folder)
    for key, value in {**census_data.EXTRA.get(name, {}), **census_data.pretrain(name, folder)}.items():
        (shared if key in census_data.SHARED else blocks[side])[key] = value
    return {
        **shared,
        **blocks,
        "student_model": student,
        "teacher_model": teacher,
        "checkpoint_dir": str(folder / "saved" / f"{side}-{name}"),
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
    dataset = GRAPH if family == "knowledge" else SEQUENCES
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


def skipped(name: str, side: str, former: list[dict]) -> dict | None:
    """The earlier record of a model whose package is missing here; None where the model is to be tried."""
    if missing_package_of(name) is None:
        return None
    return next((record for record in former if (record["name"], record["setting"]["side"]) == (name, side)), None)


def packages(name: str) -> dict[str, str]:
    """The optional package that a model was run with, and its version, as a field of its record."""
    package = PACKAGES.get(name)
    if package is None or missing_package_of(name) is not None:
        return {}
    return {"package": f"{package} {importlib.import_module(package).__version__}"}


def run(chosen: dict[str, str], sides: Iterable[str], former: list[dict]) -> Iterator[dict]:
    """Try the models, and print and yield a record each.

    Args:
        chosen: the models, with their families.
        sides: the sides to try them on.
        former: the records of earlier runs, kept for a model whose package is missing here.
    """
    with tempfile.TemporaryDirectory() as folder:
        census_data.write_data(Path(folder))
        for side in sides:
            for name, family in chosen.items():
                if (earlier := skipped(name, side, former)) is not None:
                    print(f"{side:8}{name:13}kept           {missing_package_of(name)} is missing here", flush=True)
                    yield earlier
                    continue
                started = time.perf_counter()
                outcome, reason = try_model(name, family, side, Path(folder))
                seconds = round(time.perf_counter() - started, 1)
                print(f"{side:8}{name:13}{outcome:9}{seconds:6}  {reason}", flush=True)
                setting = {"side": side, "family": family, "outcome": outcome, "reason": reason, **packages(name)}
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
    for record in run(chosen, sides, former):
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
