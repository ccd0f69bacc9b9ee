"""The methods under the names by which RecBole finds models and trainers.

A class is imported when RecBole asks for it, not along with the package: most programs use one method, or none.
"""

import importlib
import importlib.machinery
import sys
import types
from typing import Any

import recbole.model.general_recommender as general
import recbole.trainer

from recbole_kd.config.plugins import method_plugins
from recbole_kd.config.schema import method_names

_SUFFIX = "Trainer"


class _MethodModule(types.ModuleType):
    """A module whose only public attribute is the class of one method.

    Args:
        path: the module's name.
        method: the method's name.
    """

    def __init__(self, path: str, method: str) -> None:
        super().__init__(path, f"{method}, by recbole_kd")
        self.__spec__ = importlib.machinery.ModuleSpec(path, None)
        self._method = method

    def __getattr__(self, name: str) -> Any:
        if name == "_method" or name != self._method:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        return importlib.import_module("recbole_kd.method.registry").method_class(name)


def enter_methods() -> None:
    """Make every method known to RecBole: ``get_model`` and ``get_trainer`` find it. Safe to call again.

    A method that is found by its entry point is entered once its module was imported.
    """
    for name in method_names():
        path = f"{general.__name__}.{name.lower()}"
        plugin = method_plugins().get(name)
        if path not in sys.modules and (plugin is None or plugin.is_loaded):
            sys.modules[path] = _MethodModule(path, name)
    vars(recbole.trainer)["__getattr__"] = _trainer


def _trainer(name: str) -> Any:
    """The module ``__getattr__`` of ``recbole.trainer``: each method that was entered is trained by KDTrainer."""
    module = sys.modules.get(f"{general.__name__}.{name.removesuffix(_SUFFIX).lower()}")
    if isinstance(module, _MethodModule) and name == f"{module._method}{_SUFFIX}":
        return importlib.import_module("recbole_kd.trainer.kd_trainer").KDTrainer
    raise AttributeError(f"module 'recbole.trainer' has no attribute '{name}'")
