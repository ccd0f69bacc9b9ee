"""What a teacher's own item neighbours would be worth to it, for a run that does not ask for them."""

from recbole.data.dataloader import FullSortEvalDataLoader

from recbole_kd.config import plain_config
from recbole_kd.teacher.knowledge import Knowledge
from recbole_kd.teacher.list_model import ListModel
from recbole_kd.teacher.measure import exact, on_validation, smaller_is_better
from recbole_kd.teacher.resume import kept_randomness

WEIGHT = 1.0  # the teacher's scores and its neighbours alike


def neighbours_worth(config, data, teachers, knowledge):
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
    if len(teachers) > 1 or teachers[0].warning or knowledge.offers != "factors" or knowledge.neighbour_weight:
        return None
    ranks_all = isinstance(data.valid, FullSortEvalDataLoader) and not config["repeatable"]
    if not ranks_all or not len(data.pairs["valid"]):
        return None
    own, metric = plain_config(config), config["valid_metric"].lower()
    with kept_randomness():
        beside = Knowledge(knowledge.backbone, data.train_pairs, neighbours=WEIGHT)
        without, joined = (
            on_validation(exact(own), ListModel(read, own, data.train._dataset), data)[metric]
            for read in (knowledge, beside)
        )
    better = joined < without if smaller_is_better(metric) else joined > without
    return {"metric": metric, "without": without, "with": joined, "better": better}
