"""Pure loss functions on tensors: one value a row, reduced by who calls."""
