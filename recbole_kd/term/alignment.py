"""What the terms share that pull each projected vector of the student to the teacher's."""

import torch

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.losses.feature import squared_distance
from recbole_kd.term.base import Term
from recbole_kd.term.projectors import Experts
from recbole_kd.term.schedule import geometric_decay


class Alignment(Term):
    r"""A value an entity, over the batch's users, its positive and its negative items, each once.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell)

    A subclass gives ``values`` or ``compare``, and makes ``user_projector`` and ``item_projector``.

    Attributes:
        parts: the coordinates that an entity's value sums over; the mean is over them too.
    """

    layer = "intermediate"
    teacher_needs = FACTORS
    student_needs = FACTORS
    needs_negatives = True
    reads_scores = False

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.parts = knowledge.width

    def loss(self, batch):
        groups = (batch.users, batch.pos_items, batch.neg_items)
        some = [self.subsample(ids) for ids in groups]
        # the items of both kinds in one pass: each gathering costs a table of gradients
        values = self.values(batch.student, some[0], torch.cat(some[1:])).split([len(ids) for ids in some])
        user, pos, neg = (
            self.reduce(value, len(whole), self.parts) for value, whole in zip(values, groups, strict=True)
        )
        return user + 0.5 * (pos + neg)

    def values(self, student, users, items):
        """A value for each of the users and then of the items, shape [n]."""
        sides = (("user", users, student.users), ("item", items, student.items))
        return torch.cat([self.compare(side, ids, vectors(ids)) for side, ids, vectors in sides])

    def compare(self, side, ids, vectors):
        """The value of each entity: ids [n], the student's vectors [n, d_S], result [n]."""
        return squared_distance(self.project(side, ids, vectors), self.knowledge.factors(side)[ids])

    def projector(self, side):
        """The side's projector."""
        return self.user_projector if side == "user" else self.item_projector

    def project(self, side, ids, vectors):
        """Student's vectors, shape [n, d_S], into the teacher's space, [n, d_T]."""
        return self.projector(side)(vectors, self.generator)


class GatedAlignment(Alignment):
    """An alignment through experts whose gates harden over the epochs.

    Attributes:
        counted_by: the key that says how many experts a side has.
        tau: the gates' temperature.
    """

    counted_by = "experts"

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        hidden = max(1, width // 2 if width == knowledge.width else (width + knowledge.width) // 2)
        shape = (width, knowledge.width, hidden, self.key(self.counted_by))
        self.user_projector, self.item_projector = Experts(*shape), Experts(*shape)
        self.tau = self.key("tau_start")

    def start_epoch(self, epoch, student):
        self.tau = geometric_decay(epoch, self.key("anneal"), self.key("tau_start"), self.key("tau_end"))

    def project(self, side, ids, vectors):
        """Student's vectors, shape [n, d_S], into the teacher's space, [n, d_T], with fresh noise in the gates."""
        return self.projector(side)(vectors, self.knowledge.factors(side)[ids], self.tau, self.generator)
