"""What keeps losses finite and precise: single precision at least, and masked logits without infinities."""

import torch


def at_least_float32(values: torch.Tensor) -> torch.Tensor:
    """Half-precision values, as autocast gives them, in float32; float32 and float64 are returned unchanged.

    >>> at_least_float32(torch.ones(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def mask_logits(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Set logits outside a mask so low that a softmax gives them the probability 0.

    They stay finite, so a row whose mask is all False gives no NaN.

    Args:
        logits: any shape.
        mask: bool, the same shape; True where a logit counts.

    >>> mask_logits(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True])).softmax(0)
    tensor([0.1192, 0.0000, 0.8808])
    """
    return logits.masked_fill(~mask, torch.finfo(logits.dtype).min / 4)
