"""A comparison from a plan to its files: what is missing is run, what is there is kept."""

import json
import logging
import time
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from recbole_kd.compare.data_checks import check_datasets, check_given_teachers
from recbole_kd.compare.executor import make_executor
from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import NEIGHBOURS, TEACHER, ComparisonPlan, read_plan
from recbole_kd.compare.progress import Progress
from recbole_kd.compare.report.html import page
from recbole_kd.compare.report.tables import latex, runs_csv, summary_csv
from recbole_kd.compare.run import execute_run, give_up, read_row, speed_file, time_models
from recbole_kd.compare.summary import summed_up
from recbole_kd.config.value_checks import metric_names
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.io import atomic_write, check_writable_folder, exclusive_folder


def compare(plan):
    """Run what is missing of a plan and write its summary: ``summary.json``, ``.csv``, ``.tex``, ``runs.csv`` and
    ``report.html`` in its folder; one file a run in ``runs/``.

    Args:
        plan: a Plan, or the path of its YAML file.

    Returns:
        dict: the content of ``summary.json``.

    Raises:
        KDError: a plan that cannot work, before anything is trained.
        OSError: a folder that is full, or a process that was ended from outside.
    """
    plan = plan if isinstance(plan, ComparisonPlan) else read_plan(plan)
    folder = Path(plan.folder)
    level = logging.root.manager.disable  # what is run in this very process is quiet
    try:
        return _compare(plan, folder)
    finally:
        logging.disable(level)


def _compare(plan, folder):
    check_writable_folder("folder", folder)
    runs = plan_runs(plan)
    metric = _headline(plan, runs)
    _check(runs)
    with exclusive_folder(folder):
        unfinished = _completed(runs, plan.processes)
        found = summed_up(plan, runs, metric, unfinished)
        for file, text in {
            "summary.json": json.dumps(found, indent=1) + "\n",
            "summary.csv": summary_csv(found),
            "summary.tex": latex(found),
            "runs.csv": runs_csv(runs),
            "report.html": page(found, runs),
        }.items():
            atomic_write(folder / file, text.encode())
        return found


def _headline(plan, runs):
    """The metric that is shown first; it has to be there on every dataset. Raises KDError."""
    chosen = plan.metric
    for run in (run for run in runs if run.name == TEACHER and run.seed == plan.seeds[0]):
        config = make_config(config_dict=run.keys)
        there = metric_names(config)
        chosen = chosen or ("ndcg@10" if "ndcg@10" in there else config["valid_metric"].lower())
        if chosen not in there:
            raise KDError(f"metric={chosen!r} is not evaluated on {run.dataset}, but {', '.join(there)} are")
    return chosen


def _check(runs):
    """Refuse, before anything is written, what cannot work of the runs that are missing. Raises KDError."""
    missing = [run for run in runs if run.row() is None]
    incomplete = {run.dataset for run in missing}
    check_datasets([run for run in runs if run.dataset in incomplete])
    check_given_teachers(missing)


def _completed(runs, processes):
    """Work off what is missing. Returns the runs without a file, and why: a dict."""
    rows = {run: run.row() for run in runs}
    missing = [run for run in runs if rows[run] is None]
    known: dict[tuple[str, str], list] = {}
    for run, row in rows.items():
        if row and row.get("seconds"):
            known.setdefault((run.dataset, run.name), []).append(row["seconds"])
    progress = Progress(len(runs), len(runs) - len(missing), processes, known)
    with closing(progress), make_executor(min(processes, max(1, len(missing)))) as workers:
        failed = _work(missing, rows, workers, processes, progress)
    for dataset in dict.fromkeys(run.dataset for run in runs):
        with make_executor(1) as here:
            failed |= _timed([run for run in runs if run.dataset == dataset], rows, here)
    return failed


def _work(missing, rows, workers, processes, progress):
    """Submit each run as soon as its teacher is there; ``rows`` takes what they write. Returns run to reason."""
    teachers = {(run.dataset, run.seed): run for run in rows if run.name == TEACHER}
    waiting = list(missing)
    running: dict[Any, tuple] = {}
    failed: dict[Any, str] = {}

    def why_not(run):
        teacher = teachers[run.dataset, run.seed]
        reason = failed.get(teacher) or (rows[teacher] or {}).get("failed")
        return f"its teacher failed: {reason}" if reason and run.needs_teacher else None

    def so_far():
        return {run: time.monotonic() - began for run, began in running.values()}

    while waiting or running:
        for run in [run for run in waiting if why_not(run)]:
            waiting.remove(run)
            if teachers[run.dataset, run.seed] in failed:
                failed[run] = why_not(run)
            else:  # a teacher that diverged always will
                give_up(run, why_not(run))
            progress.ended(run, None, why_not(run), waiting, so_far())
        ready = [run for run in waiting if not run.needs_teacher or rows[teachers[run.dataset, run.seed]]]
        for run in ready[: processes - len(running)]:
            waiting.remove(run)
            began = time.monotonic()
            progress.show(waiting, {**so_far(), run: 0.0})
            running[workers.submit(execute_run, run)] = run, began
        progress.show(waiting, so_far())
        for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
            run, began = running.pop(future)
            reason, rows[run] = _answer(future), run.row()
            if rows[run] is None:
                failed[run] = reason or "its file is gone"
            progress.ended(run, time.monotonic() - began, failed.get(run) or rows[run].get("failed"), waiting, so_far())
    return failed


def _answer(future):
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process of the comparison was ended from outside (is there too little memory for so many at a time?); "
            "the same command goes on"
        ) from error


def _timed(runs, rows, here):
    """The milliseconds a user of a dataset's models, of the first seed that has any, unless they were taken before.

    Returns the first run to why there are none, a dict: the other numbers do not wait for them.
    """
    there = [run for run in runs if rows[run] and "failed" not in rows[run] and run.name != NEIGHBOURS]
    there = [run for run in there if run.seed == there[0].seed]
    file, key = speed_file(runs[0].file), " ".join(f"{run.name} {run.key}" for run in there)
    if there and read_row(file, key) is None:
        try:
            reason = here.submit(time_models, there, file, key).result()
        except BrokenProcessPool:
            reason = "the process was ended from outside"
        if reason:
            Path(file).unlink(missing_ok=True)  # those of an earlier plan are none of this one
            return {replace(there[0], name="milliseconds"): reason}
    return {}
