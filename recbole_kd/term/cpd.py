"""CPD: distillation with consistent preference, at the intermediate layer."""

import torch
from torch.nn.functional import normalize

from recbole_kd.layers import Projector
from recbole_kd.losses import at_least_float32
from recbole_kd.losses.feature import cosine_loss, pair_consistency
from recbole_kd.losses.soft_label import soft_label_loss
from recbole_kd.sampling import rank_weighted, some_of
from recbole_kd.term.base import Term


class CPD(Term):
    r"""An alignment through projectors, and regularisers that train the projectors alone to keep the student's order.

    With :math:`a_{ui} = e^S_u \cdot e^S_i` before the projectors and :math:`b_{ui} = p_U(e^S_u) \cdot p_I(e^S_i)` after
    them, the student's vectors detached in both:

    .. math:: L = L_{cos} + \alpha R_{pair} + \beta R_{list}

    R_pair compares each row's positive and negative item; R_list is the cross entropy of the softmax of b against that
    of a over Q items of the teacher's list, drawn anew each epoch, training positives excluded. It takes each user of
    the batch once, where the authors' sum takes a user once a row.

    Source: Zhu & Zhang, arXiv 2311.04549 v1, after the authors' first commit; the ``logistic`` pair is that of v2.
    """

    layer = "intermediate"
    needs = "factors"
    items: torch.Tensor

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        hidden = max(1, round(self.key("hidden_ratio") * knowledge.width))
        shape = (width, knowledge.width, hidden, self.key("experts"), self.key("dropout"))
        self.user_projector, self.item_projector = Projector(*shape), Projector(*shape)
        self.aligns = True
        self.top = knowledge.top_items(self.key("max_k"))
        self.register_buffer("items", torch.zeros(0, dtype=torch.int64), persistent=False)

    def share(self, user_projector, item_projector):
        """Regularise projectors of another term, which aligns them itself."""
        self.user_projector, self.item_projector = user_projector, item_projector
        self.aligns = False

    def start_epoch(self, epoch, student):
        ranks, there = rank_weighted(self.top.length, self.key("k"), self.key("temperature"), self.generator)
        self.items = torch.where(there, torch.gather(self.top.ids, 1, ranks), 0)

    def loss(self, batch):
        regulariser = self.key("pair_weight") * self._pairs(batch) + self.key("list_weight") * self._lists(batch)
        return self._alignment(batch) + regulariser if self.aligns else regulariser

    def _alignment(self, batch):
        def side(ids, vectors, projector, table):
            whole, ids = len(ids), some_of(ids, self.config["kd_rows"], self.generator)
            return self.reduce(cosine_loss(projector(vectors(ids), self.generator), table[ids]), whole)

        student, factors = batch.student, self.knowledge.factors
        user = side(batch.users, student.users, self.user_projector, factors("user"))
        pos, neg = (
            side(ids, student.items, self.item_projector, factors("item")) for ids in (batch.pos_items, batch.neg_items)
        )
        return user + 0.5 * (pos + neg)

    def _pairs(self, batch):
        rows = self._rows(batch)
        users, items = batch.user[rows], torch.stack([batch.pos_item[rows], batch.neg_item[rows]], 1)
        before, after = self._scores(batch.student, users, items)
        pair = pair_consistency(before[:, 0] - before[:, 1], after[:, 0] - after[:, 1], self.key("pair"))
        return self.reduce(pair, len(batch.user))

    def _rows(self, batch):
        # by value, not by place: a batch whose rows stand in another order gives the same draw
        size = self.knowledge.n_items
        order = torch.argsort((batch.user * size + batch.pos_item) * size + batch.neg_item, stable=True)
        return order[some_of(torch.arange(len(order), device=order.device), self.key("rows"), self.generator)]

    def _lists(self, batch):
        users = some_of(batch.users, self.key("rows"), self.generator)
        items = self.items[users]
        before, after = self._scores(batch.student, users, items)
        return self.reduce(soft_label_loss(after, before, self.key("tau"), items > 0), len(batch.users))

    def _scores(self, student, users, items):
        """The detached student's scores before and after the projectors, shape [n, c] each."""
        user, item = student.users(users).detach(), student.items(items).detach()
        before = torch.einsum("nd,ncd->nc", user, item)
        some, place = items.unique(return_inverse=True)
        projected = self._unit(self.item_projector, student.items(some).detach())[place]
        return before, torch.einsum("nd,ncd->nc", self._unit(self.user_projector, user), projected)

    def _unit(self, projector, vectors):
        return normalize(at_least_float32(projector(vectors, self.generator)), dim=-1)
