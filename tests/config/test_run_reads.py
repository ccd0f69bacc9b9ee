"""Keys that RecBole knows, and that nothing reads in a run: refused on the command line, logged otherwise."""

import pytest

from recbole_kd.config.recbole_schema import other_parameter_names
from recbole_kd.config.run_reads import reason_unread
from recbole_kd.errors import KDError
from tests.config.helpers import made

UNREAD = {
    "threshold={'rating': 4}": "val_interval={'rating': '[4,inf)'}",
    "neg_sampling={'uniform': 1}": "train_neg_sample_args",
    "training_neg_sample_num=2": "train_neg_sample_args",
    "device=cpu": "gpu_id",
    "valid_metric_bigger=False": "valid_metric",
    "eval_type=1": "the metrics",
    "local_rank=0": "nproc",
    "test_neg_sample_args={'a': 1}": "eval_args",
    "MODEL_TYPE=1": "the model",
    "tail_ratio=0.2": "no part of RecBole reads it for BPR",
    "token_num_threshold=5": "no part of RecBole reads it for BPR",
    "kg_reverse_r=True": "no part of RecBole reads it for BPR",
    "alias_of_entity_id=['a']": "no part of RecBole reads it for BPR",
}


@pytest.mark.parametrize("word", UNREAD)
def test_a_key_that_nothing_reads_is_refused_with_what_to_write(word):
    key = word.partition("=")[0]
    for prefix in ("", "student.", "teacher."):
        with pytest.raises(KDError) as caught:
            made(f"--{prefix}{word}")
        assert f"{key} changes nothing" in str(caught.value) and UNREAD[word] in str(caught.value)


def test_a_dict_or_file_with_such_a_key_is_taken_with_a_note():
    notes = made(config_dict={"threshold": {"stars": 3}, "device": "cpu", "tail_ratio": 0.2}).unused_keys
    assert set(notes) == {"threshold", "device", "tail_ratio"}
    assert "val_interval={'stars': '[3,inf)'}" in notes["threshold"]


@pytest.mark.parametrize(
    ("key", "models", "metrics"),
    [
        ("encoding", ["BPR"], ["NDCG"]),
        ("tail_ratio", ["BPR"], ["NDCG", "TailPercentage"]),
        ("tail_ratio", ["BPR"], "tailpercentage"),
        ("kg_reverse_r", ["BPR", "CKE"], None),
        ("alias_of_user_id", ["BPR"], None),
        ("alias_of_entity_id", ["CKE"], None),
        ("seq_len", ["BPR"], None),
        ("benchmark_filename", ["BPR"], None),
        ("save_dataset", ["BPR"], None),
        ("wandb_project", ["BPR"], None),
        ("additional_feat_suffix", ["BPR"], None),
        ("preload_weight", ["BPR"], None),
    ],
)
def test_what_a_model_its_data_its_trainer_or_a_metric_reads_has_an_effect(key, models, metrics):
    assert reason_unread(key, models, metrics) is None


def test_labels_have_an_effect_where_a_model_learns_from_them():
    assert "threshold" not in made("--teacher_model=NeuMF", "--threshold={'rating': 4}").unused_keys


def test_what_models_keep_beside_their_weights_is_read_off_their_source():
    names = {model: other_parameter_names(model) for model in ("BPR", "LightGCN", "EASE")}
    assert names == {
        "BPR": frozenset(),
        "LightGCN": {"restore_user_e", "restore_item_e"},
        "EASE": {"interaction_matrix", "item_similarity"},
    }
