"""BD: bidirectional distillation, in which a copy of the teacher learns from the student too."""

import copy

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from recbole_kd.backbone.capabilities import FACTORS, Capability
from recbole_kd.errors import KDError
from recbole_kd.losses import at_least_float32
from recbole_kd.ops.blocks import row_blocks
from recbole_kd.ops.ranking import argsort_descending
from recbole_kd.ops.sampling import sample_outside
from recbole_kd.term.base import Term
from recbole_kd.term.schedule import is_refresh_epoch
from recbole_kd.trainer.rng import preserve_rng, restore_rng, rng_state


class BD(Term):
    r"""Student and teacher train side by side, each on its own loss and on the other's softened scores of items that
    the other ranks higher.

    .. math:: L_S = L_{base} + \lambda_S \,\mathrm{BCE}(s_{uj}, \sigma(t_{uj} / T_t)), \quad
        L_T = L_{base}^T + \lambda_T \,\mathrm{BCE}(t_{uj'}, \sigma(s_{uj'} / T_s))

    Unseen items are drawn by the difference of their ranks, one a row of the batch: for the student j with
    :math:`p \propto \tanh(\max(\epsilon_t (r_S - r_T), 0))`, for the teacher j' with
    :math:`p \propto \exp(\epsilon_e (r_T - r_S))`, ranks taken anew every ``bd_refresh`` epochs. They are taken among
    ``bd_candidates`` uniform unseen items a user and scaled up to the catalogue, where the authors sort all of it.

    The teacher is a copy: what was trained before stays as it is, and only the student ships. Both take their step at
    once, with the same optimiser.

    Source: Kweon et al., WWW 2021, arXiv 2106.02870, after the authors' notebook. Its samplers evaluate to the opposite
    sign of what the paper means: ``bd_sign: notebook``. Its base losses take j as the negative item; here they keep
    RecBole's.
    """

    layer = "output"
    teacher_needs = FACTORS | Capability.SCORES
    student_needs = Capability.SCORES
    needs_negatives = True
    reads_scores = False
    for_student: torch.Tensor
    for_teacher: torch.Tensor

    @classmethod
    def check(cls, config):
        if config["clip_grad_norm"]:
            raise KDError("BD trains two models in one step: clip_grad_norm would clip both by their common norm")
        sides = config, config.teacher or config  # a file of scores is refused elsewhere
        own, theirs = ((side["train_neg_sample_args"] or {}).get("sample_num") for side in sides)
        if sides[1]["model"] == "SimpleX" and own != theirs:  # it cuts a batch up by its own number
            raise KDError(
                f"BD trains its teacher SimpleX on the student's batches, of {own} negative items each, and it expects "
                f"{theirs}: write the same train_neg_sample_args for both"
            )

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.teacher = copy.deepcopy(knowledge.backbone.model).requires_grad_(True)
        self.taught = type(knowledge.backbone)(self.teacher)
        self.outside = knowledge.excluded_from_sampling()
        self.stream = rng_state()  # of the teacher's own draws, dropout's, say: the global sources are RecBole's
        shape, device = (knowledge.n_users, self.key("pool")), config["device"]
        for name in ("for_student", "for_teacher"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int32, device=device))

    def start_epoch(self, epoch, student):
        if is_refresh_epoch(epoch, self.key("refresh")):
            with student.eval_view() as small, self.taught.eval_view() as large:
                for users in row_blocks(self.knowledge.n_users, self.key("candidates"), "cpu"):
                    self._draw(int(users[0]), int(users[-1]) + 1, small, large)

    def loss(self, batch):
        """The student's part; the teacher's, its own loss included, is put aside for ``weighted``."""
        rows = self.subsample(batch.row_order)
        users = batch.user[rows]
        slot = torch.randint(self.key("pool"), (len(rows), 2), generator=self.generator, device=users.device)
        items = torch.stack([self.for_student[users, slot[:, 0]], self.for_teacher[users, slot[:, 1]]], 1)
        with self.taught.view() as view:
            base = self._base(batch.interaction)
            s, t = batch.student.score(users, items), view.score(users, items)
        student = self._soft(s[:, 0], t[:, 0] / self.key("teacher_temperature"), items[:, 0])
        teacher = self._soft(t[:, 1], s[:, 1] / self.key("student_temperature"), items[:, 1])
        whole = self.positives(batch)
        if self.config["kd_reduction"] == "sum":
            base = base * whole
        self.of_teacher = base + self.key("teacher_weight") * self.reduce(teacher, whole)
        return self.reduce(student, whole)

    def weighted(self, batch):
        return super().weighted(batch) | {"BD teacher": self.of_teacher}

    def _soft(self, logits, label, items):
        label = at_least_float32(label.detach()).sigmoid()
        loss = binary_cross_entropy_with_logits(at_least_float32(logits), label, reduction="none")
        return torch.where(items > 0, loss, 0.0)  # 0: a user who has seen everything

    def _base(self, interaction):
        """The teacher's own loss, with its own source of randomness."""
        with preserve_rng():
            restore_rng(self.stream)
            base = self.teacher.calculate_loss(interaction)
            self.stream = rng_state()
        return sum(base) if isinstance(base, tuple) else base

    def _draw(self, start, stop, small, large):
        """The pools of items of the users from ``start`` to ``stop``."""
        knowledge, device = self.knowledge, self.for_student.device
        users = torch.arange(start, stop, device=device)
        items, there = sample_outside(self.outside.slice_rows(start, stop), self.key("candidates"), self.generator)
        there = there & (users[:, None] > 0)
        scale = (knowledge.n_items - 1) / self.key("candidates")
        ranks = [self._ranks(self._scores(view, users, items), there) * scale for view in (small, large)]
        ahead = ranks[0] - ranks[1] if self.key("sign") == "paper" else ranks[1] - ranks[0]
        to_student = (self.key("epsilon_t") * ahead).clamp(min=0).tanh()
        wanted = torch.where(there, -self.key("epsilon_e") * ahead, -torch.inf)
        to_teacher = (wanted - wanted.amax(1, keepdim=True)).exp().nan_to_num()  # beside the best: exp of it overflows
        for pool, weight in ((self.for_student, to_student), (self.for_teacher, to_teacher)):
            weight = torch.where(there, weight, 0.0)
            some = weight.sum(1) > 0
            weight[~some] = 1.0
            drawn = torch.multinomial(weight, self.key("pool"), replacement=True, generator=self.generator)
            pool[start:stop] = torch.where(some[:, None], torch.gather(items, 1, drawn), 0).int()

    @staticmethod
    def _scores(view, users, items):
        """A vector for each candidate is wider than its score, so fewer users are looked at at once."""
        scores = torch.empty(items.shape, device=items.device)  # beforehand: small results would pin large leftovers
        for rows in row_blocks(len(users), items.shape[1] * view.width, "cpu"):
            scores[rows] = view.score(users[rows], items[rows])
        return scores

    @staticmethod
    def _ranks(scores, there):
        """0 is the best; what is not there comes last."""
        order = argsort_descending(scores.masked_fill(~there, -torch.inf))
        return torch.zeros_like(scores).scatter_(1, order, torch.arange(order.shape[1]).to(scores).expand_as(scores))

    def get_extra_state(self):
        return super().get_extra_state() | {"stream": self.stream}

    def set_extra_state(self, state):
        super().set_extra_state(state)
        self.stream = state["stream"]
