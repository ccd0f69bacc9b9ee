"""RecBole's metrics of a model on the parts of a split."""

import copy
from collections.abc import Iterable
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.evaluator import smaller_metrics
from recbole.trainer import Trainer
from recbole.utils import init_seed

from recbole_kd.backbone.training_rows import is_sequential
from recbole_kd.config.configurator import without_wandb
from recbole_kd.data.changed_data import require_unchanged_data
from recbole_kd.data.split import Split

DIGITS = 16  # RecBole rounds metrics to 4
LENGTH = "MAX_ITEM_LIST_LENGTH"

Metrics = dict[str, float]
"""Values of metrics by RecBole's name, "ndcg@10" for example."""


def evaluate(config: RecBoleConfig, model: Any, split: Split) -> tuple[Metrics, Metrics]:
    """RecBole's metrics of a model on the validation and on the test part.

    Args:
        config: the plain RecBole Config of the model.
        model: a RecBole model.
        split: the split of the run.

    Returns:
        The metrics on validation, and those on test.

    Raises:
        KDError: the config is of ``load_student``, which found other pairs than those of the training.
    """
    read = _as_read_by(config, split)
    valid, test = _evaluate_loaders(config, model, split, (read.valid, read.test))
    return valid, test


def evaluate_validation(config: RecBoleConfig, model: Any, split: Split) -> Metrics:
    """RecBole's metrics of a model on the validation part; the test part is not read. Arguments as of ``evaluate``."""
    return _evaluate_loaders(config, model, split, (_as_read_by(config, split).valid,))[0]


def _as_read_by(config: RecBoleConfig, split: Split) -> Split:
    """The split whose loaders give sequences of a model's own ``MAX_ITEM_LIST_LENGTH``, where the split has others."""
    run = split.dataset.config
    of_sequences = is_sequential(config) and is_sequential(run)
    return split.fresh(config) if of_sequences and config[LENGTH] != run[LENGTH] else split


def _evaluate_loaders(config: RecBoleConfig, model: Any, split: Split, loaders: Iterable[Any]) -> list[Metrics]:
    require_unchanged_data(config)
    trainer = Trainer(without_wandb(config), model)  # a model's own trainer evaluates in the same way
    trainer.eval_collector.data_collect(split.train)
    results = []
    for loader in loaders:
        # the seed of the run: where negatives are sampled, they are the same for every model
        init_seed(split.dataset.config["seed"], config["reproducibility"])
        metrics = trainer.evaluate(loader, load_best_model=False) or {}
        results.append({name: float(value) for name, value in metrics.items()})
    return results


def unrounded(config: RecBoleConfig) -> RecBoleConfig:
    """A copy of a Config with metrics that are not rounded; the original keeps its ``metric_decimal_place``."""
    result = copy.copy(config)
    result.final_config_dict = {**config.final_config_dict, "metric_decimal_place": DIGITS}
    return result


def smaller_is_better(metric: str) -> bool:
    """Whether a smaller value of a metric is better.

    Args:
        metric: RecBole's name, with or without @k.

    >>> smaller_is_better("ndcg@10"), smaller_is_better("averagepopularity@5")
    (False, True)
    """
    return metric.partition("@")[0] in smaller_metrics
