"""How far along each teacher's training every user has come, as HetComp's dynamic knowledge construction has it."""

from collections.abc import Sequence

import torch
from torch import nn

from recbole_kd.knowledge.base import TRAJECTORY_K
from recbole_kd.knowledge.ensemble import consensus_of_lists
from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.ranking import list_discrepancy

DECAY = 0.995  # of the threshold, from one comparison to the next


class TrajectoryStates(nn.Module):
    r"""The state of each teacher's training that each user learns from, at first the earliest.

    Args:
        lists: for each teacher x its lists at V_x states of its training, int32, shape [V_x, n + 1, K].
        weights: how much each teacher counts in the consensus.
        alpha: the threshold at the first comparison.
        device: where the states are kept.

    Attributes:
        state: uint8, shape [X, n + 1].
        discrepancy: the student's last discrepancy to the lists of the next state, float64, shape [X, n + 1].
        compared: whether the student was ever compared; a tensor, so that resume points hold it.
    """

    state: torch.Tensor
    discrepancy: torch.Tensor
    compared: torch.Tensor

    def __init__(
        self, lists: Sequence[torch.Tensor], weights: Sequence[float], alpha: float, device: torch.device | str
    ) -> None:
        super().__init__()
        self.lists, self.weights, self.alpha = lists, weights, alpha
        shape = (len(lists), lists[0].shape[1])
        self.register_buffer("state", torch.zeros(shape, dtype=torch.uint8, device=device))
        self.register_buffer("discrepancy", torch.ones(shape, dtype=torch.float64, device=device))
        self.register_buffer("compared", torch.tensor(False, device=device))

    def all_final(self) -> bool:
        """The authors' rule: each teacher's mean state, to two decimals, is its last."""
        means = self.state[:, 1:].double().mean(1)
        return all(round(float(mean), 2) >= len(lists) - 1 for mean, lists in zip(means, self.lists, strict=True))

    def advance(self, student_ids: torch.Tensor, turn: int) -> None:
        """Compare the student's lists with each teacher's next state, and let users move on.

        Args:
            student_ids: the student's lists, shape [n + 1, k].
            turn: the number of the comparison, which lowers the threshold.
        """
        threshold = self.alpha * DECAY**turn
        users = torch.arange(len(student_ids), device=student_ids.device)
        for x, lists in enumerate(self.lists):
            end = len(lists) - 1
            state = self.state[x].long()
            now = list_discrepancy(student_ids, lists[(state + 1).clamp(max=end), users])
            if not self.compared:
                self.discrepancy[x] = now
                continue
            ratio = self.discrepancy[x] / now  # infinite where the student has reached the next state
            moves = (state < end) & ((ratio > threshold) | (ratio < 1) | (now == 0))
            self.state[x] += moves.byte()
            following = list_discrepancy(student_ids, lists[(state + moves + 1).clamp(max=end), users])
            self.discrepancy[x] = torch.where(moves, following, self.discrepancy[x])
        self.compared.fill_(True)

    def consensus(self, k: int, temperature: float) -> torch.Tensor:
        """The consensus of the lists of the reached states: int32, shape [n + 1, k]."""
        n = self.state.shape[1]
        merged = torch.zeros(n, k, dtype=torch.int32, device=self.state.device)
        for users in torch.arange(n, device=merged.device).split(block_rows(TRAJECTORY_K * len(self.lists))):
            reached = [lists[self.state[x, users].long(), users] for x, lists in enumerate(self.lists)]
            merged[users] = consensus_of_lists(reached, k, temperature, self.weights)[0]
        return merged

    def progress(self) -> dict[str, float]:
        """Of each teacher the users' mean state, how many are at the last, and their mean discrepancy."""
        numbers = {}
        for x, lists in enumerate(self.lists):
            state = self.state[x, 1:].double()
            numbers[f"teacher {x + 1} mean state"] = float(state.mean()) + 1
            numbers[f"teacher {x + 1} users at the last state"] = float((state == len(lists) - 1).double().mean())
            if self.compared:
                numbers[f"teacher {x + 1} discrepancy"] = float(self.discrepancy[x, 1:].mean())
        return numbers
