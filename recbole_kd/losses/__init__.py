"""Pure loss functions on tensors. Each returns one value a row; the caller reduces them.

They need torch alone: ``from recbole_kd.losses import soft_label_loss``.
"""

from recbole_kd.losses.feature import cosine_loss, mix_soft, pair_consistency, squared_distance
from recbole_kd.losses.numerics import at_least_float32, mask_logits
from recbole_kd.losses.pointwise import pair_loss, rank_discrepancy, soft_binary_loss, weighted_positives
from recbole_kd.losses.ranking import above_tail, extend_tail, nested_ranking, plackett_luce
from recbole_kd.losses.soft_label import mixed_logits, soft_label_loss
from recbole_kd.losses.topology import cosines, full_topology, group_topology, prototypes
from recbole_kd.losses.weighted_lists import list_weights, weighted_pairs

__all__ = [
    "above_tail",
    "at_least_float32",
    "cosine_loss",
    "cosines",
    "extend_tail",
    "full_topology",
    "group_topology",
    "list_weights",
    "mask_logits",
    "mix_soft",
    "mixed_logits",
    "nested_ranking",
    "pair_consistency",
    "pair_loss",
    "plackett_luce",
    "prototypes",
    "rank_discrepancy",
    "soft_binary_loss",
    "soft_label_loss",
    "squared_distance",
    "weighted_pairs",
    "weighted_positives",
]
