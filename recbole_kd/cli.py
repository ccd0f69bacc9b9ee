"""The command line: ``python run_kd.py``, ``python -m recbole_kd``, ``recbole-kd``."""

import logging
import os
import sys
from pathlib import Path

from recbole_kd.compare.plan import read_plan
from recbole_kd.compare.report.tables import comparison_text
from recbole_kd.compare.scheduler import compare
from recbole_kd.config.layering import check_cli_keys
from recbole_kd.config.parsing import parse_argv, parse_value
from recbole_kd.config.plugins import find_broken_plugins
from recbole_kd.config.recipes import list_recipes, method_of_recipes
from recbole_kd.config.schema import check_method_name, resolve_terms
from recbole_kd.errors import MEMORY_HINT, KDError, NonFiniteLoss, TrainingFailed, is_out_of_memory, printable
from recbole_kd.io import atomic_write
from recbole_kd.quick_start import run_kd
from recbole_kd.report import families_table, keys_table, methods_table, progress_page, recipes_table, result_table
from recbole_kd.serving import EXPORT_USAGE, RECOMMEND_USAGE, export_argv, recommend_argv
from recbole_kd.tune.report import trials_table
from recbole_kd.tune.tuner import tune_argv

USAGE = """usage: run_kd.py --model=MKD --dataset=ml-100k [--key=value ...]
       run_kd.py tune --model=MKD --dataset=ml-100k [--trials=20] [--minutes=30] [--key=value ...]

  --model, -m       the distillation method
  --dataset, -d     a dataset of RecBole's, or a folder of atomic files under --data_path
  --student_model   the RecBole model that is distilled and shipped (BPR)
  --teacher_model   the RecBole model of the teacher (the student's), or several: "['BPR', 'LightGCN']"
  --teacher_path    a RecBole checkpoint to take as the teacher, or several
  --recipe          settings that come with the package, such as citeulike/MKD-neighbours; several with commas
  --config_files    YAML files, separated by spaces, or a list: "['my a.yaml', 'b.yaml']"
  --nproc           processes that train the student together (1; docs/processes.md)
  --terms           with --model=Distiller: a free mix, such as "['NKD', 'SLD']"
  --list            the methods
  --list-recipes    the recipes
  --model=X --explain   the keys of one method
  compare plan.yaml     methods x seeds x datasets, summarised in tables and a report (compare --help)
  tune              a search for good settings, on validation (tune --help)
  recommend FILE    recommendations of a trained model (recommend --help)
  export FILE       a trained model for numpy, onnxruntime or faiss (export --help)
  and every other key of RecBole's and ours; --teacher.key=value and --student.key=value reach one side.
"""
TUNE = """usage: run_kd.py tune --model=MKD --dataset=ml-100k [--key=value ...]

Tries settings of a method, of the student alone or of the teacher, and compares their scores on validation; the test
part is not read. It writes a recipe, which run_kd.py takes with --config_files=, and a JSON file of all trials, from
which the same command continues (docs/tune.md).

  --trials=20         the number of trials; the first has the default settings
  --minutes=30        no trial begins once the trials have taken this long together
  --side=method       what is tuned: method, alone (the student alone) or teacher
  --space=a.yaml      the values to try; the method's own space by default
  --searcher=random   or optuna, where that is installed
  --pruning=True      whether a trial below the median of the others is stopped early
  --output=tuned.yaml the recipe
  and every key of a run.
"""
COMPARE = """usage: run_kd.py compare plan.yaml

Trains methods x seeds x datasets, each seed with its own teacher and student alone, and summarises: means, standard
deviations, paired tests, intervals, recovered shares, sizes, milliseconds, as JSON, CSV, LaTeX and an HTML report. The
same command continues where it was interrupted (docs/compare.md).

  datasets: [ml-100k]       names, or {dataset: ml-100k, name: ..., key: value}
  seeds: [1, 2, 3, 4, 5]
  methods: [MKD, RRD]       names, or {model: MKD, name: ..., key: value}
  keys: {key: value}        for every run
  alone: {key: value}       for the student alone
  folder: compare/plan      where everything goes
  processes: 1              runs at a time
  metric: ndcg@10           the one that is shown first
  part: test                or validation, to choose settings: the test part is then never evaluated
"""
FAMILIES = """What can teach each kind of student (docs/families.md): a file of ranked lists, a model with
scores, or one with vectors, whose inner product is the score; `any` is all of them, `-` none."""
PAGES = {"tune": TUNE, "compare": COMPARE, "recommend": RECOMMEND_USAGE, "export": EXPORT_USAGE}
SERVING = {"recommend": recommend_argv, "export": export_argv}


