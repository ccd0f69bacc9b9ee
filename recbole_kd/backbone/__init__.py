"""Adapters that let a term read any RecBole model, student or teacher."""

import functools
from importlib.metadata import entry_points

from recbole.model.abstract_recommender import AbstractRecommender

from recbole_kd.backbone.base import Backbone, Step
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.factors import CKEBackbone, ENMFBackbone, FactorBackbone, SimpleXBackbone
from recbole_kd.backbone.graph import GraphBackbone
from recbole_kd.backbone.queries import Queries
from recbole_kd.backbone.scorer import AutoencoderBackbone, CDAEBackbone, DMFBackbone, PairBackbone, ScorerBackbone
from recbole_kd.backbone.sequence import (
    BERT4RecBackbone,
    COREBackbone,
    FPMCBackbone,
    HGNBackbone,
    NPEBackbone,
    S3RecBackbone,
    SequenceBackbone,
    SequenceProbabilityBackbone,
    is_sequence_model,
)
from recbole_kd.backbone.views import FactorView, View
from recbole_kd.errors import KDError

__all__ = ["Backbone", "Capability", "FactorView", "Queries", "Step", "View", "backbone_of", "register_backbone"]

GROUP = "recbole_kd.backbones"
# tried in this order: each reads models that the ones before it do not
FAMILIES: tuple[type[Backbone], ...] = (
    SimpleXBackbone,
    ENMFBackbone,
    CKEBackbone,
    FactorBackbone,
    BERT4RecBackbone,
    S3RecBackbone,
    COREBackbone,
    HGNBackbone,
    NPEBackbone,
    FPMCBackbone,
    SequenceBackbone,
    SequenceProbabilityBackbone,
    GraphBackbone,
    CDAEBackbone,
    AutoencoderBackbone,
    DMFBackbone,
    ScorerBackbone,
    PairBackbone,
)
_registered: list[type[Backbone]] = []


def register_backbone(family: type[Backbone]) -> None:
    """Let a backbone of another package read models, before ours; the last one registered is tried first.

    A package can do the same without a call, by an entry point of the group ``recbole_kd.backbones`` that names the
    class.

    Raises:
        KDError: it is not a subclass of Backbone.
    """
    if not (isinstance(family, type) and issubclass(family, Backbone)):
        raise KDError(f"register_backbone takes a subclass of Backbone, not {family!r}")
    if family in _registered:
        _registered.remove(family)
    _registered.insert(0, family)


@functools.cache
def _installed_families() -> tuple[type[Backbone], ...]:
    """The backbones that installed packages name by entry points."""
    families = []
    for entry_point in entry_points(group=GROUP):
        try:
            family = entry_point.load()
        except Exception as error:  # the module of another package may fail with anything
            raise KDError(
                f"the entry point '{entry_point.name}' of the group {GROUP} cannot be loaded "
                f"({type(error).__name__}: {' '.join(str(error).split())}): mend or uninstall its package"
            ) from error
        if not (isinstance(family, type) and issubclass(family, Backbone)):
            raise KDError(f"the entry point '{entry_point.name}' of the group {GROUP} names no subclass of Backbone")
        families.append(family)
    return tuple(families)


def backbone_of(model: AbstractRecommender, queries: Queries | None = None) -> Backbone | None:
    """The first family that can read the model; each checks its reading against the model's own scores.

    Args:
        model: a RecBole model.
        queries: who is asked for items; the model's users where None. A sequence model needs sequences.

    Returns:
        Backbone, or None where no family can read it.

    Raises:
        KDError: a backbone of an installed package cannot be loaded.
    """
    if queries is None and is_sequence_model(model):
        return None
    for family in (*_registered, *_installed_families(), *FAMILIES):
        backbone = family.adapt(model, queries)
        if backbone is not None:
            return backbone
    return None
