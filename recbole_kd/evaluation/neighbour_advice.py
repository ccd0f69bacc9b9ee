"""Advice on ``neighbour_weight``: would the teacher rank better with the neighbours of its items?"""

from collections.abc import Sequence
from typing import Any, TypedDict

from recbole.data.dataloader import FullSortEvalDataLoader

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.data.split import Split
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import evaluate_validation, smaller_is_better, unrounded
from recbole_kd.knowledge.frozen_teacher import Teacher
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.trainer.rng import preserve_rng

TRIED_WEIGHT = 1.0  # the scores of the teacher and of its neighbours count the same

NeighbourAdvice = TypedDict("NeighbourAdvice", {"metric": str, "without": float, "with": float, "better": bool})
"""What ``neighbour_advice`` returns.

Keys:
    metric: RecBole's ``valid_metric``.
    without: its value for the lists of the teacher.
    with: its value for the lists with ``neighbour_weight: 1``.
    better: whether the second value is the better one.
"""


def neighbour_advice(
    config: Config, split: Split, teachers: Sequence[Teacher], knowledge: Any
) -> NeighbourAdvice | None:
    """Compare the lists of a teacher with and without its item neighbours, on validation.

    Args:
        config: the Config of the run.
        split: its split.
        teachers: its teachers.
        knowledge: what is read from them.

    Returns:
        The comparison. None where it does not apply: there are several teachers; the teacher has no factors, is read
        with its neighbours already, or may have seen the validation pairs; there are no validation pairs; or the
        validation ranks sampled items or items that were trained on, which lists cannot be compared by.
    """
    if len(teachers) > 1 or teachers[0].warning or FACTORS not in knowledge.capabilities or knowledge.neighbour_weight:
        return None
    ranks_all = isinstance(split.valid, FullSortEvalDataLoader) and not config["repeatable"]
    if not ranks_all or not len(split.pairs["valid"]):
        return None
    student_config, metric = plain_config(config), config["valid_metric"].lower()

    def measure(read: Any) -> float:
        lists = ListRecommender(read, student_config, split.train._dataset)
        return evaluate_validation(unrounded(student_config), lists, split)[metric]

    with preserve_rng():
        joined = ModelKnowledge(knowledge.backbone, split.train_pairs, neighbours=TRIED_WEIGHT)
        without, with_neighbours = measure(knowledge), measure(joined)
    better = with_neighbours < without if smaller_is_better(metric) else with_neighbours > without
    return {"metric": metric, "without": without, "with": with_neighbours, "better": better}
