"""Base class of the terms: one loss on one layer, with its needs and what it does between epochs."""

import zlib
from typing import Any

import torch
from torch import nn

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import FACTORS, Capability
from recbole_kd.config.configurator import Config
from recbole_kd.errors import KDError
from recbole_kd.ops.sampling import sample_subset
from recbole_kd.term.batch import Batch


class Term(nn.Module):
    """One loss inside a method. A subclass sets ``layer`` and its needs, and gives ``loss``.

    Args:
        config: the method's Config.
        knowledge: the teacher's knowledge.
        width: d_S, the width of the student's vectors; None for a student that gives scores alone.

    Attributes:
        layer: ``input``, ``intermediate`` or ``output``.
        teacher_needs: what is read of the teacher.
        student_needs: what is read of the student's view.
        needs_negatives: whether the loss reads a batch's negative items.
        reads_scores: whether it reads the teacher's scores or ranks, not its factors or its model alone.
        follows_training: whether it reads the teacher at several moments of its training.
        distributable: whether several processes may compute it, each on its share of a batch. False where the loss of
            a step depends on what earlier steps have left behind, other than weights.
        name: the class's name, which is the term's.
        weight: the term's weight in the method's loss.
        generator: the term's source of randomness.
    """

    layer: str = ""
    teacher_needs: Capability = FACTORS
    student_needs: Capability = FACTORS
    needs_negatives: bool = False
    reads_scores: bool = True
    follows_training: bool = False
    distributable: bool = True

    def __init__(self, config: Config, knowledge: Any, width: Any) -> None:
        super().__init__()
        self.config, self.knowledge, self.width = config, knowledge, width
        self.name = type(self).__name__
        self.weight: float = self.key("weight")
        self.generator = torch.Generator(device=config["device"])
        self.generator.manual_seed(zlib.crc32(f"{self.name} {config['seed']}".encode()))

    def key(self, name: str) -> Any:
        """The value of the key ``<term>_<name>``."""
        return self.config[f"{self.name.lower()}_{name}"]

    @property
    def last_phase(self) -> int:
        """The first epoch after the last scheduled phase: early stopping counts from here on."""
        return 0

    @property
    def base_weight(self) -> float:
        """The factor by which this term multiplies the student's own loss."""
        return 1.0

    def progress(self) -> dict[str, float]:
        """How far the term has come, numbers by name, for the log and TensorBoard; read after ``start_epoch``."""
        return {}

    def attach(self, student: Backbone) -> None:
        """Change the student for the time of its training, once, before its first step.

        What is saved, and what is loaded again, has to be a plain student: see ``backbone.item_table``. Parameters
        that are made here are trained with the term's.

        Args:
            student: reads the student.
        """

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        """Refresh what lasts for an epoch.

        Args:
            epoch: the number of the epoch, from 0.
            student: reads the student, without gradients.
        """

    def loss(self, batch: Batch) -> torch.Tensor:
        """The unweighted loss of one step, a scalar."""
        raise NotImplementedError

    def weighted(self, batch: Batch) -> dict[str, torch.Tensor]:
        """What the step adds to the student's loss, by the name under which it is logged."""
        return {self.name: self.weight * self.loss(batch)}

    @classmethod
    def needs_of_student(cls, config: Config) -> Capability:
        """What the term reads of the student under these settings; less than ``student_needs`` where a part is off."""
        return cls.student_needs

    @classmethod
    def needs_of_teacher(cls, config: Config) -> Capability:
        """What the term reads of the teacher under these settings; less than ``teacher_needs`` where a part is off."""
        return cls.teacher_needs

    @classmethod
    def check_student(cls, config: Config, student: Backbone) -> None:
        """Refuse, before any training, a student that the term cannot work with, whatever its capabilities are.

        Raises:
            KDError: with the reason.
        """

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuse, before any training, settings that the term cannot work with. Raises KDError."""

    @classmethod
    def list_length(cls, config: Config, n_items: int) -> int:
        """How many items of each user's list a term reads that needs ranks alone; 0 where this is not known yet."""
        return 0

    def positives(self, batch: Batch) -> float:
        """How many positive rows a batch has: RecBole repeats each for every negative."""
        repeated = (self.config["train_neg_sample_args"] or {}).get("sample_num")
        return len(batch.query) / repeated if isinstance(repeated, int) else len(batch.query)

    def subsample(self, ids: torch.Tensor) -> torch.Tensor:
        """Draw ``kd_rows`` of these ids for this step, or take all where it is 0.

        A mean over the drawn ids estimates the mean over all without bias.
        """
        return sample_subset(ids, self.config["kd_rows"], self.generator)

    def reduce(self, values: torch.Tensor, population: float, coordinates: int = 1) -> torch.Tensor:
        """Reduce a value a row to one number: their mean, or under ``kd_reduction: sum`` the sum over the population.

        Args:
            values: a value for each drawn row, any shape.
            population: the number of rows that these were drawn from.
            coordinates: the number of positions or coordinates that a row's value sums over; the mean is over them too.

        Returns:
            a scalar.
        """
        mean = values.sum() / max(values.numel(), 1)
        return mean * population if self.config["kd_reduction"] == "sum" else mean / coordinates

    def reduce_users(
        self, values: torch.Tensor, users: torch.Tensor, batch: Batch, coordinates: int = 1
    ) -> torch.Tensor:
        """``reduce`` a value a user, for terms whose papers' code sums over the rows of a batch.

        Under the sum a user counts as often as it has positive rows.

        Args:
            values: shape [n].
            users: whose values these are, shape [n].
            batch: the batch that the users were drawn from.
            coordinates: as in ``reduce``.
        """
        if self.config["kd_reduction"] == "sum":
            values = values * (batch.row_counts(users) * (self.positives(batch) / len(batch.query)))
        return self.reduce(values, len(batch.queries), coordinates)

    def get_extra_state(self) -> dict[str, Any]:
        """For the resume point: the state of the term's generator."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what ``get_extra_state`` returned."""
        self.generator.set_state(state["generator"])


def combine_sides(user: torch.Tensor, pos: torch.Tensor, neg: torch.Tensor) -> torch.Tensor:
    """The users' loss plus the mean of the losses of positive and negative items."""
    return user + 0.5 * (pos + neg)


def refuse_subsampled_sum(config: Config, name: str) -> None:
    """Refuse a sum over drawn entities for a term that compares pairs.

    Drawing changes the shares of the kinds of pairs, so the sum over all pairs cannot be estimated.

    Raises:
        KDError: ``kd_reduction: sum`` together with ``kd_rows``.
    """
    if config["kd_reduction"] == "sum" and config["kd_rows"] > 0:
        raise KDError(
            f"{name} compares pairs, whose sum cannot be estimated from drawn rows: set kd_rows=0 with the sum"
        )
