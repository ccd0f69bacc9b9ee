"""Teachers that are given as files, in a run: for a student of sequences, and for one of users."""

import numpy as np
import pytest
import torch

from recbole_kd import run_kd
from recbole_kd.backbone.capabilities import FACTOR_MODEL, RANK_LISTS, Capability
from recbole_kd.backbone.training_rows import row_names
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.knowledge.export import write_item_vectors, write_row_lists
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.report import result_table
from recbole_kd.teacher import from_files
from recbole_kd.teacher.provider import provide_teachers

SEQUENCES = {
    "dataset": "toy_seq", "student_model": "GRU4Rec", "MAX_ITEM_LIST_LENGTH": 6, "teacher_check": "warn",
    "student": {"hidden_size": 8, "embedding_size": 6}, "dllm2rec_k": 5, "valid_metric": "ndcg@10", "epochs": 1,
}  # fmt: skip
SASREC = {"teacher_model": "SASRec", "teacher": {"hidden_size": 16, "inner_size": 16, "epochs": 1}}


@pytest.fixture(scope="module")
def given(small, tmp_path_factory):
    """The settings of a student of sequences, an experiment under SASRec, and files of that teacher's knowledge."""
    folder = tmp_path_factory.mktemp("given")
    common = {key: value for key, value in small(folder).items() if key not in ("embedding_size", "teacher")}
    settings = {**common, **SEQUENCES}
    bench = Experiment(make_config("DLLM2Rec", config_dict={**settings, **SASREC}))
    write_row_lists(folder / "rows.npz", bench.knowledge, bench.split, 7)
    write_item_vectors(folder / "items.npz", bench.knowledge, bench.split)
    return settings, bench, folder


def read(settings, entry, method="DLLM2Rec"):
    config = make_config(method, config_dict={**settings, "teachers": [entry]})
    data = prepare_split(plain_config(config))
    return load_knowledge(config, data, provide_teachers(config, data))


def test_rows_are_numbered_within_each_user_beyond_the_longest_sequence(given):
    _, bench, _ = given
    dataset = bench.split.train._dataset
    names, rows = row_names(dataset), dataset.inter_feat
    assert names.lengths.max() > 6
    capped = rows[dataset.item_list_length_field].numpy()
    assert np.array_equal(np.minimum(names.lengths[1:], 6), capped)
    last = {}
    for user, length in zip(names.users[1:], names.lengths[1:], strict=True):
        assert length == last.get(user, 0) + 1
        last[user] = length


def test_exported_files_give_the_knowledge_that_they_were_written_of(given):
    settings, bench, folder = given
    entry = {"scores": str(folder / "rows.npz"), "factors": str(folder / "items.npz")}
    knowledge, original = read(settings, entry), bench.knowledge
    assert knowledge.capabilities == RANK_LISTS | Capability.ITEM_VECTORS and knowledge.width == 16
    rows = torch.arange(1, original.n_queries)
    expected = original.top_items_of(rows, 7)
    assert torch.equal(knowledge.top_items_of(rows, 7).ids, expected.ids)
    torch.testing.assert_close(knowledge.factors("item")[1:], original.factors("item")[1:])
    chances = original.score_all(rows)[:, 1:].softmax(1)
    listed = chances.gather(1, expected.ids.long() - 1)
    torch.testing.assert_close((-knowledge.distances_of(rows, 7)).exp(), listed)


def test_large_lists_are_stored_and_memory_mapped(given, workdir, monkeypatch):
    settings, _, folder = given
    settings, entry = {**settings, "checkpoint_dir": str(workdir / "new")}, {"scores": str(folder / "rows.npz")}
    in_memory = read(settings | {"dllm2rec_ed_weight": 0}, entry)
    assert not list(workdir.rglob("rows-*"))
    monkeypatch.setattr(from_files, "MAPPED_BYTES", 1000)
    read(settings | {"dllm2rec_ed_weight": 0}, entry)
    monkeypatch.setattr(from_files, "build_row_lists", None)  # the second run reads the store
    stored = read(settings | {"dllm2rec_ed_weight": 0}, entry)
    assert len(list(workdir.rglob("rows-*"))) == 1
    for name, array in in_memory.lists.arrays().items():
        assert torch.equal(array, stored.lists.arrays()[name])


def test_a_run_under_files_has_no_figures_of_the_teacher(given, workdir):
    settings, _, folder = given
    entry = {"scores": str(folder / "rows.npz"), "factors": str(folder / "items.npz")}
    result = run_kd("DLLM2Rec", config_dict={**settings, "teachers": [entry]})
    assert result["teacher"]["label"] == "rows.npz items.npz" and result["teacher"]["test_result"] == {}
    assert "rows.npz" in result["teacher"]["warning"] and "items.npz" in result["teacher"]["warning"]
    assert "recovered_share" not in result and result["distilled"]["test_result"]["ndcg@10"] > 0
    line = next(line for line in result_table(result).splitlines() if line.startswith("teacher"))
    assert line.split() == ["teacher"]


def test_lists_of_rows_teach_together_with_a_model(given, workdir):
    settings, _, folder = given
    keys = {"teachers": [{"scores": str(folder / "rows.npz")}, {"model": "EASE"}], "rrd_max_k": 7, "rrd_k": 3}
    result = run_kd("RRD", config_dict={**settings, **keys})
    assert result["ensemble"]["test_result"] == {} and result["teachers"][1]["test_result"]["ndcg@10"] > 0


