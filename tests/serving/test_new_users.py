"""New users, folded in from a history."""

import numpy as np
import pytest
import torch

from recbole_kd import fold_in, recommend
from recbole_kd.errors import KDError
from recbole_kd.serving import new_users
from recbole_kd.serving.new_users import least_squares_users
from recbole_kd.serving.user_items import UserItems


def slow_user(table, history, regularisation, unobserved):
    """One user vector by numpy's least squares over the stacked residuals: the formula of the docstring, row by row."""
    m, d = table.shape[0] - 1, table.shape[1]
    scale = sum(float(row @ row) for row in table[1:]) / (m * d)
    rows = [table[item] / np.sqrt(len(history)) for item in history]
    wanted = [1 / np.sqrt(len(history))] * len(history)
    rows += [np.sqrt(unobserved / m) * table[item] for item in range(1, m + 1)]
    rows += list(np.sqrt(regularisation * scale) * np.eye(d))
    wanted += [0.0] * (m + d)
    return np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]


@pytest.mark.parametrize(("regularisation", "unobserved"), [(10.0, 1.0), (0.01, 0.0), (0.5, 3.0)])
@pytest.mark.parametrize("numbers", [2_000_000, 1])
def test_least_squares_are_those_of_a_slow_reference(regularisation, unobserved, numbers, monkeypatch):
    monkeypatch.setattr(new_users, "NUMBERS", numbers)  # 1: a user at a time
    draw = np.random.default_rng(0)
    table = draw.normal(size=(31, 5))
    histories = [[3, 7, 9], [1], [30, 2, 4, 5, 6, 8], [7]]
    rows = np.repeat(np.arange(4), [len(items) for items in histories])
    items = UserItems.of_pairs(rows, np.concatenate(histories), 4, 31)
    users = least_squares_users(torch.from_numpy(table), items, regularisation, unobserved)
    for user, history in zip(users, histories, strict=True):
        np.testing.assert_allclose(user, slow_user(table, history, regularisation, unobserved), rtol=1e-4, atol=1e-7)


def test_lists_do_not_depend_on_the_scale_of_the_vectors():
    table = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    items = UserItems.of_pairs(np.array([0, 0]), np.array([3, 5]), 1, 20)
    small, large = (least_squares_users(scale * table, items) @ (scale * table).T for scale in (1, 1000))
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["BPR", "LightGCN"])
def test_a_new_user_of_a_factor_model_ranks_by_least_squares(name, recommender):
    model = recommender(name)
    ids = model.items.ids(["i3", "i8", "i20"])
    table = model.vectors().items.double().numpy()
    scores = table @ slow_user(table, ids, new_users.REGULARISATION, new_users.UNOBSERVED)
    scores[[0, *ids]] = -np.inf
    result = fold_in(model, {"new user": ["i3", "i8", "i20"]}, 6)
    assert result["user"].tolist() == ["new user"] * 6
    assert result["item"].tolist() == model.items.tokens[np.argsort(-scores)[:6]].tolist()
    np.testing.assert_allclose(result["score"], np.sort(scores)[::-1][:6], rtol=1e-3, atol=1e-6)


def histories_of(model, mode, users):
    rows, items = model.interactions(mode).pairs(model.users.ids(users))
    return {user: model.items.tokens[items[rows == row]].tolist() for row, user in enumerate(users)}


def test_the_training_items_of_an_autoencoders_user_give_that_users_list(recommender):
    model, users = recommender("MultiVAE"), ["u1", "u8", "u30"]
    # the model sees a user through the training items; the validation items are left out as well
    wanted = recommend(model, users, 48, exclude="none")
    result = fold_in(model, histories_of(model, "train", users), 48, exclude_history=False)
    assert result["user"].tolist() == wanted["user"].tolist()
    np.testing.assert_allclose(result["score"], wanted["score"], rtol=1e-4, atol=1e-5)
    assert "get_rating_matrix" not in vars(model.model)


def test_the_sequence_of_a_user_gives_that_users_list(recommender):
    model, users = recommender("SASRec"), ["u1", "u8"]
    sequences, lengths = model.sequences().batch(model.users.ids(users))
    histories = {
        user: model.items.tokens[row[:length]].tolist()
        for user, row, length in zip(users, sequences, lengths, strict=True)
    }
    wanted = recommend(model, users, 9, exclude="none")
    result = fold_in(model, histories, 9, exclude_history=False)
    assert result["item"].tolist() == wanted["item"].tolist()
    np.testing.assert_allclose(result["score"], wanted["score"], rtol=1e-4, atol=1e-5)


def test_simplex_aggregates_the_history(recommender):
    model = recommender("SimpleX")
    inner, ids = model.model, model.items.ids(["i2", "i5"])
    with torch.no_grad():
        mean = inner.user_emb.weight[1:].mean(dim=0, keepdim=True)
        history = torch.from_numpy(np.sort(ids))[None]
        user = inner.get_UI_aggregation(mean, inner.item_emb(history), torch.tensor([2]))
        scores = inner.get_cos(user, inner.item_emb.weight[None])[0].numpy()
    scores[[0, *ids]] = -np.inf
    result = fold_in(model, "i2,i5", 5)
    assert result["item"].tolist() == model.items.tokens[np.argsort(-scores)[:5]].tolist()
    np.testing.assert_allclose(result["score"], np.sort(scores)[::-1][:5], rtol=1e-4)


def test_users_of_different_length_together_and_apart(recommender):
    model = recommender("BPR")
    histories = {"a": ["i1"], "b": ["i4", "i2", "i9", "i11"], "c": ["i7", "i3"]}
    together = fold_in(model, histories, 4)
    for name, items in histories.items():
        rows = together[together["user"] == name]
        assert rows["item"].tolist() == fold_in(model, items, 4)["item"].tolist()
        assert not set(rows["item"]) & set(items)


REFUSALS = [
    ("BPR", {"histories": ["i1", "j1"]}, "unknown item 'j1'"),
    ("BPR", {"histories": {}}, "histories is empty"),
    ("BPR", {"histories": {"a": ["i1"], "b": []}}, "the history of 'b' holds no known item"),
    ("BPR", {"histories": ["i1"], "k": 50}, r"k=50 is larger than what is left: 'new' has 4\d items"),
    ("BPR", {"histories": ["i1"], "regularisation": 0}, "regularisation=0 and"),
    ("NeuMF", {"histories": ["i1"]}, "NeuMF knows users by their id"),
    ("CDAE", {"histories": ["i1"]}, "CDAE knows users by their id"),
    ("FPMC", {"histories": ["i1"]}, "FPMC ranks by a user's id beside the sequence"),
]


@pytest.mark.parametrize(("name", "keys", "message"), REFUSALS)
def test_refused(name, keys, message, recommender):
    with pytest.raises(KDError, match=message):
        fold_in(recommender(name), **keys)
