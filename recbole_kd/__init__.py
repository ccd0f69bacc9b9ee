"""Knowledge distillation for RecBole: small recommenders under large teachers.

Import it before RecBole: RecBole 1.2.1 then runs on today's numpy, scipy and torch as well. ``recbole_kd.losses`` and
``recbole_kd.ops`` need torch alone.
"""

import importlib
import importlib.util
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from recbole_kd._interrupt import exit_on_interrupt, is_help_command, is_recbole_kd_command
from recbole_kd._version import __version__

if TYPE_CHECKING:
    from recbole_kd.backbone import register_backbone
    from recbole_kd.checkpoint.reader import read_checkpoint
    from recbole_kd.config import Config, method_names
    from recbole_kd.errors import KDError, NonFiniteLoss
    from recbole_kd.experiment import Experiment
    from recbole_kd.knowledge.model import ModelKnowledge
    from recbole_kd.knowledge.model import ModelKnowledge as Knowledge
    from recbole_kd.method.composed import MKD
    from recbole_kd.method.distiller import Distiller
    from recbole_kd.method.registration import register, register_method
    from recbole_kd.quick_start import load_student, objective_function, run_kd
    from recbole_kd.serving import Recommender, export, fold_in, recommend, similar_items
    from recbole_kd.term.base import Term
    from recbole_kd.trainer.kd_trainer import KDTrainer

# where each public name is defined; Knowledge is the name that ModelKnowledge had in 0.1
_PUBLIC = {
    "MKD": "method.composed",
    "Config": "config.configurator",
    "Distiller": "method.distiller",
    "Experiment": "experiment",
    "KDError": "errors",
    "KDTrainer": "trainer.kd_trainer",
    "Knowledge": "knowledge.model:ModelKnowledge",
    "ModelKnowledge": "knowledge.model",
    "NonFiniteLoss": "errors",
    "Recommender": "serving",
    "Term": "term.base",
    "export": "serving",
    "fold_in": "serving",
    "load_student": "quick_start",
    "method_names": "config.schema",
    "objective_function": "quick_start",
    "read_checkpoint": "checkpoint.reader",
    "recommend": "serving",
    "register": "method.registration",
    "register_backbone": "backbone",
    "register_method": "method.registration",
    "run_kd": "quick_start",
    "similar_items": "serving",
}

__all__ = [
    "MKD",
    "Config",
    "Distiller",
    "Experiment",
    "KDError",
    "KDTrainer",
    "Knowledge",
    "ModelKnowledge",
    "NonFiniteLoss",
    "Recommender",
    "Term",
    "__version__",
    "export",
    "fold_in",
    "load_student",
    "method_names",
    "objective_function",
    "read_checkpoint",
    "recommend",
    "register",
    "register_backbone",
    "register_method",
    "run_kd",
    "similar_items",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used. Raises ImportError where RecBole is not installed."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'recbole_kd' has no attribute '{name}'")
    module, _, attribute = _PUBLIC[name].partition(":")
    if module != "errors":
        importlib.import_module("recbole_kd.compat").require_recbole()
    value = getattr(importlib.import_module(f"recbole_kd.{module}"), attribute or name)
    globals()[name] = value
    return value


def _prepare_recbole() -> None:
    """Mend RecBole and enter the methods and KDTrainer into it: its own scripts find both after this import."""
    from recbole_kd import compat

    compat.mend()
    from recbole_kd.checkpoint.reader import load_for_recbole
    from recbole_kd.method.recbole_entries import enter_methods

    enter_methods()
    compat.mend_loading(load_for_recbole)


if importlib.util.find_spec("recbole") is not None and not is_help_command():
    with exit_on_interrupt() if is_recbole_kd_command() else nullcontext():
        _prepare_recbole()
