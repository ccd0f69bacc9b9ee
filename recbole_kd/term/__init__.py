"""One file a term, found by its name as RecBole finds models: ``term/nkd.py`` holds the class NKD."""

import importlib

from recbole_kd.term.base import Batch, Term


def get_term(name):
    """The term class of this name. Raises ModuleNotFoundError where there is none."""
    return getattr(importlib.import_module(f"recbole_kd.term.{name.lower()}"), name)


__all__ = ["Batch", "Term", "get_term"]
