"""Fresh loaders for each training equal those of a dataset that is read again."""

import copy
import itertools
import random
from enum import Enum

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data.dataset import Dataset

from recbole_kd.config.configurator import plain_config
from recbole_kd.data import built_dataset
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config

SAMPLED = {"eval_args": {"mode": "uni100"}, "metrics": ["NDCG"], "valid_metric": "NDCG@10"}
CASES = [
    ("BPR", {}),
    ("LightGCN", {}),
    ("NeuMF", {}),
    ("EASE", {}),
    ("MultiVAE", {}),
    ("BPR", SAMPLED),
    ("NeuMF", SAMPLED),
    ("BPR", {"eval_args": {"split": {"LS": "valid_and_test"}}}),
    ("BPR", {"eval_mask": "train"}),
    ("BPR", {"repeatable": True}),
    ("BPR", {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 2, "alpha": 0.5}}),
]


def config_of(settings, model, keys=()):
    config = make_config("SLD", config_dict={**settings, "teacher": {}, "teacher_model": model, **dict(keys)})
    return plain_config(config.teachers[0].config)


def numbers(value):
    """Everything that a batch holds, as nested lists of tensors, arrays and plain values."""
    if hasattr(value, "interaction"):
        return {key: tensor.clone() for key, tensor in value.interaction.items()}
    if isinstance(value, (tuple, list)):
        return [numbers(inner) for inner in value]
    return value


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def random_states():
    return [random.getstate(), list(np.random.get_state()), torch.get_rng_state()]


def disturb():
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


def epoch_of(split):
    """Random states and batches of two epochs, training, validation and test in turn."""
    record = [random_states()]
    for loader in (split.train, split.valid, split.test) * 2:
        record.append([numbers(batch) for batch in loader])
        record.append(random_states())
    return record


@pytest.fixture
def counted(monkeypatch):
    """How many datasets were read, one entry each."""
    reads = []
    create = built_dataset.create_dataset
    monkeypatch.setattr(built_dataset, "create_dataset", lambda config: reads.append(1) or create(config))
    return reads


@pytest.mark.parametrize(("model", "keys"), CASES)
def test_fresh_loaders_are_those_of_a_new_split(settings, counted, model, keys):
    config = config_of(settings, model, keys)
    expected_split = prepare_split(config)
    expected = epoch_of(expected_split)
    split = prepare_split(config_of(settings, "BPR", keys))
    epoch_of(split)  # what the first loaders draw and sort must not show in the fresh ones
    assert len(counted) == 2
    for _ in range(2):
        disturb()
        fresh = split.fresh(config)
        assert_same(epoch_of(fresh), expected)
        assert fresh.fingerprint == expected_split.fingerprint
        assert_same(fresh.pairs, expected_split.pairs)
        assert_same(fresh.tokens, expected_split.tokens)
        assert_same(fresh.train._dataset.field2type, expected_split.train._dataset.field2type)
        assert fresh.train.config is config and fresh.train._dataset.config is config
        split = fresh  # a fresh split gives fresh ones as well
    assert len(counted) == 2


def test_the_first_split_is_the_one_of_recbole_itself(settings):
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    config = config_of(settings, "NeuMF")
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    states = random_states()
    record = [[numbers(batch) for batch in loader] for loader in loaders]
    disturb()
    split = prepare_split(config)
    assert_same(random_states(), states)
    assert_same([[numbers(batch) for batch in loader] for loader in (split.train, split.valid, split.test)], record)
    assert not {"build"} & set(vars(split.dataset))


def mutable_objects(value, objects):
    """Everything mutable that can be reached from a loader, by address; configs, loggers and enums are left out."""
    kind = type(value)
    if isinstance(value, torch.Tensor):
        if value.numel():
            objects[value.untyped_storage().data_ptr()] = value
        return
    if id(value) in objects or isinstance(value, (Enum, Config)):
        return
    if isinstance(value, np.ndarray):
        children = []
        if value.size:
            objects[value.__array_interface__["data"][0]] = value
    elif isinstance(value, (dict, list, set)):
        objects[id(value)] = value
        children = list(value.values()) if isinstance(value, dict) else list(value)
    elif isinstance(value, tuple):
        children = list(value)
    elif kind.__module__.startswith("recbole."):
        objects[id(value)] = value
        children = list(vars(value).values())
    else:
        return
    for child in children:
        mutable_objects(child, objects)


@pytest.mark.parametrize("model", ["BPR", "NeuMF", "MultiVAE"])
def test_fresh_loaders_share_nothing_that_can_change(settings, model):
    first = prepare_split(config_of(settings, model))
    reached = []
    for split in (first, first.fresh(config_of(settings, model)), first.fresh(config_of(settings, model))):
        objects: dict = {}
        for loader in (split.train, split.valid, split.test):
            mutable_objects(loader, objects)
        assert any(isinstance(value, Dataset) for value in objects.values()) and len(objects) > 20
        reached.append(objects)
    for one, other in itertools.combinations(reached, 2):
        assert [value for key, value in one.items() if key in other] == []


@pytest.mark.parametrize(
    "keys",
    [
        {"seed": 5},
        {"user_inter_num_interval": "[3,inf)"},
        {"val_interval": {"item_id": [f"i{item}" for item in range(1, 31)]}},
        {"eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}}},
    ],
)
def test_other_settings_of_the_split_read_the_dataset_again(settings, counted, keys):
    split = prepare_split(config_of(settings, "BPR"))
    config = config_of(settings, "BPR", keys)
    expected = epoch_of(prepare_split(config))
    before = len(counted)
    assert_same(epoch_of(split.fresh(config)), expected)
    assert len(counted) == before + 1


def test_another_dataset_class_reads_the_dataset_again(settings, counted):
    split = prepare_split(config_of(settings, "BPR"))
    config = copy.copy(config_of(settings, "BPR"))
    config.final_config_dict = {**config.final_config_dict, "model": "DIEN"}  # RecBole has a DIENDataset
    assert not split._built.fits(config)
    config.final_config_dict["model"] = "BPR"
    assert split._built.fits(config)
    config.final_config_dict["save_dataset"] = True
    assert not split._built.fits(config)


def test_what_a_fresh_config_asks_wrongly_is_refused_as_at_first(settings):
    split = prepare_split(config_of(settings, "BPR"))
    with pytest.raises(KDError, match="topk"):
        split.fresh(config_of(settings, "BPR", {"topk": [10**6]}))
