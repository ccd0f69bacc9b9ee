"""The loss of a model summed over the rows of a batch, as the papers have it; RecBole takes the mean."""

from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.utils import InputType


def sum_over_rows(loss: torch.Tensor | tuple[torch.Tensor, ...], rows: int, config: RecBoleConfig) -> torch.Tensor:
    """Turn the loss of a RecBole model, a mean over rows, into a sum over rows.

    RecBole puts several negatives of one positive into separate rows of a pairwise batch. They count as one row.

    Args:
        loss: the mean, a scalar or a tuple of scalars that add up to it.
        rows: number of rows of the batch.
        config: the Config of the model.

    Returns:
        The sum, a scalar.
    """
    mean: Any = sum(loss) if isinstance(loss, tuple) else loss
    pairwise = config["MODEL_INPUT_TYPE"] == InputType.PAIRWISE
    return mean * rows / (config["train_neg_sample_args"]["sample_num"] if pairwise else 1)
