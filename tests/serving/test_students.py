"""Distilled students of each family are served as models of plain RecBole are."""

import pytest
from recbole.utils.case_study import full_sort_topk

from recbole_kd import export, fold_in, recommend, run_kd
from recbole_kd.serving import Recommender
from tests.serving.conftest_serving import assert_same_list

SEQUENCE = {"dataset": "toy_seq", "MAX_ITEM_LIST_LENGTH": 6, "train_neg_sample_args": None, "teacher_model": "EASE"}
STUDENTS = {
    "BPR": ("RRD", {"teacher_model": "EASE", "embedding_size": 4}),
    "SASRec": ("SLD", {**SEQUENCE, "hidden_size": 8, "inner_size": 8, "n_layers": 1, "n_heads": 1}),
    "GRU4Rec": ("SLD", {**SEQUENCE, "embedding_size": 8, "hidden_size": 8}),
    "MultiVAE": ("KD", {"mlp_hidden_size": [8], "latent_dimension": 4, "train_neg_sample_args": None}),
    "NeuMF": ("RRD", {"teacher_model": "EASE", "mf_embedding_size": 4, "mlp_embedding_size": 4}),
    "CKE": ("RRD", {"dataset": "toy_kg", "embedding_size": 4, "kg_embedding_size": 4}),
}  # fmt: skip


@pytest.fixture(scope="module")
def student(data_path, tmp_path_factory):
    """A function that gives the Recommender of a distilled student, trained once."""
    opened = {}

    def get(name):
        if name not in opened:
            method, keys = STUDENTS[name]
            folder = tmp_path_factory.mktemp(name)
            shared = {"dataset": "toy", "data_path": str(data_path), "epochs": 1, "baseline": False, "state": "ERROR"}
            shared |= {"student_model": name, "checkpoint_dir": str(folder), "show_progress": False}
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.chdir(folder)
                result = run_kd(method, config_dict=shared | keys)
                opened[name] = Recommender(result["distilled"]["checkpoint"])
        return opened[name]

    return get


@pytest.mark.parametrize("name", STUDENTS)
def test_a_distilled_student_has_the_lists_of_full_sort_topk(name, student):
    model, k = student(name), 5
    test = model.loaders[2]
    users = (test._dataset.inter_feat["user_id"] if model.is_sequential else test.uid_list).unique().numpy()
    table = recommend(model, None, k, exclude="none" if model.is_sequential else "seen")
    wanted_scores, wanted = full_sort_topk(users, model.model, test, k)
    for user, items, scores in zip(users, wanted.numpy(), wanted_scores.numpy(), strict=True):
        rows = table[table["user"] == model.users.tokens[user]]
        assert_same_list(rows["item"], rows["score"], model.items.tokens[items], scores)


@pytest.mark.parametrize("name", ["BPR", "SASRec", "GRU4Rec", "CKE"])
def test_a_distilled_student_of_vectors_is_exported(name, student, tmp_path):
    report = export(student(name), tmp_path / "bundle")
    assert report.agreement.same == report.agreement.users > 0
    assert [row.name for row in report.rows] == ["fp32"]


@pytest.mark.parametrize("name", ["BPR", "SASRec", "GRU4Rec", "MultiVAE", "CKE"])
def test_a_distilled_student_takes_new_users(name, student):
    assert not set(fold_in(student(name), ["i3", "i4"], 5)["item"]) & {"i3", "i4"}
