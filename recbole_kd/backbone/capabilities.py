"""What a model can give to a distillation term. Terms declare what they need, models what they have."""

import enum


class Capability(enum.Flag):
    """One thing that can be read of a model or of stored knowledge; combine several with ``|``.

    Attributes:
        ROW_SCORES: a logit for each row of a batch. Every trainable model has it, CTR models included.
        SCORES: logits of chosen pairs of a query and an item. Factor, sequence, autoencoder and pointwise models.
        ALL_SCORES: logits of all items for a query. The same models, where a pass over all items is affordable.
        RANKS: an order of a query's items. Any model, a file of ranked lists included.
        QUERY_VECTORS: the query's vector, whose inner product with an item's is the score: a user's factors, or the
            output of a sequence model. Factor, graph and sequence models.
        ITEM_VECTORS: the item's side of that product. The same models.
        USER_TABLE: the vectors of any users by their ids, not only of a batch's queries. Factor and graph models.

    >>> Capability.SCORES in SCORER, Capability.USER_TABLE in SCORER
    (True, False)
    """

    ROW_SCORES = enum.auto()
    SCORES = enum.auto()
    ALL_SCORES = enum.auto()
    RANKS = enum.auto()
    QUERY_VECTORS = enum.auto()
    ITEM_VECTORS = enum.auto()
    USER_TABLE = enum.auto()


RANK_LISTS = Capability.RANKS
"""What ranked lists have, those of a file for example."""
SCORER = Capability.RANKS | Capability.SCORES | Capability.ALL_SCORES
"""What an ensemble has that gives scores."""
SCORER_MODEL = SCORER | Capability.ROW_SCORES
"""What a model has that scores, but has no factors: EASE, ItemKNN, MultiVAE, NeuMF."""
VECTORS = Capability.QUERY_VECTORS | Capability.ITEM_VECTORS
"""Vectors of a batch's queries and of all items, whose inner product is the score."""
FACTORS = VECTORS | Capability.USER_TABLE
"""Vectors of all users and items whose inner product is the score."""
FACTOR_MODEL = SCORER | Capability.ROW_SCORES | FACTORS
"""What a model with factors has: BPR, LightGCN, NGCF, SimpleX."""
SEQUENCE_MODEL = SCORER | Capability.ROW_SCORES | VECTORS
"""What a sequence model has whose score is the inner product of its output and an item's vector: SASRec, GRU4Rec."""

_WORDS = (  # in the order in which they are named; a word stands for all capabilities beside it
    (FACTORS, "factors"),
    (VECTORS, "query and item vectors"),
    (Capability.SCORES | Capability.ALL_SCORES, "scores"),
    (Capability.ROW_SCORES, "scores of a batch's rows"),
    (Capability.SCORES, "scores"),
    (Capability.ALL_SCORES, "scores of all items"),
    (Capability.RANKS, "ranks"),
    (Capability.QUERY_VECTORS, "query vectors"),
    (Capability.ITEM_VECTORS, "item vectors"),
    (Capability.USER_TABLE, "vectors of all users"),
)


def describe(capabilities: Capability) -> str:
    """The capabilities in words, for a message or a table; what follows from others is left out.

    Args:
        capabilities: any combination.

    Returns:
        A phrase. Vectors give scores, and scores of all items give ranks, so neither is named twice.

    >>> describe(FACTOR_MODEL), describe(SCORER), describe(RANK_LISTS)
    ('factors', 'scores', 'ranks')
    >>> describe(Capability.ITEM_VECTORS | Capability.RANKS)
    'ranks and item vectors'
    >>> describe(Capability(0))
    'nothing'
    """
    remaining = capabilities
    if VECTORS in capabilities:
        remaining &= FACTORS
    elif Capability.ALL_SCORES in capabilities:
        remaining &= ~(Capability.RANKS | Capability.ROW_SCORES)
    words = []
    for group, word in _WORDS:
        if group in remaining:
            words.append(word)
            remaining &= ~group
    return " and ".join(words) or "nothing"
