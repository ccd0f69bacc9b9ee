"""Rankings of chosen users by RecBole's case study, for users without a test item too (2006, 1783, 1005)."""

import functools
from collections.abc import Iterable
from typing import Any

from recbole_kd.errors import KDError


def mend_case_study() -> None:
    """``full_sort_scores`` and ``full_sort_topk`` mask a user's training and validation items, which RecBole's loader
    collects for the users with a test item alone: any other one ended in a TypeError over None (2006, 1783). A loader
    of sampled items has no such lists, and ended in an AttributeError (1005).
    """
    from recbole.data.dataloader import FullSortEvalDataLoader
    from recbole.utils import case_study

    stock = case_study.full_sort_scores
    if hasattr(stock, "is_mended"):
        return

    @functools.wraps(stock)
    def full_sort_scores(uid_series: Any, model: Any, test_data: Any, device: Any = None) -> Any:
        if not isinstance(test_data, FullSortEvalDataLoader):
            raise KDError(
                f"a {type(test_data).__name__} holds sampled items, and a case study ranks all of them: set eval_args: "
                "mode: full, and prepare the data again"
            )
        if not test_data.is_sequential:
            _complete_histories(test_data, uid_series)
        return stock(uid_series, model, test_data, device)

    vars(full_sort_scores)["is_mended"] = True
    case_study.full_sort_scores = full_sort_scores


def _complete_histories(test_data: Any, uid_series: Iterable[Any]) -> None:
    """Give the loader the items that users without a test item have in the earlier parts."""
    import torch

    for user in map(int, uid_series):
        if test_data.uid2history_item[user] is None:
            # the sampler's items of the earlier parts and of this one, in which these users have none
            items = sorted(test_data._sampler.used_ids[user])
            test_data.uid2history_item[user] = torch.tensor(items, dtype=torch.int64)
