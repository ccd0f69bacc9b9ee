"""One file a term. A term is imported by its name, as RecBole imports models: ``term/nkd.py`` holds the class NKD."""

import importlib

from recbole_kd.term.base import Batch, Term


def get_term(name: str) -> type[Term]:
    """The term class of this name. Raises ModuleNotFoundError for an unknown one."""
    return getattr(importlib.import_module(f"recbole_kd.term.{name.lower()}"), name)


__all__ = ["Batch", "Term", "get_term"]
