"""Adapters that let a term read any RecBole model, student or teacher."""

from typing import Any

from recbole_kd.backbone.base import Backbone, View
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.factors import FactorBackbone, SimpleXBackbone
from recbole_kd.backbone.graph import GraphBackbone
from recbole_kd.backbone.scorer import PairBackbone, ScorerBackbone

__all__ = ["Backbone", "Capability", "View", "backbone_of"]

FAMILIES = (SimpleXBackbone, FactorBackbone, GraphBackbone, ScorerBackbone, PairBackbone)


def backbone_of(model: Any) -> Backbone | None:
    """The adapter of the first family that can read the model, checked against the model's scores.

    Args:
        model: a RecBole model.

    Returns:
        the adapter, or None where no family can read the model.
    """
    for family in FAMILIES:
        backbone = family.adapt(model)
        if backbone is not None:
            return backbone
    return None
