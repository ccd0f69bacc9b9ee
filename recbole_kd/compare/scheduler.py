"""Runs a comparison: trains the runs that are missing, then writes the summary and the report."""

import json
import logging
import time
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from recbole_kd.compare.data_checks import check_datasets, check_given_teachers
from recbole_kd.compare.executor import InlineExecutor, make_executor
from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.latency import speed_file, time_models
from recbole_kd.compare.plan import NEIGHBOURS, TEACHER, ComparisonPlan, make_run_config, read_plan
from recbole_kd.compare.progress import Progress
from recbole_kd.compare.report.html import page
from recbole_kd.compare.report.tables import latex, runs_csv, summary_csv
from recbole_kd.compare.row_checks import is_speed_row
from recbole_kd.compare.run import Run, execute_run, give_up, read_row
from recbole_kd.compare.summary import summarise
from recbole_kd.compare.types import Summary
from recbole_kd.config.recbole_value_checks import metric_names
from recbole_kd.errors import KDError
from recbole_kd.io import atomic_write, check_output_file, exclusive_folder
from recbole_kd.trainer.output_checks import check_checkpoint_folder

OUTPUTS = ("summary.json", "summary.csv", "summary.tex", "runs.csv", "report.html")
Row = dict[str, Any]
Executor = InlineExecutor | ProcessPoolExecutor


def compare(plan: ComparisonPlan | Path | str) -> Summary:
    """Train the runs of a plan that are missing, and write its summary.

    The folder gets ``summary.json``, ``summary.csv``, ``summary.tex``, ``runs.csv`` and ``report.html``, and a file for
    each run in ``runs/``.

    Args:
        plan: the plan, or the path of its YAML file.

    Returns:
        The content of ``summary.json``, whose fields ``recbole_kd.compare.types.Summary`` describes.

    Raises:
        KDError: a wrong plan, before anything is trained.
        OSError: a full disk, or a worker process that was killed.
    """
    plan = plan if isinstance(plan, ComparisonPlan) else read_plan(plan)
    level = logging.root.manager.disable  # runs in this process disable logging
    try:
        return _compare(plan, Path(plan.folder))
    finally:
        logging.disable(level)


def _compare(plan: ComparisonPlan, folder: Path) -> Summary:
    for name in OUTPUTS:
        check_output_file("folder", folder / name)
    runs = plan_runs(plan)
    _check_outputs(runs)
    metric = _headline_metric(plan, runs)
    _check(runs)
    with exclusive_folder(folder):
        unfinished = _complete(runs, plan.processes)
        summary = summarise(plan, runs, metric, unfinished)
        texts = (
            json.dumps(summary, indent=1) + "\n",
            summary_csv(summary),
            latex(summary),
            runs_csv(runs),
            page(summary, runs),
        )
        for file, text in zip(OUTPUTS, texts, strict=True):
            atomic_write(folder / file, text.encode())
        return summary


def _check_outputs(runs: Sequence[Run]) -> None:
    """Refuse a plan with a file that cannot be written. Raises KDError."""
    for run in runs:
        for file in (run.file, speed_file(run.file)):
            check_output_file("folder", file)
        name = f"{run.keys.get('student_model', 'BPR')}-{run.keys['dataset']}-{run.method}"
        check_checkpoint_folder("folder", run.keys["checkpoint_dir"], name)


def _headline_metric(plan: ComparisonPlan, runs: Sequence[Run]) -> str:
    """The metric that is shown first. Raises KDError where it is not evaluated on every dataset."""
    chosen = plan.metric
    for run in (run for run in runs if run.name == TEACHER and run.seed == plan.seeds[0]):
        config = make_run_config(run.keys)
        names = metric_names(config)
        chosen = chosen or ("ndcg@10" if "ndcg@10" in names else config["valid_metric"].lower())
        if chosen not in names:
            raise KDError(
                f"metric={chosen!r} is not evaluated on {run.dataset}: write one of {', '.join(names)}, "
                "or add it to 'metrics' and 'topk'"
            )
    assert chosen is not None  # a plan has at least one dataset and one seed
    return chosen


def _check(runs: Sequence[Run]) -> None:
    """Check the missing runs on their data before anything is written. Raises KDError."""
    missing = [run for run in runs if run.complete_row() is None]
    incomplete = {run.dataset for run in missing}
    check_datasets([run for run in runs if run.dataset in incomplete])
    check_given_teachers(missing)


def _complete(runs: Sequence[Run], processes: int) -> dict[Run, str]:
    """Execute the missing runs and measure the latencies. Returns the runs without a file, each with the reason."""
    rows = {run: run.complete_row() for run in runs}
    missing = [run for run in runs if rows[run] is None]
    for run in missing:
        if run.row() is not None:  # damaged: the summary must not take it if the repeat fails
            Path(run.file).unlink()
    known: dict[tuple[str, str], list[float]] = {}
    for run, row in rows.items():
        if row and row.get("seconds"):
            known.setdefault((run.dataset, run.name), []).append(row["seconds"])
    progress = Progress(len(runs), len(runs) - len(missing), processes, known)
    with closing(progress), make_executor(min(processes, max(1, len(missing)))) as executor:
        failed = _Queue(missing, rows, executor, processes, progress).work()
    for dataset in dict.fromkeys(run.dataset for run in runs):
        with make_executor(1) as executor:
            failed |= _measure_latencies([run for run in runs if run.dataset == dataset], rows, executor)
    return failed


