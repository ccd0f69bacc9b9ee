"""Enters the methods and KDTrainer where RecBole looks names up, so that get_model('MKD') finds ours."""

import importlib.machinery
import sys
import types

import recbole.model.general_recommender as general
import recbole.trainer

from recbole_kd.config.schema import method_names
from recbole_kd.method.registry import method_class
from recbole_kd.trainer.kd_trainer import KDTrainer


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
