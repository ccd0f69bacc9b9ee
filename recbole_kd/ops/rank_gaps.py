"""Draws by how far apart two models rank the same items, as BD has them."""

import torch


def gap_weights(
    gaps: torch.Tensor, mask: torch.Tensor, tanh_scale: float, exp_scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""The weights :math:`\tanh(\max(\epsilon_t g, 0))` and :math:`\exp(-\epsilon_e g)` of rank gaps g.

    Args:
        gaps: shape [n, c].
        mask: bool, shape [n, c]; the weights are 0 outside it.
        tanh_scale: epsilon_t.
        exp_scale: epsilon_e.

    Returns:
        two tensors of shape [n, c]; the second relative to its row's largest, so that exp does not overflow.

    Source: Kweon et al., WWW 2021 (BD).

    >>> gap_weights(torch.tensor([[1.0, -1.0]]), torch.tensor([[True, True]]), 0.5, 0.5)
    (tensor([[0.4621, 0.0000]]), tensor([[0.3679, 1.0000]]))
    """
    rising = (tanh_scale * gaps).clamp(min=0).tanh()
    logits = torch.where(mask, -exp_scale * gaps, -torch.inf)
    falling = (logits - logits.amax(1, keepdim=True)).exp().nan_to_num()
    return torch.where(mask, rising, 0.0), torch.where(mask, falling, 0.0)


def draw_weighted(items: torch.Tensor, weights: torch.Tensor, k: int, generator: torch.Generator) -> torch.Tensor:
    """Draw k of each row's items with replacement, in proportion to their weights.

    Args:
        items: shape [n, c].
        weights: >= 0, shape [n, c].
        k: items to draw for each row.
        generator: where the randomness comes from.

    Returns:
        int32, shape [n, k]; 0 in a row without any weight.

    >>> weights = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    >>> draw_weighted(torch.tensor([[5, 6], [7, 8]]), weights, 3, torch.Generator().manual_seed(0))
    tensor([[6, 6, 6],
            [0, 0, 0]], dtype=torch.int32)
    """
    drawable = weights.sum(1) > 0
    weights = torch.where(drawable[:, None], weights, 1.0)
    drawn = torch.multinomial(weights, k, replacement=True, generator=generator)
    return torch.where(drawable[:, None], torch.gather(items, 1, drawn), 0).int()
