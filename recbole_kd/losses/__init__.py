"""Pure loss functions on tensors: one value a row, reduced by who calls."""

import torch


def at_least_float32(values):
    """Half precision, as autocast gives it, to float32; float32 and float64 as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def mask_logits(logits, mask):
    """Logits of which those outside the bool mask are too low to count; finite, so that a row without any that counts
    gives no NaN.
    """
    return logits.masked_fill(~mask, torch.finfo(logits.dtype).min / 4)
