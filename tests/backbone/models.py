"""Untrained RecBole models and a training batch, for the tests of this folder."""

from typing import Any, NamedTuple

from recbole.data.interaction import Interaction
from recbole.utils import init_seed

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.base import Backbone, Step
from recbole_kd.backbone.training_rows import ROW_FIELD, is_sequential, number_rows, training_queries
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config
from recbole_kd.trainer.model_builder import build_seeded_model

SEQUENCES = {
    "dataset": "toy_seq",
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
    "MAX_ITEM_LIST_LENGTH": 8,
}


class Model(NamedTuple):
    """A model in training mode, its backbone, its training Dataset and a batch."""

    model: Any
    backbone: Backbone
    dataset: Any
    batch: Interaction

    @property
    def step(self) -> Step:
        """The rows of the batch."""
        name = ROW_FIELD if ROW_FIELD in self.batch else self.model.USER_ID
        return Step(self.batch[name], self.batch)


def student(name: str, settings: dict[str, Any], **keys: Any) -> Model:
    """A student of the terms KD or RRD, which ask for scores alone."""
    config = plain_config(make_config("RRD", config_dict={**settings, "student_model": name, **keys}))
    data = prepare_split(config)
    dataset = data.train._dataset
    if is_sequential(config):
        number_rows(dataset)
    model = build_seeded_model(config, dataset).train()
    backbone = backbone_of(model, training_queries(config, dataset))
    assert backbone is not None
    init_seed(config["seed"], config["reproducibility"])
    return Model(model, backbone, dataset, next(iter(data.train)))
