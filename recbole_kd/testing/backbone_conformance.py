"""The checks that every model with factors has to pass: that the terms can read it without changing it."""

import pickle
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import init_seed

from recbole_kd.backbone import Backbone, backbone_of
from recbole_kd.config.configurator import ModelConfig
from recbole_kd.config.model_names import resolve_model
from recbole_kd.testing.fixtures import OWN_KEYS
from recbole_kd.testing.isolation import working_directory
from recbole_kd.testing.measures import id_tables, padding_gradients

Settings = dict[str, Any]
USERS = torch.tensor([1, 5, 9])
ITEMS = torch.tensor([[1, 2], [3, 4], [5, 6]])


class BackboneConformance:
    """The conformance suite of a model; a subclass sets ``model`` and inherits the checks.

    The model has to offer factors: vectors of users and items whose inner product is its score. The checks need the
    pytest plugin ``recbole_kd.testing.fixtures``.

    Attributes:
        model: name of a RecBole model, ``package.module:Class``, or a class of the same interface.
        keys: keys of RecBole's Config.
    """

    model: ClassVar[str | type[GeneralRecommender]] = ""
    keys: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def prepared(cls, class_settings: Settings, class_workdir: Path) -> tuple[Config, Any]:
        """RecBole's Config and the loader of the training part, which the checks of the class share."""
        keys = {key: value for key, value in class_settings.items() if key not in (*OWN_KEYS, "dataset")}
        dataset = class_settings["dataset"]
        with working_directory(class_workdir), pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr("sys.argv", ["pytest"])  # RecBole would read pytest's options as keys
            settings = {**keys, **cls.keys}
            if isinstance(cls.model, str):
                config = ModelConfig(cls.model, dataset, {}, settings)
            else:
                config = Config(model=cls.model, dataset=dataset, config_dict=settings)
            init_seed(config["seed"], config["reproducibility"])
            return config, data_preparation(config, create_dataset(config))[0]

    @pytest.fixture
    def recommender(self, prepared: tuple[Config, Any]) -> GeneralRecommender:
        """A new model in training mode."""
        config, loader = prepared
        kind = resolve_model(self.model) if isinstance(self.model, str) else self.model
        init_seed(config["seed"], config["reproducibility"])
        return kind(config, loader._dataset).to(config["device"]).train()

    @pytest.fixture
    def backbone(self, recommender: GeneralRecommender) -> Backbone:
        """The adapter that reads the model."""
        backbone = backbone_of(recommender)
        assert backbone is not None, "no adapter can read the model"
        return backbone

    @pytest.fixture
    def batch(self, prepared: tuple[Config, Any]) -> Interaction:
        """A training batch."""
        config, loader = prepared
        return next(iter(loader)).to(config["device"])

    @staticmethod
    def model_scores(recommender: GeneralRecommender, users: torch.Tensor) -> torch.Tensor:
        """The scores of all items that the model itself gives in evaluation mode."""
        recommender.eval()
        with torch.no_grad():
            scores = recommender.full_sort_predict(Interaction({recommender.USER_ID: users}))
        recommender.train()
        return scores.reshape(len(users), -1)

    def assert_same_scores(self, backbone: Backbone) -> None:
        """The view's scores are the model's own."""
        users = USERS.to(backbone.model.device)
        with backbone.eval_view() as view:
            scores = view.score_all(users)
        torch.testing.assert_close(scores, self.model_scores(backbone.model, users), rtol=1e-3, atol=1e-4)

    def test_scores_equal_the_models(self, backbone: Backbone) -> None:
        self.assert_same_scores(backbone)

    def test_scores_follow_a_training_step(self, backbone: Backbone, batch: Interaction) -> None:
        """What an evaluation has cached must not be read in the next epoch."""
        model, users = backbone.model, USERS.to(backbone.model.device)
        before = self.model_scores(model, users)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        with backbone.view() as view:
            loss = model.calculate_loss(batch)
            total = sum(loss) if isinstance(loss, tuple) else loss
            (total + view.score(users, ITEMS.to(users.device)).square().sum()).backward()
        optimizer.step()
        self.assert_same_scores(backbone)
        assert not torch.equal(self.model_scores(model, users), before)

    def test_all_ways_of_scoring_agree(self, backbone: Backbone) -> None:
        device = backbone.model.device
        users, items = USERS.to(device), ITEMS.to(device)
        with backbone.eval_view() as view:
            expected = view.score_all(users)
            chosen = expected.gather(1, items)
            results = {
                "score": (view.score(users, items), chosen),
                "score_items": (view.score_items(items[:, 0], users[:, None]), chosen[:, :1]),
                "score_cross": (view.score_cross(users, items[0]), expected[:, items[0]]),
            }
        results["snapshot"] = (backbone.snapshot().score_all(users), expected)
        for name, (scores, wanted) in results.items():
            assert torch.allclose(scores, wanted, rtol=1e-3, atol=1e-5), f"{name}: {scores}, expected {wanted}"

    def test_gradients_flow_through_the_view(self, backbone: Backbone) -> None:
        model = backbone.model
        with backbone.view() as view:
            view.score(USERS.to(model.device), ITEMS.to(model.device)).square().sum().backward()
        tables = id_tables(model, model.n_users, model.n_items)
        moved = [table for table in tables.values() if table.grad is not None and table.grad.abs().sum() > 0]
        joint = any(len(table) == model.n_users + model.n_items for table in moved)
        assert joint or {len(table) for table in moved} >= {model.n_users, model.n_items}

    def test_a_step_propagates_once(
        self, backbone: Backbone, batch: Interaction, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The terms read what the model's own loss has propagated: they add no call of ``forward``."""
        model = backbone.model
        calls: list[int] = []
        forward: Callable = type(model).forward

        def counting(*args: Any) -> Any:
            calls.append(1)
            return forward(*args)

        monkeypatch.setattr(type(model), "forward", counting)
        model.calculate_loss(batch)
        alone = len(calls)
        calls.clear()
        with backbone.view() as view:
            model.calculate_loss(batch)
            view.score(USERS.to(model.device), ITEMS.to(model.device))
            view.score_items(ITEMS[:, 0].to(model.device), USERS[:, None].to(model.device))
        assert len(calls) == alone

    def test_reading_leaves_the_model_as_it_was(self, backbone: Backbone) -> None:
        model = backbone.model
        modes = [module.training for module in model.modules()]
        attributes = set(vars(model))
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        with backbone.eval_view() as view:
            assert not model.training
            assert not view.score_all(USERS.to(model.device)).requires_grad
        assert [module.training for module in model.modules()] == modes and all(modes)
        assert set(vars(model)) == attributes
        assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())

    def test_reading_draws_no_random_number(self, backbone: Backbone) -> None:
        states = torch.get_rng_state(), _numpy_state(), random.getstate()
        with backbone.eval_view() as view:
            view.score_all(USERS.to(backbone.model.device))
        backbone.snapshot()
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (_numpy_state(), random.getstate()) == states[1:]

    def test_padding_rows_get_no_gradient(self, backbone: Backbone, batch: Interaction) -> None:
        model = backbone.model
        with backbone.view() as view:
            loss = model.calculate_loss(batch)
            total = sum(loss) if isinstance(loss, tuple) else loss
            (total + view.score(USERS.to(model.device), ITEMS.to(model.device)).square().sum()).backward()
        gradients = padding_gradients(model, model)
        assert gradients, "no table of users or items has a gradient"
        assert gradients == dict.fromkeys(gradients, 0.0)


def _numpy_state() -> bytes:
    """The whole state of numpy's global generator."""
    return pickle.dumps(np.random.get_state())
