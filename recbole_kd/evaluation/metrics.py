"""RecBole's metrics of a model on the parts of a split."""

import copy

from recbole.evaluator import smaller_metrics
from recbole.utils import get_trainer, init_seed

from recbole_kd.config.configurator import without_wandb

DIGITS = 16  # RecBole rounds metrics to 4


def evaluate(config, model, data):
    """RecBole's metrics of a model on the validation and the test part, two dicts of floats."""
    return _evaluate_parts(config, model, data, (data.valid, data.test))


def evaluate_validation(config, model, data):
    """RecBole's metrics of a model on the validation part; the test part is not looked at."""
    return _evaluate_parts(config, model, data, (data.valid,))[0]


def _evaluate_parts(config, model, data, loaders):
    kind = get_trainer(config["MODEL_TYPE"], config["model"])
    trainer = kind(without_wandb(config), model)
    trainer.eval_collector.data_collect(data.train)
    results = []
    for part in loaders:
        # the run's: where negatives are sampled they are the same for every model
        init_seed(data.dataset.config["seed"], config["reproducibility"])
        found = trainer.evaluate(part, load_best_model=False) or {}
        results.append({name: float(value) for name, value in found.items()})
    return tuple(results)


def unrounded(config):
    """The same Config, whose metrics are not rounded; the training's stays as it is."""
    found = copy.copy(config)
    found.final_config_dict = {**config.final_config_dict, "metric_decimal_place": DIGITS}
    return found


def smaller_is_better(metric):
    """Whether less of a metric, by RecBole's name with or without @k, is better."""
    return metric.partition("@")[0] in smaller_metrics
