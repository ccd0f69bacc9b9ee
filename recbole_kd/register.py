"""Enter the methods and KDTrainer where RecBole looks names up, so that ``get_model('MKD')`` finds ours."""

import functools
import importlib.machinery
import sys
import types

import recbole.model.general_recommender as general
import recbole.trainer

from recbole_kd import model as models
from recbole_kd.config import method_names
from recbole_kd.trainer import KDTrainer


@functools.cache
def method_class(name):
    """The RecBole model class of a method: one of model.py's, or a Distiller of the one term of that name."""
    if hasattr(models, name):
        return getattr(models, name)
    return type(name, (models.Distiller,), {"__module__": __name__, "__doc__": f"{name} alone, as a method."})


def register():
    """Make every method known to RecBole. Safe to call again."""
    for name in method_names():
        path = f"{general.__name__}.{name.lower()}"
        if path in sys.modules:
            continue
        module = types.ModuleType(path, f"{name}, by recbole_kd")
        module.__spec__ = importlib.machinery.ModuleSpec(path, None)
        kind = method_class(name)
        setattr(module, name, kind)
        sys.modules[path] = module
        globals().setdefault(name, kind)
        setattr(recbole.trainer, f"{name}Trainer", KDTrainer)