class _Queue:
    """Submits each missing run once its teacher's run has ended.

    Args:
        missing: the runs to execute.
        rows: every run of the plan to the content of its file, or None; updated as runs end.
        executor: where runs are executed.
        processes: number of runs at a time.
        progress: shows the state.

    Attributes:
        waiting: the runs that have not started.
        running: the current runs, each with the time of its start.
        failed: the runs that ended without a file, each with the reason.
    """

    def __init__(
        self,
        missing: Sequence[Run],
        rows: MutableMapping[Run, Row | None],
        executor: Executor,
        processes: int,
        progress: Progress,
    ) -> None:
        self.rows, self.executor, self.processes, self.progress = rows, executor, processes, progress
        self.teachers = {(run.dataset, run.seed): run for run in rows if run.name == TEACHER}
        self.waiting = list(missing)
        self.running: dict[Future, tuple[Run, float]] = {}
        self.failed: dict[Run, str] = {}

    def work(self) -> dict[Run, str]:
        """Execute all runs. Returns ``failed``."""
        while self.waiting or self.running:
            self._drop_runs_without_teacher()
            self._submit_ready_runs()
            self.progress.show(self.waiting, self._elapsed())
            for future in wait(self.running, timeout=1, return_when=FIRST_COMPLETED).done:
                self._finish(future)
        return self.failed

    def _teacher(self, run: Run) -> Run:
        return self.teachers[run.dataset, run.seed]

    def _elapsed(self) -> dict[Run, float]:
        return {run: time.monotonic() - began for run, began in self.running.values()}

    def _obstacle(self, run: Run) -> str | None:
        """Why a run cannot start, now or later: its teacher failed."""
        teacher = self._teacher(run)
        reason = self.failed.get(teacher) or (self.rows[teacher] or {}).get("failed")
        return f"its teacher failed: {reason}" if reason and run.needs_teacher else None

    def _drop_runs_without_teacher(self) -> None:
        blocked = [(run, reason) for run in self.waiting if (reason := self._obstacle(run))]
        for run, reason in blocked:
            self.waiting.remove(run)
            if self._teacher(run) in self.failed:
                self.failed[run] = reason
            else:  # the teacher diverged, and would diverge in every repeat
                give_up(run, reason)
            self.progress.ended(run, None, reason, self.waiting, self._elapsed())

    def _submit_ready_runs(self) -> None:
        ready = [run for run in self.waiting if not run.needs_teacher or self.rows[self._teacher(run)]]
        for run in ready[: self.processes - len(self.running)]:
            self.waiting.remove(run)
            began = time.monotonic()
            self.progress.show(self.waiting, {**self._elapsed(), run: 0.0})
            self.running[self.executor.submit(execute_run, run)] = run, began

    def _finish(self, future: Future) -> None:
        run, began = self.running.pop(future)
        reason, row = _result(future), run.complete_row()
        self.rows[run] = row
        if row is None:
            self.failed[run] = reason or "its file was removed"
        failure = self.failed.get(run) or (row or {}).get("failed")
        self.progress.ended(run, time.monotonic() - began, failure, self.waiting, self._elapsed())


def _result(future: Future) -> str | None:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a worker process of the comparison was killed, possibly for lack of memory: lower 'processes' in the "
            "plan, or repeat the command to continue"
        ) from error


def _measure_latencies(runs: Sequence[Run], rows: Mapping[Run, Row | None], executor: Executor) -> dict[Run, str]:
    """Measure the milliseconds per user of a dataset's models for the first seed with results, unless done before.

    A failure does not affect the other numbers.

    Args:
        runs: the runs of the dataset.
        rows: run to the content of its file.
        executor: where the models are measured.

    Returns:
        Empty, or a run named "milliseconds" with the reason of the failure.
    """
    measurable = [run for run in runs if (row := rows[run]) and "failed" not in row and run.name != NEIGHBOURS]
    measurable = [run for run in measurable if run.seed == measurable[0].seed]
    file, key = speed_file(runs[0].file), " ".join(f"{run.name} {run.key}" for run in measurable)
    speeds = read_row(file, key)
    if not measurable or (speeds is not None and is_speed_row(speeds, [run.name for run in measurable])):
        return {}
    try:
        reason = executor.submit(time_models, measurable, file, key).result()
    except BrokenProcessPool:
        reason = "the worker process was killed"
    if not reason:
        return {}
    Path(file).unlink(missing_ok=True)  # it may hold the latencies of an earlier plan
    return {replace(measurable[0], name="milliseconds"): reason}
