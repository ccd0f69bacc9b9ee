"""Distiller: a RecBole model that wraps a student and adds the losses of a method's terms."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from torch import nn

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.data.split import distinct_pairs, prepare_split
from recbole_kd.errors import KDError
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.method.checks import check_capabilities, check_run, student_refusal
from recbole_kd.method.configuration import build_config
from recbole_kd.method.terms import method_terms
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.term import get_term
from recbole_kd.term.base import Batch, Term
from recbole_kd.trainer.loss_reduction import sum_over_rows
from recbole_kd.trainer.model_builder import build_model
from recbole_kd.trainer.rng import preserve_rng, seeded_rng


class Distiller(GeneralRecommender):
    """A student with the terms of a method: their losses join its own; everything else is the student's.

    Constructed like any RecBole model. Its state_dict is the student's: what is stored is what ships.

    Args:
        config: a Config of ours, or RecBole's own with ``model`` the method's name; then the student's defaults are
            filled in and the split is made again to find or train the teacher.
        dataset: the training part of the split.
        knowledge: what is read out of the teacher; found or trained where None.

    Attributes:
        student: the RecBole model that ships.
        terms: the terms, in the method's order.
        losses: the last step's losses, detached: ``base`` and one a term.

    Raises:
        KDError: a student or a teacher that the method's terms cannot work with.
    """

    type = ModelType.GENERAL
    input_type = InputType.PAIRWISE
    terms: Sequence[Term]

    def __init__(self, config, dataset, knowledge=None):
        if not isinstance(config, Config):
            config = _config_from_recbole(config, type(self).__name__)
        super().__init__(config, dataset)
        self.config = config
        self.student = build_model(config, dataset)
        with preserve_rng():
            self.backbone = backbone_of(self.student)
        if self.backbone is None or FACTORS not in self.backbone.capabilities:
            raise KDError(student_refusal(config["model"], "has no user and item factors that make its scores"))
        if knowledge is None:
            with preserve_rng():
                knowledge = _provide_knowledge(config, dataset)
        check_capabilities(config, knowledge.capabilities, "this one offers")
        with preserve_rng(), self.backbone.eval_view() as view:
            width = view.width
        with seeded_rng(config["seed"]):
            terms = self.build_terms([get_term(name) for name in method_terms(config)], config, knowledge, width)
        self.terms = nn.ModuleList(terms).to(config["device"])  # type: ignore[assignment]
        self.losses = {}

    @classmethod
    def build_terms(cls, kinds, config, knowledge, width):
        """The terms of the method. A composed method whose terms share a part says so here."""
        return [kind(config, knowledge, width) for kind in kinds]

    @property
    def last_phase(self):
        """The first epoch after the last scheduled phase of any term."""
        return max((term.last_phase for term in self.terms), default=0)

    def start_epoch(self, epoch):
        """Let each term refresh what lasts for an epoch. RecBole's generators are not touched."""
        with preserve_rng(), torch.no_grad():
            for term in self.terms:
                term.start_epoch(epoch, self.backbone)

    def progress(self):
        """What can be said of how far the terms have come, numbers by name."""
        return {name: value for term in self.terms for name, value in term.progress().items()}

    def calculate_loss(self, interaction):
        """The student's own loss and one weighted loss a term, as RecBole sums and logs a tuple."""
        user, pos, neg = (interaction[name] for name in (self.USER_ID, self.ITEM_ID, self.NEG_ITEM_ID))
        with self.backbone.view() as view:
            base = self.student.calculate_loss(interaction)
            base = sum(base) if isinstance(base, tuple) else base
            if self.config["kd_reduction"] == "sum":
                base = sum_over_rows(base, len(user), self.config)
            batch = Batch(user, pos, neg, view, interaction)
            weight = math.prod(term.base_weight for term in self.terms)
            losses = {"base": self.config["kd_base_weight"] * weight * base}
            for term in self.terms:
                losses |= term.weighted(batch)
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        return tuple(losses.values())

    def predict(self, interaction):
        return self.student.predict(interaction)

    def full_sort_predict(self, interaction):
        return self.student.full_sort_predict(interaction)

    def state_dict(self, *args, **kwargs):
        return self.student.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict, *args, **kwargs):
        return self.student.load_state_dict(state_dict, *args, **kwargs)

    def other_parameter(self):
        return self.student.other_parameter()

    def load_other_parameter(self, para):
        self.student.load_other_parameter(para)


def _config_from_recbole(config, method):
    """Our Config from one that RecBole made with the method's name as its model. Raises KDError."""
    if not config["single_spec"]:
        raise KDError(f"RecBole's own run() cannot train {method} in several processes: run_kd with nproc=2, say, can")
    asked = {key: value for key, value in config.external_config_dict.items() if key not in ("model", "dataset")}
    own = build_config(read_layers(method, config["dataset"], config_dict=asked))
    own.warn_unused_keys()
    return own


def _provide_knowledge(config, dataset):
    data = prepare_split(plain_config(config))
    if not np.array_equal(data.pairs["train"], distinct_pairs(dataset)):
        raise KDError(
            "the training part handed to the method is not the one that its config makes: "
            "use run_kd, or hand the method its knowledge"
        )
    check_run(config, data)
    return load_knowledge(config, data, provide_teachers(config, data))
