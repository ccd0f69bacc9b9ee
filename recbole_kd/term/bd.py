"""BD: bidirectional distillation, in which a copy of the teacher learns from the student too."""

import copy
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import FACTORS, Capability
from recbole_kd.backbone.views import View
from recbole_kd.config.configurator import Config
from recbole_kd.errors import KDError
from recbole_kd.losses import at_least_float32, soft_binary_loss
from recbole_kd.ops.blocks import row_blocks
from recbole_kd.ops.rank_gaps import draw_weighted, gap_weights
from recbole_kd.ops.ranking import score_ranks
from recbole_kd.ops.sampling import sample_outside
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.schedule import is_refresh_epoch
from recbole_kd.trainer.rng import preserve_rng, restore_rng, rng_state


class BD(Term):
    r"""Student and teacher are trained together, each by its loss and by the other's softened scores of items that the
    other ranks higher.

    .. math:: L_S = L_{base} + \lambda_S \,\mathrm{BCE}(s_{uj}, \sigma(t_{uj} / T_t)), \quad
        L_T = L_{base}^T + \lambda_T \,\mathrm{BCE}(t_{uj'}, \sigma(s_{uj'} / T_s))

    Unseen items are drawn by the difference of their ranks, one a row of the batch: for the student j with
    :math:`p \propto \tanh(\max(\epsilon_t (r_S - r_T), 0))`, for the teacher j' with
    :math:`p \propto \exp(\epsilon_e (r_T - r_S))`, ranks taken anew every ``bd_refresh`` epochs. They are taken among
    ``bd_candidates`` uniform unseen items a user and scaled up to the catalogue, where the authors sort all of it.

    The trained teacher is copied and not changed, and only the student ships. Both are updated in the same step, by the
    same optimiser.

    Source: Kweon et al., WWW 2021, arXiv 2106.02870.

    Fidelity: high, after the authors' notebook. Its samplers have the opposite sign of the paper's:
    ``bd_sign: notebook``. Its base losses take j as the negative item; here they keep RecBole's.
    """

    layer = "output"
    teacher_needs = FACTORS | Capability.SCORES
    student_needs = Capability.SCORES
    needs_negatives = True
    reads_scores = False
    student_pool: torch.Tensor
    teacher_pool: torch.Tensor

    @classmethod
    def check(cls, config: Config) -> None:
        if config["clip_grad_norm"]:
            raise KDError(
                "BD trains two models in one step, which clip_grad_norm would clip by their common norm: leave it out"
            )
        if any(spec.entry.files for spec in config.teachers):
            raise KDError("BD trains its teacher beside the student, and a file cannot be trained: use a model")
        teacher = config.teacher or config
        student_n, teacher_n = ((side["train_neg_sample_args"] or {}).get("sample_num") for side in (config, teacher))
        if teacher["model"] == "SimpleX" and student_n != teacher_n:  # it reshapes a batch by its setting
            raise KDError(
                f"BD trains its teacher SimpleX on the student's batches, of {student_n} negative items each, and it "
                f"expects {teacher_n}: write the same train_neg_sample_args for both"
            )

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.teacher = copy.deepcopy(knowledge.backbone.model).requires_grad_(True)
        self.teacher_backbone = type(knowledge.backbone)(self.teacher)
        self.excluded = knowledge.excluded_from_sampling()
        self.stream = rng_state()  # of the teacher's draws, such as dropout: the global generators are RecBole's
        shape, device = (knowledge.n_queries, self.key("pool")), config["device"]
        for name in ("student_pool", "teacher_pool"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int32, device=device))

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if is_refresh_epoch(epoch, self.key("refresh")):
            with student.eval_view() as student_view, self.teacher_backbone.eval_view() as teacher_view:
                for users in row_blocks(self.knowledge.n_queries, self.key("candidates"), "cpu"):
                    self._draw(int(users[0]), int(users[-1]) + 1, student_view, teacher_view)

    def loss(self, batch: Batch) -> torch.Tensor:
        """The student's loss; the teacher's, its base loss included, is kept for ``weighted``."""
        rows = self.subsample(batch.row_order)
        users = batch.query[rows]
        slot = torch.randint(self.key("pool"), (len(rows), 2), generator=self.generator, device=users.device)
        items = torch.stack([self.student_pool[users, slot[:, 0]], self.teacher_pool[users, slot[:, 1]]], 1)
        with self.teacher_backbone.view() as view:
            base = self._teacher_base_loss(batch.interaction)
            s, t = batch.student.score(users, items), view.score(users, items)
        student = _soft_loss(s[:, 0], t[:, 0] / self.key("teacher_temperature"), items[:, 0])
        teacher = _soft_loss(t[:, 1], s[:, 1] / self.key("student_temperature"), items[:, 1])
        population = self.positives(batch)
        if self.config["kd_reduction"] == "sum":
            base = base * population
        self.teacher_loss = base + self.key("teacher_weight") * self.reduce(teacher, population)
        return self.reduce(student, population)

    def weighted(self, batch: Batch) -> dict[str, torch.Tensor]:
        return super().weighted(batch) | {"BD teacher": self.teacher_loss}

    def _teacher_base_loss(self, interaction: Any) -> Any:
        """The teacher's RecBole loss, which draws from the term's stream."""
        with preserve_rng():
            restore_rng(self.stream)
            base = self.teacher.calculate_loss(interaction)
            self.stream = rng_state()
        return sum(base) if isinstance(base, tuple) else base

    def _draw(self, start: int, stop: int, student_view: View, teacher_view: View) -> None:
        """Draw the pools of the users from ``start`` to ``stop``."""
        users = torch.arange(start, stop, device=self.student_pool.device)
        items, mask = sample_outside(self.excluded.slice_rows(start, stop), self.key("candidates"), self.generator)
        mask = mask & (users[:, None] > 0)
        scale = (self.knowledge.n_items - 1) / self.key("candidates")
        views = (student_view, teacher_view)
        student, teacher = (score_ranks(view.score_in_blocks(users, items), mask) * scale for view in views)
        gaps = student - teacher if self.key("sign") == "paper" else teacher - student
        weights = gap_weights(gaps, mask, self.key("epsilon_t"), self.key("epsilon_e"))
        for pool, weight in zip((self.student_pool, self.teacher_pool), weights, strict=True):
            pool[start:stop] = draw_weighted(items, weight, self.key("pool"), self.generator)

    def get_extra_state(self) -> dict[str, Any]:
        return super().get_extra_state() | {"stream": self.stream}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self.stream = state["stream"]


def _soft_loss(logits: torch.Tensor, label: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy against softened scores; 0 for the item 0, of a user who has seen everything."""
    label = at_least_float32(label.detach()).sigmoid()
    return soft_binary_loss(logits[:, None], label[:, None], items[:, None] > 0)
