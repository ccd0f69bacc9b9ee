"""HetComp: several unlike teachers, from easy to hard along their training trajectories, at the output layer."""

import sys

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.errors import KDError
from recbole_kd.knowledge.base import TRAJECTORY_K
from recbole_kd.knowledge.ensemble import consensus_of_lists
from recbole_kd.losses import at_least_float32, mask_logits
from recbole_kd.losses.ranking import above_tail, plackett_luce
from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.ranking import list_discrepancy
from recbole_kd.term.base import Term
from recbole_kd.term.schedule import is_refresh_epoch

EASIER = 0.995  # by which the threshold falls from one look at the student to the next


class HetComp(Term):
    r"""The consensus of the teachers' lists, each teacher as far along its training as the student can follow.

    **Dynamic knowledge construction.** A user stands at a state :math:`v_x` of each teacher x, at first the earliest.
    Every p epochs the student's discrepancy :math:`D_x` to the lists of the next state is measured; with
    :math:`\delta_x` its last value, the user moves on where :math:`\delta_x / D_x` is above :math:`0.995^{\lfloor e/p
    \rfloor} \alpha` or below 1. T is the consensus of the lists of the states that were reached.

    **Adaptive transfer.** With P the user's best training items as the teachers rank them and
    :math:`Z_q = \sum_{j \notin I_u^+, j \notin T_{1..q}} e^{s_{uj}}`, while some are not at their last states

    .. math:: \ell(u) = -2 \sum_{i \in P \cup T} \log \frac{e^{s_{ui}}}{e^{s_{ui}} + Z_K}

    and from then on, with PL(list; Z) the likelihood by Plackett and Luce of a list above a tail,

    .. math:: \ell(u) = PL(P; Z_{K/2}) + \tfrac12 \big(PL(T_{1..K/2}; Z_{K/2}) + PL(T_{1..K/10}; Z_{K/10})\big).

    Averaged over the batch's unique users and K. The tail beyond T is summed over ``hetcomp_items`` items drawn each
    step, an unbiased estimate of Z, or over all where there are not more.

    Source: Kang et al., WWW 2023, after the authors' code; the importance in the consensus, the choice of states and
    the order of P are reconstructed. The weight 2 is that of their single-teacher code, as 0.01 to 0.005 of this one's.
    """

    layer = "output"
    teacher_needs = Capability.RANKS
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    follows_training = True
    place: torch.Tensor
    last: torch.Tensor
    best: torch.Tensor
    marks: torch.Tensor

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.k = self.list_length(config, knowledge.n_items)
        self.upper, self.tenth = max(1, self.k // 2), max(1, self.k // 10)
        self.states = knowledge.trajectories(config["teacher_states"], self.k)
        self.seen = knowledge.top_seen(self.tenth)
        shape, device = (len(self.states), knowledge.n_users), config["device"]
        self.register_buffer("place", torch.zeros(shape, dtype=torch.uint8, device=device))
        self.register_buffer("last", torch.ones(shape, dtype=torch.float64, device=device))
        self.register_buffer("best", torch.zeros(shape[1], self.k, dtype=torch.int32, device=device))
        # the epoch at which the ranking began, and whether the student was ever compared
        self.register_buffer("marks", torch.tensor([-1, 0], device=device))
        self._construct()

    @classmethod
    def check(cls, config):
        if config["hetcomp_k"] > TRAJECTORY_K:
            raise KDError(
                f"hetcomp_k={config['hetcomp_k']} is out of range: the teachers' lists hold {TRAJECTORY_K} items"
            )

    @classmethod
    def list_length(cls, config, n_items):
        return max(1, min(config["hetcomp_k"], (n_items - 1) // 2))  # a tail has to be left

    @property
    def base_weight(self):
        return float(self.key("base_weight")) if self.key("weight") else 1.0  # switched off it leaves plain training

    @property
    def last_phase(self):
        began = int(self.marks[0])
        return began if began >= 0 else sys.maxsize

    def progress(self):
        users = slice(1, None)
        found = {}
        for x, states in enumerate(self.states):
            at = self.place[x, users].double()
            found[f"teacher {x + 1} mean state"] = float(at.mean()) + 1
            found[f"teacher {x + 1} users at the last state"] = float((at == len(states) - 1).double().mean())
            if self.marks[1]:
                found[f"teacher {x + 1} discrepancy"] = float(self.last[x, users].mean())
        return found

    def start_epoch(self, epoch, student):
        if not self._all_final() and epoch >= self.key("warm_up") and is_refresh_epoch(epoch, self.key("refresh")):
            with student.eval_view() as view:
                own = self.knowledge.top_unseen(view, self.key("agree_k")).ids
            self._move(own, epoch // self.key("refresh"))
            self._construct()
        if self._all_final() and self.marks[0] < 0:
            self.marks[0] = epoch

    def loss(self, batch):
        users = self.subsample(batch.users)
        best, seen = self.best[users], self.seen[users]
        scores = batch.student.score(users, torch.cat([best, seen], 1))
        taught, known = scores[:, : self.k], scores[:, self.k :]
        tail = self._tail(batch.student, users, best)
        overall = self.key("transfer") == "overall" or (self.key("transfer") == "adaptive" and self.marks[0] < 0)
        if overall:
            values = 2.0 * (above_tail(taught, tail, best > 0) + above_tail(known, tail, seen > 0))
        else:
            values = self._ranking(taught, known, tail, best > 0, seen > 0)
        return self.reduce(values, len(batch.users), parts=self.k)

    def _ranking(self, taught, known, tail, there, seen):
        half, tenth = self.upper, self.tenth
        below_half = _joined(tail, taught[:, half:], there[:, half:])
        below_tenth = _joined(below_half, taught[:, tenth:half], there[:, tenth:half])

        def likelihood(listed, mask, below):
            return plackett_luce(listed, below[:, None], mask, torch.ones_like(below, dtype=torch.bool)[:, None])

        return likelihood(known, seen, below_half) + 0.5 * (
            likelihood(taught[:, :half], there[:, :half], below_half)
            + likelihood(taught[:, :tenth], there[:, :tenth], below_tenth)
        )

    def _tail(self, view, users, best):
        """log Z_K: of all that is neither a training item of the user nor in the list, shape [b]."""
        m, count = self.knowledge.n_items - 1, self.key("items")
        if 0 < count < m:
            items = torch.randperm(m, generator=self.generator, device=users.device)[:count] + 1
            scores = view.score_cross(users, items)
        else:
            items = torch.arange(1, m + 1, device=users.device)
            scores = view.score_all(users)[:, 1:]
        column = torch.full((m + 1,), -1, device=users.device)
        column[items] = torch.arange(len(items), device=users.device)
        row, item = self.knowledge.seen_pairs(users)
        rows = torch.cat([row, torch.arange(len(users), device=users.device).repeat_interleave(best.shape[1])])
        columns = column[torch.cat([item, best.flatten().long()])]
        there = torch.ones_like(scores, dtype=torch.bool)
        there[rows[columns >= 0], columns[columns >= 0]] = False
        return mask_logits(scores, there).logsumexp(1) + torch.log(torch.tensor(m / len(items)))

    def _all_final(self):
        """The authors' rule: each teacher's mean state, to two decimals, is its last."""
        means = self.place[:, 1:].double().mean(1)
        return all(round(float(mean), 2) >= len(states) - 1 for mean, states in zip(means, self.states, strict=True))

    def _move(self, own, turn):
        """Compare the student's lists with each teacher's next state, and let users move on."""
        threshold = self.key("alpha") * EASIER**turn
        everyone = torch.arange(len(own), device=own.device)
        for x, states in enumerate(self.states):
            end = len(states) - 1
            here = self.place[x].long()
            now = list_discrepancy(own, states[(here + 1).clamp(max=end), everyone])
            if not self.marks[1]:
                self.last[x] = now
                continue
            ratio = self.last[x] / now  # infinite where the student has got there
            moves = (here < end) & ((ratio > threshold) | (ratio < 1) | (now == 0))
            self.place[x] += moves.byte()
            then = list_discrepancy(own, states[(here + moves + 1).clamp(max=end), everyone])
            self.last[x] = torch.where(moves, then, self.last[x])
        self.marks[1] = 1

    def _construct(self):
        """T of each user."""
        everyone = torch.arange(self.place.shape[1], device=self.best.device)
        for users in everyone.split(block_rows(TRAJECTORY_K * len(self.states))):
            lists = [states[self.place[x, users].long(), users] for x, states in enumerate(self.states)]
            self.best[users] = consensus_of_lists(lists, self.k, self.key("temperature"), self.knowledge.weights)[0]


def _joined(tail, scores, there):
    """The logarithm of a tail's sum with more entries in it."""
    if not scores.shape[1]:
        return tail
    return torch.logaddexp(tail, mask_logits(at_least_float32(scores), there).logsumexp(1))
