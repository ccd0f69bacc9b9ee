"""Functions of RecBole that failed, each with the number of its issue: a case study, a search, saved loaders."""

import sys

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.utils import load_split_dataloaders
from recbole.trainer import HyperTuning
from recbole.utils import get_model, init_seed
from recbole.utils.case_study import full_sort_scores, full_sort_topk
from recbole.utils.enum_type import KGDataLoaderState

from recbole_kd.errors import KDError


@pytest.fixture
def keys(workdir, monkeypatch):
    """The keys of a dataset of 30 users, of whom u0 has one interaction and u1 has two: neither has a test item."""
    monkeypatch.setattr(sys, "argv", ["x"])
    rows = [
        (0, 3),
        (1, 4),
        (1, 5),
        *((user, (user * 7 + step * step) % 40) for user in range(2, 30) for step in range(9)),
    ]
    files = {"inter": ["user_id:token\titem_id:token", *(f"u{user}\ti{item}" for user, item in dict.fromkeys(rows))]}
    files["link"] = ["item_id:token\tentity_id:token", *(f"i{item}\te{item}" for item in range(40))]
    files["kg"] = ["head_id:token\trelation_id:token\ttail_id:token"]
    files["kg"] += [f"e{item}\tr{item % 2}\te{(item * 3 + 1) % 40}" for item in range(40)]
    (workdir / "data" / "toy").mkdir(parents=True)
    for suffix, lines in files.items():
        (workdir / "data" / "toy" / f"toy.{suffix}").write_text("\n".join(lines) + "\n")
    return {"data_path": "data", "embedding_size": 4, "epochs": 1, "state": "ERROR", "checkpoint_dir": "saved"}


def prepare(model, keys):
    config = Config(model, "toy", config_dict=keys)
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    return config, dataset, data_preparation(config, dataset)


def test_2006_users_without_a_test_item_are_ranked(keys):
    config, dataset, (train, valid, test) = prepare("BPR", keys)
    model = get_model("BPR")(config, train._dataset)
    uid, iid = dataset.uid_field, dataset.iid_field
    pairs = [(part._dataset.inter_feat[uid], part._dataset.inter_feat[iid]) for part in (train, valid)]
    users = torch.arange(1, dataset.user_num)
    assert len(test.uid_list) < len(users)
    scores = full_sort_scores(users.numpy(), model, test)
    known = torch.zeros(dataset.user_num, dataset.item_num, dtype=torch.bool)
    for of_users, of_items in pairs:
        known[of_users, of_items] = True
    known[:, 0] = True
    expected = model.user_embedding.weight @ model.item_embedding.weight.T
    expected = expected.detach().masked_fill(known, -torch.inf)[users]
    assert torch.allclose(scores, expected)
    alone = dataset.token2id(uid, ["u0"])
    top, items = full_sort_topk(alone, model, test, 3)
    assert torch.equal(items[0], expected[alone[0] - 1].topk(3).indices) and torch.isfinite(top).all()


def test_1005_sampled_items_are_refused_in_one_sentence(keys):
    config, _, (train, _, test) = prepare("BPR", {**keys, "eval_args": {"mode": "uni5"}})
    with pytest.raises(KDError, match=r"holds sampled items.*set eval_args: mode: full"):
        full_sort_topk(np.array([1]), get_model("BPR")(config, train._dataset), test, 3)


@pytest.mark.parametrize("algorithm", ["exhaustive", "random", "bayes"])
def test_1354_a_search_of_recboles_own_ends(algorithm, workdir):
    pytest.importorskip("hyperopt")
    space = {"choice": {"learning_rate": [0.1, 0.2, 0.3]}}

    def objective(settings, files):
        score = 1.0 - abs(settings["learning_rate"] - 0.2)
        result = {"model": "BPR", "best_valid_score": score, "valid_score_bigger": True}
        return {**result, "best_valid_result": {"a": score}, "test_result": {"a": score}}

    search = HyperTuning(objective, params_dict=space, algo=algorithm, max_evals=6, early_stop=20)
    search.run()
    tried = [key.partition(":")[2] for key in search.params2result]
    assert set(tried) <= {"0.1", "0.2", "0.3"} and tried
    if algorithm == "exhaustive":
        assert sorted(tried) == ["0.1", "0.2", "0.3"] and len(search.score_list) == 3
        assert search.best_params == {"learning_rate": 0.2} and search.best_score == 1.0


def test_1966_the_loaders_of_a_knowledge_aware_model_are_saved_and_read(keys):
    config, _, (plain, *_) = prepare("CKE", keys)
    expected = rows(plain)
    saved, _, _ = prepare("CKE", {**keys, "save_dataloaders": True})
    train, _, test = load_split_dataloaders(saved)
    assert train.config["model"] == "CKE" and len(test.uid_list)
    assert train.kg_dataloader.generator is not train.general_dataloader.generator
    for part in (train.general_dataloader, train.kg_dataloader):
        assert part.sampler.generator is part.generator is not None
    again = rows(train)
    assert all(torch.equal(one, other) for one, other in zip(expected, again, strict=True))
    assert config["model"] == "CKE"


def rows(loader):
    """The positive rows of an epoch, of both parts, in the order of the loaders' own generators."""
    loader.set_mode(KGDataLoaderState.RSKG)
    batches = list(loader)
    return [torch.cat([batch[name] for batch in batches]) for name in ("user_id", "item_id", "head_id", "tail_id")]
