"""IRRRD: relaxed ranking distillation with a regulariser on the side of the items, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config.configurator import Config
from recbole_kd.term.batch import Batch
from recbole_kd.term.rrd import RRD


class IRRRD(RRD):
    r"""RRD for each user over items, and the same with the sides exchanged, for each item over users:

    .. math:: L = \mathrm{mean}_{u \in U_b} \ell(u) + \lambda_I \, \mathrm{mean}_{i \in J_b} \ell(i)

    with the loss of RRD in both. An item's list are the users who have not seen it in training, as the teacher scores
    them for it; J_b are the items in the lists of the batch's users, those drawn from outside included.

    Source: Kang et al., Information Sciences 2021 (IR-RRD).

    Fidelity: very high, after the authors' code. They take all of J_b, up to the whole catalogue a step; here
    ``kd_rows`` of it are drawn.
    """

    teacher_needs = Capability.RANKS | Capability.ALL_SCORES
    student_needs = Capability.SCORES | Capability.USER_TABLE

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        top = knowledge.top_users(self.key("max_k"))
        self.item_lists = self.relaxed(
            top, knowledge.users_excluded_from_sampling(top), self.key("item_k"), self.key("item_uniform_k")
        )

    def draw(self) -> None:
        super().draw()
        self.item_lists.draw(self.generator)

    def loss(self, batch: Batch) -> torch.Tensor:
        items = self.side(self.item_lists, self._items(batch.queries), batch.student.score_items)
        items = self.key("item_weight") * items
        return items if self.key("sides") == "item" else super().loss(batch) + items

    def _items(self, users: torch.Tensor) -> torch.Tensor:
        """The distinct items in the lists of these users."""
        listed = torch.zeros(self.knowledge.n_items, dtype=torch.bool, device=users.device)
        listed[self.lists.ids[users].flatten().long()] = True
        listed[0] = False  # padding
        return listed.nonzero().flatten()
