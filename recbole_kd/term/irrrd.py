"""IRRRD: relaxed ranking distillation with a regulariser on the side of the items, at the output layer."""

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.term.rrd import RRD


class IRRRD(RRD):
    r"""RRD for each user over items, and the same the other way round, for each item over users:

    .. math:: L = \mathrm{mean}_{u \in U_b} \ell(u) + \lambda_I \, \mathrm{mean}_{i \in J_b} \ell(i)

    with the loss of RRD in both. An item's list are the users who have not seen it in training, as the teacher scores
    them for it; J_b are the items in the lists of the batch's users, those drawn from outside included.

    Source: Kang et al., Information Sciences 2021 (IR-RRD), after the authors' code; very sure. They take all of J_b,
    up to the whole catalogue a step; here ``kd_rows`` of it are drawn.
    """

    teacher_needs = Capability.RANKS | Capability.ALL_SCORES
    student_needs = Capability.SCORES | Capability.USER_TABLE

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        top = knowledge.top_users(self.key("max_k"))
        self.item_lists = self.relaxed(
            top, knowledge.users_excluded_from_sampling(top), self.key("item_k"), self.key("item_uniform_k")
        )

    def draw(self):
        super().draw()
        self.item_lists.draw(self.generator)

    def loss(self, batch):
        items = self.side(self.item_lists, self._items(batch.users), batch.student.score_items)
        items = self.key("item_weight") * items
        return items if self.key("sides") == "item" else super().loss(batch) + items

    def _items(self, users):
        """What stands in the lists of these users, each item once."""
        found = torch.zeros(self.knowledge.n_items, dtype=torch.bool, device=users.device)
        found[self.lists.ids[users].flatten().long()] = True
        found[0] = False  # padding
        return found.nonzero().flatten()