def test_item_vectors_alone_teach_the_embedding_part(given, workdir):
    settings, _, folder = given
    entry = {"factors": str(folder / "items.npz")}
    result = run_kd("DLLM2Rec", config_dict={**settings, "teachers": [entry], "dllm2rec_weight": 0})
    plain = result["student_alone"]["test_result"]
    assert result["distilled"]["parameters"] == result["student_alone"]["parameters"]
    weights = [torch.load(result[name]["checkpoint"], weights_only=False) for name in ("distilled", "student_alone")]
    tables = [content["state_dict"]["item_embedding.weight"] for content in weights]
    assert not torch.equal(*tables) and set(plain) == set(result["distilled"]["test_result"])
    with pytest.raises(KDError, match=r"DLLM2Rec needs a teacher that offers ranks.*offers item vectors only"):
        run_kd("DLLM2Rec", config_dict={**settings, "teachers": [entry]})


def test_vectors_of_users_and_items_teach_as_a_model_with_these_factors(settings, workdir):
    bench = Experiment(make_config("FTD", config_dict=settings))
    tables = {side: bench.knowledge.factors(side)[1:].numpy() for side in ("user", "item")}
    arrays = {f"{side}_vectors": table for side, table in tables.items()}
    users, items = bench.split.tokens
    np.savez("v.npz", user_tokens=users[1:].astype(str), item_tokens=items[1:].astype(str), **arrays)
    settings = {key: value for key, value in settings.items() if key != "teacher"} | {"teacher_check": "warn"}
    knowledge = read(settings, {"factors": "v.npz"}, "FTD")
    assert knowledge.capabilities == FACTOR_MODEL
    assert torch.equal(knowledge.top_items(30).ids, bench.knowledge.top_items(30).ids)
    users = torch.tensor([3, 9])
    torch.testing.assert_close(knowledge.score_all(users)[:, 1:], bench.knowledge.score_all(users)[:, 1:])
    result = run_kd("FTD", config_dict={**settings, "teachers": [{"factors": "v.npz"}], "baseline": False})
    assert result["teacher"]["test_result"]["ndcg@10"] > 0


def test_users_lists_and_item_vectors_teach_a_student_of_users(settings, workdir):
    bench = Experiment(make_config("DLLM2Rec", config_dict=settings))
    write_item_vectors("items.npz", bench.knowledge, bench.split)
    users, items = bench.split.tokens
    top = bench.knowledge.top_items(12).ids[1:].long()
    lines = [f"{users[u]}\t{items[i]}\t{r}" for u, row in enumerate(top.tolist(), 1) for r, i in enumerate(row)]
    (workdir / "users.tsv").write_text("\n".join(["user\titem\trank", *lines]) + "\n")
    settings = {key: value for key, value in settings.items() if key != "teacher"} | {"teacher_check": "warn"}
    entry = {"scores": "users.tsv", "factors": "items.npz"}
    knowledge = read(settings, entry)
    assert torch.equal(knowledge.top_items(10).ids[1:].long(), top[:, :10]) and knowledge.width == 12
    result = run_kd("DLLM2Rec", config_dict={**settings, "teachers": [entry], "baseline": False})
    assert result["teacher"]["test_result"]["ndcg@10"] > 0


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"teacher_check": "error"}, ["does not say what it was trained on", "teacher_check=warn"]),
        ({"dllm2rec_k": 8}, ["fewer than 8 items", "training rows"]),
        ({"student_model": "BPR", "student": {"embedding_size": 4}}, ["training rows of a sequential student", "BPR"]),
        (
            {"eval_args": {"split": {"RS": [6, 2, 2]}, "order": "TO", "mode": "full"}},
            ["rows that the training does not have"],
        ),
    ],
)
def test_files_that_must_not_teach_are_refused(given, workdir, keys, words):
    settings, _, folder = given
    entry = {"scores": str(folder / "rows.npz"), "factors": str(folder / "items.npz")}
    with pytest.raises(KDError) as caught:
        run_kd("DLLM2Rec", config_dict={**settings, "teachers": [entry], **keys})
    assert all(word in str(caught.value) for word in words), caught.value


def test_two_rankings_in_one_entry_are_refused(given, workdir):
    settings, bench, folder = given
    (users, items), vectors = bench.split.tokens, np.ones(3)
    arrays = {f"{side}_tokens": names[1:].astype(str) for side, names in (("user", users), ("item", items))}
    arrays |= {f"{side}_vectors": np.tile(vectors, (len(arrays[f"{side}_tokens"]), 1)) for side in ("user", "item")}
    np.savez("both.npz", **arrays)
    with pytest.raises(KDError, match="rank items by themselves: leave scores out"):
        read(settings, {"scores": str(folder / "rows.npz"), "factors": "both.npz"})


def test_a_file_cannot_be_trained_beside_the_student(settings):
    settings = {key: value for key, value in settings.items() if key != "teacher"} | {"teacher_check": "warn"}
    with pytest.raises(KDError, match="BD trains its teacher"):
        make_config("BD", config_dict={**settings, "teachers": [{"factors": "v.npz"}]})
