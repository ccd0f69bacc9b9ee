"""Pure loss functions on tensors: one value a row, reduced by who calls."""

import torch


def at_least_float32(values):
    """Half precision, as autocast gives it, to float32; float32 and float64 as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
