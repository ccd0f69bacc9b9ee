"""Recommendations of trained models."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.utils.case_study import full_sort_topk

from recbole_kd import fold_in, recommend, similar_items
from recbole_kd.errors import KDError
from recbole_kd.serving import Request, output, recommend_to_file
from recbole_kd.serving import scorers as scorers_module
from recbole_kd.serving.vocabulary import Vocabulary, read_tokens
from tests.serving.conftest_serving import assert_same_list

WITHOUT_TEST = ["u40", "u41"]


FAMILIES = ["BPR", "LightGCN", "SimpleX", "MultiVAE", "CDAE", "EASE", "NeuMF", "DeepFM", "SASRec", "FPMC"]


@pytest.mark.parametrize("name", FAMILIES)
def test_all_users_have_the_lists_of_full_sort_topk(name, recommender):
    model, k = recommender(name), 5
    test = model.loaders[2]
    users = (test._dataset.inter_feat["user_id"] if model.is_sequential else test.uid_list).unique().numpy()
    # RecBole leaves out no history of a sequence model
    table = recommend(model, None, k, exclude="none" if model.is_sequential else "seen")
    wanted_scores, wanted = full_sort_topk(users, model.model, test, k)
    for user, items, scores in zip(users, wanted.numpy(), wanted_scores.numpy(), strict=True):
        rows = table[table["user"] == model.users.tokens[user]]
        assert_same_list(rows["item"], rows["score"], model.items.tokens[items], scores)


@pytest.mark.parametrize("name", ["BPR", "MultiVAE", "NeuMF"])
def test_users_without_a_test_item_have_the_best_of_the_models_scores(name, recommender):
    model = recommender(name)
    assert not set(model.users.ids(WITHOUT_TEST)) & set(model.loaders[2].uid_list.tolist())
    table = recommend(model, WITHOUT_TEST, 4)
    for token in WITHOUT_TEST:
        user = model.users.ids([token])
        scores = np.concatenate(
            [b.numpy() for b in model.model_scorer.blocks(model.queries(user), torch.arange(model.n_items), 4)], axis=1
        )[0]
        scores[[0, *model.interactions("seen").pairs(user)[1]]] = -np.inf
        best = np.argsort(-scores)[:4]
        np.testing.assert_allclose(table[table["user"] == token]["score"], scores[best], rtol=1e-4, atol=1e-6)


def test_small_blocks_of_pairs_give_the_same(recommender, monkeypatch):
    model = recommender("NeuMF")
    before = recommend(model, ["u1", "u2"], 5)
    monkeypatch.setattr(scorers_module, "PAIRS", 7)
    pd.testing.assert_frame_equal(recommend(model, ["u1", "u2"], 5), before)


def test_what_is_left_out(recommender):
    model = recommender("BPR")
    users = np.arange(1, model.n_users)
    for exclude in ("seen", "all", "none"):
        table = recommend(model, None, 10, exclude=exclude)
        listed = set(zip(table["user"], table["item"], strict=True))
        for mode in ("seen", "all"):
            rows, items = model.interactions(mode).pairs(users)
            pairs = set(zip(model.users.tokens[users[rows]], model.items.tokens[items], strict=True))
            met = bool(listed & pairs)
            assert met == (exclude == "none" or (exclude == "seen" and mode == "all"))


def test_a_sequence_goes_to_the_end_of_the_data_where_all_is_left_out(recommender):
    model = recommender("SASRec")
    table = recommend(model, ["u3"], 3, exclude="all")
    history = model.sequences("all").batch(model.users.ids(["u3"]))[0][0].tolist()
    tokens = [model.items.tokens[item] for item in history if item]
    again = fold_in(
        model, tokens, 3, deny=model.items.tokens[model.interactions("all").pairs(model.users.ids(["u3"]))[1]].tolist()
    )
    assert again["item"].tolist() == table["item"].tolist()
    np.testing.assert_allclose(again["score"], table["score"], rtol=1e-5)


def test_allowed_and_denied_items(recommender, tmp_path):
    model = recommender("BPR")
    every = recommend(model, ["u1"], 48, exclude="none")
    allowed = every["item"][[4, 9, 30]].tolist()
    assert recommend(model, ["u1"], 3, exclude="none", allow=allowed)["item"].tolist() == allowed
    (tmp_path / "deny.txt").write_text("\n".join(every["item"][:2]) + "\n\n")
    denied = recommend(model, ["u1"], 5, exclude="none", deny=tmp_path / "deny.txt")
    assert denied["item"].tolist() == every["item"][2:7].tolist()
    with pytest.raises(KDError, match="leave no item"):
        recommend(model, ["u1"], 1, allow=allowed, deny=",".join(allowed))


def test_users_come_in_the_order_that_is_given(recommender):
    table = recommend(recommender("BPR"), "u5,u2", 2)
    assert table["user"].tolist() == ["u5", "u5", "u2", "u2"]
    assert table["rank"].tolist() == [1, 2, 1, 2]


def test_similar_items_have_the_largest_cosine(recommender):
    model = recommender("LightGCN")
    vectors = model.vectors().items.double().numpy()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    table = similar_items(model, ["i7"], 4)
    (row,) = model.items.ids(["i7"])
    cosines = units @ units[row]
    cosines[[0, row]] = -np.inf
    assert table["similar"].tolist() == model.items.tokens[np.argsort(-cosines)[:4]].tolist()
    np.testing.assert_allclose(table["score"], np.sort(cosines)[::-1][:4], rtol=1e-5)
    assert len(similar_items(model, None, 2)) == 2 * len(model.items)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_files_hold_what_the_table_holds(suffix, recommender, tmp_path):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    model, file = recommender("BPR"), tmp_path / "deep" / f"top.{suffix}"
    rows = recommend_to_file(model, file, request=Request(k=3))
    read = {"csv": pd.read_csv, "tsv": lambda f: pd.read_csv(f, sep="\t"), "parquet": pd.read_parquet}[suffix](file)
    wanted = recommend(model, None, 3)
    assert len(read) == rows == 3 * len(model.users)
    assert read[["user", "item", "rank"]].astype(str).equals(wanted[["user", "item", "rank"]].astype(str))
    np.testing.assert_allclose(read["score"], wanted["score"], rtol=1e-5)
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("rows", [1, 17, 100_000])
def test_batches_are_appended_below_one_header(rows, recommender, tmp_path, monkeypatch):
    monkeypatch.setattr(output, "ROWS", rows)
    model = recommender("MultiVAE")
    monkeypatch.setattr(model.model_scorer, "rows", 5)
    recommend_to_file(model, tmp_path / "top.csv", request=Request(k=2))
    table = pd.read_csv(tmp_path / "top.csv")
    assert len(table) == 2 * len(model.users)
    assert table["rank"].tolist() == [1, 2] * len(model.users)


def test_a_file_exists_after_all_is_written_or_not_at_all(recommender, tmp_path, monkeypatch):
    model, file = recommender("MultiVAE"), tmp_path / "top.csv"
    file.write_text("earlier")
    with pytest.raises(KDError, match=r"exists.*--overwrite"):
        recommend_to_file(model, file)
    monkeypatch.setattr(model.model_scorer, "rows", 5)
    calls = []

    def fails_later(queries):
        calls.append(queries)
        if len(calls) > 2:
            raise RuntimeError("stopped")
        return torch.zeros(len(queries.users), model.n_items)

    monkeypatch.setattr(model.model_scorer, "scores", fails_later)
    with pytest.raises(RuntimeError, match="stopped"):
        recommend_to_file(model, file, overwrite=True)
    assert file.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["top.csv"]


REFUSALS = [
    ({"users": ["u2x"]}, r"unknown user 'u2x'.*did you mean 'u2\d?'\?.*skip-unknown"),
    ({"users": ["u1"], "deny": ["i1", "j2", "j3"]}, r"unknown item 'j2' and 1 more"),
    ({"users": ["u1"], "k": 51}, r"k=51 is larger than what is left: user 'u1' has \d+ items left of \d+"),
    ({"users": ["u1"], "k": 0}, "k=0 is out of range"),
    ({"users": ["u1"], "exclude": "test"}, "exclude='test' is unknown: it takes one of seen, all, none"),
    ({"users": []}, "users is empty"),
    ({"users": "no/such.txt"}, "'no/such.txt' does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "message"), REFUSALS)
def test_refused(keys, message, recommender):
    with pytest.raises(KDError, match=message):
        recommend(recommender("BPR"), **keys)


def test_unknown_tokens_can_be_skipped(recommender):
    table = recommend(recommender("BPR"), ["u1", "nobody"], 2, deny=["nothing"], skip_unknown=True)
    assert set(table["user"]) == {"u1"}


def test_short_lists_can_be_allowed(recommender):
    model = recommender("BPR")
    table = recommend(model, ["u1", "u2"], 60, allow_short=True)
    counts = table.groupby("user").size()
    for token in ("u1", "u2"):
        assert counts[token] == len(model.items) - model.interactions("seen").counts(model.users.ids([token]))[0]
    assert np.isfinite(table["score"]).all()


def test_a_user_without_a_sequence_is_refused_and_left_out_of_all(recommender):
    model = recommender("SASRec")
    with pytest.raises(KDError, match=r"'u40' has fewer than two interactions.*--history"):
        recommend(model, ["u40"], 2)
    assert not set(recommend(model, None, 2)["user"]) & {"u40", "u41"}


def test_no_similar_items_without_vectors(recommender):
    with pytest.raises(KDError, match="MultiVAE has no item vectors"):
        similar_items(recommender("MultiVAE"), ["i1"], 2)
    with pytest.raises(KDError, match="an item has 1 others"):
        similar_items(recommender("BPR"), ["i1"], 2, allow=["i1", "i2"])


def test_output_with_another_suffix_is_refused_before_the_model_is_read(tmp_path):
    with pytest.raises(KDError, match=r"one of \.csv, \.tsv, \.parquet"):
        recommend_to_file("no-such.pth", tmp_path / "top.xlsx")


def test_parquet_without_pyarrow_names_the_line_for_pip(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KDError, match="pip install pyarrow"):
        recommend_to_file("no-such.pth", tmp_path / "top.parquet")


def test_the_nearest_token_among_many():
    vocabulary = Vocabulary("item", np.array(["[PAD]", *(f"item{n:06d}" for n in range(30_000))]))
    with pytest.raises(KDError, match="did you mean 'item01"):
        vocabulary.ids(["item01234x"])


def test_tokens_of_a_file(tmp_path):
    file = tmp_path / "users"
    file.write_text("b\n a \nb\n")
    assert read_tokens(file, "users") == read_tokens(str(file), "users") == ["b", "a"]
    assert isinstance(Path(file), os.PathLike)