def main(argv: list[str] | None = None) -> int:
    """Run one command line; returns the exit code: 0, 1 for a failed run, 2 for bad input, 130 for Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or {"-h", "--help"} & set(argv):
        print(PAGES.get(argv[0], USAGE) if argv else USAGE, end="")
        return 0 if argv else 2
    try:
        _print(_answer(list(argv)))
    except KDError as error:
        return _fail(error, 2)
    except (NonFiniteLoss, TrainingFailed, OSError) as error:
        return _fail(error, 1)
    except ImportError as error:
        return _fail(f"a package is missing or broken: {error}", 2)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _fail(f"too little memory: {error}; {MEMORY_HINT}", 1)
    except KeyboardInterrupt:
        option = "" if argv[0] in PAGES else " with --resume=True"
        return _fail(f"interrupted; the same command{option} continues", 130)
    return 0


def _print(text: str | None) -> None:
    """Print the answer, to a reader that may close early, as ``head`` does."""
    try:
        if text is not None:
            print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answer(argv: list[str]) -> str | None:
    if argv[0] == "compare":
        return _compare(argv[1:])
    if argv[0] == "tune":
        return trials_table(tune_argv(argv[1:]))
    if argv[0] in SERVING:
        return SERVING[argv[0]](argv[1:])
    if "--list" in argv:
        return _list_methods()
    if "--list-recipes" in argv:
        return recipes_table(list_recipes())
    if "--explain" in argv:
        return _explain([word for word in argv if word != "--explain"])
    return _run(argv)


def _list_methods() -> str:
    broken = find_broken_plugins()
    for message in broken.values():
        logging.getLogger().warning(message)
    return "\n".join([methods_table(broken), "", FAMILIES, "", families_table(broken)])


def _explain(argv: list[str]) -> str:
    keys = parse_argv(argv)
    recipe = keys.pop("recipe", None)
    name = keys.get("model") or method_of_recipes(recipe)
    if name is None:
        raise KDError("--explain needs a method: write --model=MKD --explain")
    check_method_name(name)
    check_cli_keys(keys)
    terms = parse_value("terms", keys["terms"]) if "terms" in keys else None
    return keys_table(name, resolve_terms(name, terms) if terms is not None else None)


def _run(argv: list[str]) -> str | None:
    result = run_kd(argv=argv)
    if result is None:  # one of several processes, and not the first
        return None
    page = progress_page(result)
    if page is not None:
        file = Path(result["config"]["result_file"] or str(result["distilled"]["checkpoint"]))
        file = file.with_suffix(".progress.html")
        atomic_write(file, page.encode())
        print(f"how the teachers were followed is in {file}")
    return result_table(result)


def _compare(argv: list[str]) -> str:
    if len(argv) != 1:
        raise KDError("compare takes one plan: write compare plan.yaml")
    plan = read_plan(argv[0])
    comparison = compare(plan)
    text = f"{comparison_text(comparison)}\n\nthe report is {plan.folder / 'report.html'}"
    if failed := sum(not run["diverged"] for run in comparison["failed"]):
        print(text)
        raise ChildProcessError(f"{failed} runs failed without having diverged: the same command tries them again")
    return text


def _fail(reason: object, code: int) -> int:
    print(f"recbole_kd: {' '.join(printable(reason).split())}", file=sys.stderr)
    return code
