"""What every term is: one loss on one layer, with what it needs of the teacher and what it does between epochs."""

import zlib
from dataclasses import dataclass
from functools import cached_property

import torch
from recbole.data.interaction import Interaction
from torch import nn

from recbole_kd.backbone.base import View
from recbole_kd.backbone.capabilities import FACTORS, Capability
from recbole_kd.errors import KDError
from recbole_kd.ops.sampling import sample_subset


@dataclass
class Batch:
    """What a term sees of one step.

    Attributes:
        user, pos_item, neg_item: the rows of the batch, shape [b] each.
        student: the student's view, with gradients.
        interaction: the batch as RecBole made it.
    """

    user: torch.Tensor
    pos_item: torch.Tensor
    neg_item: torch.Tensor
    student: View
    interaction: Interaction | None = None

    @cached_property
    def users(self):
        """The batch's users, each once, ascending. Shape [<= b]."""
        return self.user.unique()

    def rows_of(self, users):
        """How many rows each of these users has, all of them users of the batch. Shape [n]."""
        everyone, rows = self.user.unique(return_counts=True)
        return rows[torch.searchsorted(everyone, users)]

    @cached_property
    def row_order(self):
        """The rows' places in an order that depends on their values alone: a draw from it is the same however the batch
        was shuffled. Shape [b].
        """
        size = int(torch.maximum(self.pos_item.max(), self.neg_item.max())) + 1
        return torch.argsort((self.user * size + self.pos_item) * size + self.neg_item, stable=True)

    @cached_property
    def pos_items(self):
        """The batch's positive items, each once."""
        return self.pos_item.unique()

    @cached_property
    def neg_items(self):
        """The batch's negative items, each once."""
        return self.neg_item.unique()


class Term(nn.Module):
    """One loss inside a method. A subclass sets ``layer`` and its needs, builds its parts, and gives ``loss``.

    Args:
        config: the method's Config.
        knowledge: the teacher's Knowledge.
        width: d_S, the width of the student's factors.

    Attributes:
        layer: ``input``, ``intermediate`` or ``output``.
        teacher_needs: what is read of the teacher.
        student_needs: what is read of the student's view.
        needs_negatives: whether the loss reads a batch's negative items.
        scored: whether it reads what the teacher scores or ranks, not its factors or its model alone.
        along: whether it follows a teacher along its training.
        shards: whether several processes may compute it, each on its part of a batch; not where the loss of a step
            depends on what earlier steps have left behind, other than weights.
        weight: the term's weight in the method's loss.
        generator: the term's own source of randomness.
    """

    layer = ""
    teacher_needs: Capability = FACTORS
    student_needs: Capability = FACTORS
    needs_negatives = False
    reads_scores = True
    follows_training = False
    distributable = True

    def __init__(self, config, knowledge, width):
        super().__init__()
        self.config, self.knowledge, self.width = config, knowledge, width
        self.name = type(self).__name__
        self.weight = self.key("weight")
        self.generator = torch.Generator(device=config["device"])
        self.generator.manual_seed(zlib.crc32(f"{self.name} {config['seed']}".encode()))

    def key(self, name):
        """The value of the key ``<term>_<name>``."""
        return self.config[f"{self.name.lower()}_{name}"]

    @property
    def last_phase(self):
        """The first epoch after the last scheduled phase: early stopping counts from there on."""
        return 0

    @property
    def base_weight(self):
        """What the student's own loss is multiplied by because of this term."""
        return 1.0

    def progress(self):
        """How far the term has come, numbers by name, for the log and TensorBoard; said after ``start_epoch``."""
        return {}

    def start_epoch(self, epoch, student):
        """Refresh what lasts for the epoch; ``student`` is the backbone to read the student by, without gradients."""

    def loss(self, batch: Batch):
        """The unweighted loss of one step, a scalar."""
        raise NotImplementedError

    def weighted(self, batch: Batch):
        """What the step adds to the student's loss, by the name that it is logged under."""
        return {self.name: self.weight * self.loss(batch)}

    @classmethod
    def check(cls, config):
        """Refuse, before any training, settings that the term cannot work with. Raises KDError."""

    @classmethod
    def list_length(cls, config, n_items):
        """How many items of each user's list a term that needs ranks asks for; 0 where it is not said beforehand."""
        return 0

    def positives(self, batch):
        """How many positive rows a batch has: RecBole repeats each for every negative."""
        return len(batch.user) / self.config["train_neg_sample_args"]["sample_num"]

    def subsample(self, ids):
        """The ``kd_rows`` of these ids that the term looks at in this step, drawn at random; a mean of one value each
        estimates the mean over all without bias.
        """
        return sample_subset(ids, self.config["kd_rows"], self.generator)

    def reduce(self, values, whole, parts=1):
        """A value a row to one: their mean, or under ``kd_reduction: sum`` the sum over the ``whole`` rows that the
        values were drawn from. A row's value may itself be a sum over ``parts`` positions or coordinates: the mean is
        then over them too.
        """
        mean = values.sum() / max(values.numel(), 1)
        return mean * whole if self.config["kd_reduction"] == "sum" else mean / parts

    def reduce_users(self, values, users, batch, parts=1):
        """The same of a value a user, for terms that their papers' code sums over the rows of a batch: under the sum a
        user counts as often as it has positive rows.
        """
        if self.config["kd_reduction"] == "sum":
            values = values * (batch.rows_of(users) * (self.positives(batch) / len(batch.user)))
        return self.reduce(values, len(batch.users), parts)

    def get_extra_state(self):
        """For the resume state: where the term's randomness stands."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state):
        """The same, back."""
        self.generator.set_state(state["generator"])


def refuse_part_of_a_sum(config, name):
    """For a term over pairs of entities, of which a draw shifts the kinds: a sum over part of them is no sum over all.
    Raises KDError.
    """
    if config["kd_reduction"] == "sum" and config["kd_rows"] > 0:
        raise KDError(
            f"{name} compares pairs, whose sum cannot be told from some of them: set kd_rows=0 beside the sum"
        )
