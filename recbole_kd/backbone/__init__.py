"""Adapters that let a term read any RecBole model, student or teacher."""

from recbole_kd.backbone.base import Backbone, View
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.factors import FactorBackbone, SimpleXBackbone
from recbole_kd.backbone.graph import GraphBackbone
from recbole_kd.backbone.scorer import PairBackbone, ScorerBackbone

__all__ = ["Backbone", "Capability", "View", "backbone_of"]

FAMILIES = (SimpleXBackbone, FactorBackbone, GraphBackbone, ScorerBackbone, PairBackbone)


def backbone_of(model):
    """The first family that can read the model; each checks its reading against the model's own scores.

    Args:
        model: a RecBole model.

    Returns:
        Backbone, or None where no family can read it.
    """
    for family in FAMILIES:
        backbone = family.adapt(model)
        if backbone is not None:
            return backbone
    return None
