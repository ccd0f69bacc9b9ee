"""A model's own loss as the papers have it: RecBole's is a mean over the batch's rows, theirs a sum."""

from recbole.utils import InputType


def sum_over_rows(loss, rows, config):
    """A RecBole model's loss, a mean over ``rows`` rows or a tuple of such parts, as their sum.

    Several negatives of one positive, which RecBole puts into rows of their own, count as one row.
    """
    loss = sum(loss) if isinstance(loss, tuple) else loss
    pairwise = config["MODEL_INPUT_TYPE"] == InputType.PAIRWISE
    return loss * rows / (config["train_neg_sample_args"]["sample_num"] if pairwise else 1)
