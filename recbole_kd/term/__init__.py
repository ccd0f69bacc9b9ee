"""Terms by name: ``term/nkd.py`` holds the class NKD, another package's plugin its own."""

import importlib

from recbole_kd.config.plugins import method_plugins
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch

__all__ = ["Batch", "Term", "get_term"]


def get_term(name: str) -> type[Term]:
    """The term class of this name, ours or that of another package.

    Raises:
        KDError: the other package cannot be imported.
        ModuleNotFoundError: there is no such term.
    """
    plugin = method_plugins().get(name)
    if plugin is not None and issubclass(plugin.target, Term):
        return plugin.target
    return getattr(importlib.import_module(f"recbole_kd.term.{name.lower()}"), name)
