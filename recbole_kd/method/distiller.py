"""Distiller: a RecBole model that wraps a student and adds the losses of a method's terms."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from torch import nn
from torch.nn.utils import parametrize

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.base import Step
from recbole_kd.backbone.capabilities import VECTORS
from recbole_kd.backbone.item_table import make_plain, plain_state
from recbole_kd.backbone.narrow import factor_tables, first_coordinates
from recbole_kd.backbone.training_rows import is_sequential, number_rows, training_queries
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.data.pairs import distinct_pairs
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.method.checks import (
    check_as_recbole_model,
    check_capabilities,
    check_split,
    check_student_capabilities,
)
from recbole_kd.method.configuration import build_config
from recbole_kd.method.loss_scale import LossScale
from recbole_kd.method.terms import method_terms
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.term import get_term
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch, BatchReader
from recbole_kd.trainer.model_builder import build_model
from recbole_kd.trainer.rng import preserve_rng, seeded_rng
from recbole_kd.trainer.sum_reduction import sum_over_rows
from recbole_kd.trainer.warm_start import warm_start

TermClasses = Sequence[type[Term]]  # inside Distiller, type is RecBole's ModelType


class Distiller(GeneralRecommender):
    """A RecBole model around a student: the losses of a method's terms join the student's own.

    It is constructed like any RecBole model, predicts as the student does, and its ``state_dict`` is the student's:
    what is saved is a plain checkpoint of the student.

    Args:
        config: our Config, or RecBole's with ``model`` the method's name; then the student's defaults are filled in and
            the split is prepared again to find or train the teacher.
        dataset: the training part of the split.
        knowledge: what is read of the teacher; found or trained now where None.

    Attributes:
        student: the RecBole model that is distilled and saved.
        backbone: the adapter by which the terms read the student.
        terms: the terms, in the method's order.
        losses: the last step's losses, detached: ``base`` and one for each term.
        loss_components: which parts of the student's own loss count, where it is a tuple: NCL's trainer leaves one
            out while it warms up.

    Raises:
        KDError: a student or a teacher that lacks what the method's terms need.
    """

    type = ModelType.GENERAL
    input_type = InputType.PAIRWISE
    terms: Sequence[Term]
    loss_components: slice = slice(None)

    def __init__(
        self, config: Config | RecBoleConfig, dataset: Dataset, knowledge: BaseKnowledge | None = None
    ) -> None:
        if not isinstance(config, Config):
            config = _config_from_recbole(config, type(self).__name__)
        super().__init__(config, dataset)
        self.config = config
        self.student = build_model(config, dataset)
        warm_start(self.student, config, dataset)
        with preserve_rng():
            backbone = backbone_of(self.student, training_queries(config, dataset))
            self.backbone = check_student_capabilities(config, backbone)
        if is_sequential(config):
            number_rows(dataset)  # the loader holds this dataset, and a batch then says which rows it has
        if knowledge is None:
            with preserve_rng():
                knowledge = _provide_knowledge(config, dataset)
        check_capabilities(config, knowledge.capabilities, "this teacher offers")
        width = self._width()
        with seeded_rng(config["seed"]):
            terms = self.build_terms([get_term(name) for name in method_terms(config)], config, knowledge, width)
            for term in terms:
                term.attach(self.backbone)
        self.terms = nn.ModuleList(terms).to(config["device"])  # type: ignore[assignment]
        self.batch_reader = BatchReader(config, knowledge.interactions)
        self.loss_scale = LossScale(self.student, knowledge.interactions)
        self.losses: dict[str, torch.Tensor] = {}

    def _width(self) -> int | None:
        """The width of the student's vectors; None for a student that gives scores alone."""
        if VECTORS not in self.backbone.capabilities:
            return None
        with preserve_rng(), self.backbone.eval_view() as view:
            return view.width

    @classmethod
    def build_terms(
        cls, term_classes: TermClasses, config: Config, knowledge: BaseKnowledge, width: int | None
    ) -> list[Term]:
        """The terms of the method. A composed method whose terms share a module overrides this.

        Args:
            term_classes: the classes of the terms, in the method's order.
            config: the run's Config.
            knowledge: the teacher's knowledge.
            width: d_S, the width of the student's vectors; None for a student that gives scores alone.
        """
        return [term_class(config, knowledge, width) for term_class in term_classes]

    @property
    def last_phase(self) -> int:
        """The first epoch after the last scheduled phase of any term."""
        return max((term.last_phase for term in self.terms), default=0)

    def start_epoch(self, epoch: int) -> None:
        """Let each term refresh what lasts for an epoch. The global random number generators are left as they were."""
        with preserve_rng(), torch.no_grad():
            for term in self.terms:
                term.start_epoch(epoch, self.backbone)

    def progress(self) -> dict[str, float]:
        """The terms' progress, by name, for the log and TensorBoard."""
        return {name: value for term in self.terms for name, value in term.progress().items()}

    def __getattr__(self, name: str) -> Any:
        """What a trainer asks a student for: KGAT's ``calculate_kg_loss``, RecVAE's ``encoder``, …

        Buffers are each module's own: RecBole counts operations in one that it registers in every module.
        """
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "student" or name in self.student._buffers:
                raise
            return getattr(self.student, name)

    def student_loss(self, interaction: Interaction, **kwargs: Any) -> torch.Tensor:
        """The student's own loss for its recommendations.

        Args:
            interaction: the batch.
            kwargs: what the student's trainer passes besides, as RecVAE's ``encoder_flag``.
        """
        calculate_loss = getattr(self.student, "calculate_rs_loss", self.student.calculate_loss)  # MKR's name
        loss = calculate_loss(interaction, **kwargs)
        return sum(loss[self.loss_components]) if isinstance(loss, tuple) else loss  # type: ignore[return-value]

    def calculate_rs_loss(self, interaction: Interaction) -> tuple[torch.Tensor, ...]:
        """``calculate_loss``, by the name under which MKR's trainer calls it."""
        return self.calculate_loss(interaction)

    def calculate_loss(self, interaction: Interaction, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        """The student's own loss and one weighted loss for each term; RecBole sums and logs a tuple.

        Args:
            interaction: the batch.
            kwargs: for the student's own loss.
        """
        if not self.config["kd_widths"]:
            losses = self._losses(interaction, **kwargs)
        else:
            losses = self._losses_of_widths(interaction, **kwargs)
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        return tuple(losses.values())

    def _losses_of_widths(self, interaction: Interaction, **kwargs: Any) -> dict[str, torch.Tensor]:
        """The mean over ``kd_widths`` of each loss of the student by its first coordinates."""
        tables, widths = factor_tables(self.student), self.config["kd_widths"]
        assert tables is not None  # check_student_capabilities
        sums: dict[str, torch.Tensor] = {}
        for width in widths:
            with first_coordinates(tables, width):
                for name, loss in self._losses(interaction, **kwargs).items():
                    sums[name] = sums.get(name, 0) + loss / len(widths)  # type: ignore[assignment]
        return sums

    def _losses(self, interaction: Interaction, **kwargs: Any) -> dict[str, torch.Tensor]:
        """The student's own loss, ``base``, and one weighted loss for each term, by name."""
        step = Step(self.batch_reader.query_ids(interaction), interaction)
        with parametrize.cached(), self.backbone.view(step) as view:
            base = self.student_loss(interaction, **kwargs)
            if self.config["kd_reduction"] == "sum":
                base = sum_over_rows(base, len(interaction), self.config)
            batch = Batch(*self.batch_reader.read(interaction), view, interaction)
            weight = math.prod(term.base_weight for term in self.terms)
            losses = {"base": self.config["kd_base_weight"] * weight * base}
            scale = self.loss_scale.of_batch(len(batch.queries))
            for term in self.terms:
                weighted = term.weighted(batch)
                losses |= weighted if scale == 1 else {name: scale * loss for name, loss in weighted.items()}
        return losses

    def predict(self, interaction: Interaction) -> torch.Tensor:
        return self.student.predict(interaction)

    def full_sort_predict(self, interaction: Interaction) -> torch.Tensor:
        return self.student.full_sort_predict(interaction)

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        """The plain student's; what a term has added to its table of items is in the table."""
        return plain_state(self.student)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load a plain student's: from then on the student is plain, and no term adds to its table of items."""
        make_plain(self.student)
        return self.student.load_state_dict(state_dict, *args, **kwargs)

    def other_parameter(self) -> Any:
        return self.student.other_parameter()

    def load_other_parameter(self, para: Any) -> None:
        self.student.load_other_parameter(para)


def _config_from_recbole(config: RecBoleConfig, method: str) -> Config:
    """Our Config from one that RecBole made with the method's name as its model. Raises KDError."""
    if not config["single_spec"]:
        raise KDError(
            f"RecBole's run() cannot train {method} in several processes: use run_kd with nproc=2, for example"
        )
    keys = {key: value for key, value in config.external_config_dict.items() if key not in ("model", "dataset")}
    kd_config = build_config(read_layers(method, config["dataset"], config_dict=keys))
    check_as_recbole_model(config, kd_config)
    kd_config.warn_unused_keys()
    return kd_config


def _provide_knowledge(config: Config, dataset: Dataset) -> BaseKnowledge:
    """The knowledge of the config's teachers, found or trained now, for RecBole's own way of making a model."""
    split = prepare_split(plain_config(config))
    if not np.array_equal(split.pairs["train"], distinct_pairs(dataset)):
        raise KDError(
            "the dataset given to the method is not the training part that its config makes: "
            "use run_kd, or pass knowledge=…"
        )
    check_split(config, split)
    return load_knowledge(config, split, provide_teachers(config, split))
