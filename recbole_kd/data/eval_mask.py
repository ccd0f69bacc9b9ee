"""Which items the evaluation of the test part leaves out."""

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader

from recbole_kd.errors import KDError


def mask_training(loader: FullSortEvalDataLoader, pairs: np.ndarray) -> None:
    """Make a test loader hide the training items only; RecBole's hides the validation items too.

    Args:
        loader: RecBole's FullSortEvalDataLoader of the test part.
        pairs: the training pairs as user * n_items + item, sorted, int64.

    Raises:
        KDError: the loader ranks a sample of the items; the sample was drawn outside training and validation items.
    """
    if not isinstance(loader, FullSortEvalDataLoader):
        raise KDError("eval_mask=train needs a test that ranks all items: leave eval_args.mode out, or set it to full")
    size = loader._dataset.item_num
    ends = np.searchsorted(pairs, np.arange(loader._dataset.user_num + 1, dtype=np.int64) * size)
    for user in loader.uid_list.tolist():
        seen = pairs[ends[user] : ends[user + 1]] % size
        test_items = loader.uid2positive_item[user].numpy()
        loader.uid2history_item[user] = torch.from_numpy(seen[~np.isin(seen, test_items)])
