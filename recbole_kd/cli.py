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
from recbole_kd.serving import export_argv, recommend_argv
from recbole_kd.tune.report import trials_table
from recbole_kd.tune.tuner import tune_argv
from recbole_kd.usage import PAGES, print_help

FAMILIES = """What can teach each kind of student (docs/families.md): a file of ranked lists, a model with
scores, or one with vectors, whose inner product is the score; `any` is all of them, `-` none."""
SERVING = {"recommend": recommend_argv, "export": export_argv}


def main(argv: list[str] | None = None) -> int:
    """Run one command line; returns the exit code: 0, 1 for a failed run, 2 for bad input, 130 for Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    if (code := print_help(argv)) is not None:
        return code
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
