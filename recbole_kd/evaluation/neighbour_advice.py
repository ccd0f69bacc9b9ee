"""What a teacher's own item neighbours would be worth to it, for a run that does not ask for them."""

from recbole.data.dataloader import FullSortEvalDataLoader

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.config.configurator import plain_config
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import evaluate_validation, smaller_is_better, unrounded
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.trainer.rng import preserve_rng

TRIED_WEIGHT = 1.0  # the teacher's scores and its neighbours alike


def neighbour_advice(config, data, teachers, knowledge):
    """What the teacher's lists score on validation as they are, and as ``neighbour_weight: 1`` would make them.

    Args:
        config: the run's Config.
        data: its Split.
        teachers: its Teachers.
        knowledge: what was read of the teachers.

    Returns:
        dict: ``metric``, RecBole's valid_metric; ``without`` and ``with``, its values; ``better``, whether the second
        is. None where that does not arise: several teachers, one without factors or already read with its neighbours,
        one that may have seen the validation pairs, none of these, or a validation that lists do not rank as models
        do, because it ranks samples or what was trained on too.
    """
    if len(teachers) > 1 or teachers[0].warning or FACTORS not in knowledge.capabilities or knowledge.neighbour_weight:
        return None
    ranks_all = isinstance(data.valid, FullSortEvalDataLoader) and not config["repeatable"]
    if not ranks_all or not len(data.pairs["valid"]):
        return None
    own, metric = plain_config(config), config["valid_metric"].lower()
    with preserve_rng():
        beside = ModelKnowledge(knowledge.backbone, data.train_pairs, neighbours=TRIED_WEIGHT)
        without, joined = (
            evaluate_validation(unrounded(own), ListRecommender(read, own, data.train._dataset), data)[metric]
            for read in (knowledge, beside)
        )
    better = joined < without if smaller_is_better(metric) else joined > without
    return {"metric": metric, "without": without, "with": joined, "better": better}
