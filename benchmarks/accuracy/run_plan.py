"""Run a plan as plain runs of ``run_kd``, where ``compare`` cannot: several teachers measured one by one, a method that
learns from the best of them alone or from them put together in another way, or several processes.

    python -m benchmarks.accuracy.run_plan benchmarks/accuracy/run_plans/hetcomp-ablation-citeulike.yaml \
        --output=benchmarks/accuracy/results/hetcomp-ablation-citeulike.json

A plan has ``dataset``, ``seeds``, ``methods``, ``keys`` and ``alone``, as a plan of ``compare`` has them. A method may
have ``teachers: best``: it learns from the one teacher that is best on validation in that seed. The first method's run
gives the rows of the teachers. With ``alone`` the student alone is trained with those keys; without it, it is the one
of the first method's run. What was trained before is read again from ``--checkpoint_dir``.
"""

import argparse
import logging
import shlex
import sys
from pathlib import Path

from benchmarks.accuracy.analysis import plan_settings, summary_table
from benchmarks.accuracy.records import ALONE, run_records, values_of
from benchmarks.command import device_name
from benchmarks.result import Result
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.evaluation.result import versions
from recbole_kd.experiment import Experiment
from recbole_kd.experiment import make_config
from recbole_kd.quick_start import run_kd


def best_teacher(result: dict, teachers: list, metric: str) -> list:
    """The entry of the teacher with the best validation metric, in a list."""
    values = [row["valid_result"][metric] for row in result["teachers"]]
    return [teachers[values.index(max(values))]]


def student_alone(keys: dict, alone: dict) -> dict:
    """The row of the student that is trained alone with keys of its own."""
    config = make_config(config_dict={**keys, **{f"student.{key}": value for key, value in alone.items()}})
    student = plain_config(config)
    split = prepare_split(student)
    valid, test = evaluate(student, Experiment(config, split).train_alone().model, split)
    return {"valid_result": valid, "test_result": test}


def records_of_seed(settings: dict, seed: int, fixed: dict, metric: str) -> list[dict]:
    """The records of one seed: teachers, student alone, and a row a method."""
    shared = {**fixed, **settings["keys"], **settings["dataset"], "seed": seed}
    first, records = None, []
    for name, method in settings["methods"].items():
        keys = {**shared, **method, "baseline": first is None and not settings["alone"]}
        if method.get("teachers") == "best":
            keys["teachers"] = best_teacher(first, settings["keys"]["teachers"], metric)
        result = run_kd(config_dict=keys)
        rows = run_records(result, name, seed)
        if first is None:
            first, records = result, [record for record in rows if record["name"] != name]
            if settings["alone"]:
                row = student_alone({**shared, "model": method["model"]}, settings["alone"])
                records.append(make_record(ALONE, seed, values_of(row)))
        records += [record for record in rows if record["name"] == name]
        print(f"seed {seed}, {name}: {records[-1]['values'][f'test_{metric}']:.4f}", flush=True)
    return records


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--checkpoint_dir", default="saved", help="a folder seed-N in it for each seed")
    parser.add_argument("--data_path", help="where the dataset is; the plan's own by default")
    parser.add_argument("--output", help="the result file to write")
    options = parser.parse_args(words)
    logging.disable(logging.INFO)
    plan = read_yaml(options.plan, "plan")
    settings, fixed = plan_settings(plan), {"show_progress": False, "resume": True}
    folder = options.data_path or (plan["dataset"].get("data_path") if isinstance(plan["dataset"], dict) else None)
    fixed |= {"data_path": folder} if folder else {}
    records = []
    for seed in settings["seeds"]:
        place = {"checkpoint_dir": str(Path(options.checkpoint_dir) / f"seed-{seed}")}
        records += records_of_seed(settings, seed, {**fixed, **place}, options.metric)
    command = [f"python -m benchmarks.accuracy.run_plan {options.plan}"]
    command[0] += f" --output={shlex.quote(options.output)}" if options.output else ""
    environment = {"device": device_name(), "versions": versions()}
    content = make_result("accuracy", command, settings, records, environment)
    fields = {name: value for name, value in content.items() if name != "schema_version"}
    print(summary_table(Result(Path(options.plan).stem, **fields), f"test_{options.metric}"))
    if options.output:
        write_result(options.output, content)


if __name__ == "__main__":
    main(sys.argv[1:])
