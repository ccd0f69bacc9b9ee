"""Values inside the keys that RecBole takes as a dict or a list."""

import math

import pytest

from recbole_kd.config.nested_values import check_nested_values, is_interval
from recbole_kd.errors import KDError
from tests.config.helpers import made

GOOD = [
    {"clip_grad_norm": {"max_norm": 5, "norm_type": "inf", "error_if_nonfinite": True}},
    {"clip_grad_norm": {"max_norm": 0.5, "norm_type": math.inf, "foreach": None}},
    {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 2, "alpha": 0.75, "dynamic": False}},
    {"train_neg_sample_args": {"distribution": "uniform", "dynamic": True, "candidate_num": 3}},
    {"eval_args": {"split": {"RS": [8, 1, 1]}, "group_by": None, "order": "TO", "mode": {"valid": "uni10"}}},
    {"eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "RO"}},
    {"load_col": {"inter": ["user_id"], "item": "*"}, "unload_col": {"item": ["x"]}, "unused_col": {"inter": []}},
    {"val_interval": {"rating": "[3,inf)", "item_id": ["a", 2]}, "threshold": {"rating": 3.5}, "seq_len": {"h": 5}},
    {"discretization": {"price": {"method": "ED", "bucket": 10}, "age": {"method": "LD"}}},
    {"alias_of_user_id": ["friend"], "benchmark_filename": ["one", "two", "three"], "preload_weight": {"id": "v"}},
]
BAD = {
    "clip_grad_norm": [
        *({"max_norm": value} for value in (-1, 0, math.nan, math.inf, True, "5", None, 10**400)),
        *({"max_norm": 5, "norm_type": value} for value in (0, -2, math.nan, "two", True)),
        *({"norm_type": 2}, {"max_norm": 5, "error_if_nonfinite": 1}, {"max_norm": 5, "maxnorm": 1}, 5, [5], "5", True),
    ],
    "train_neg_sample_args": [
        *({"sample_num": value} for value in (0, -1, 1.5, True, "2", [1])),
        *({"alpha": value} for value in (math.nan, math.inf, "1", True, [1])),
        *({"candidate_num": value} for value in (-3, 1.5, "1", True)),
        *({"distribution": "normal"}, {"distribution": ["uniform"]}, {"dynamic": "yes"}, {"dynamic": 2}),
        *({"dynamic": True}, {"dynamic": True, "candidate_num": 0}, {"sample": 1}),
    ],
    "eval_args": [
        *({"split": {"RS": value}} for value in ([0, 1, 1], [-1, 1, 1], [math.nan, 1, 1], ["8", 1, 1], "811", 0.8, [])),
        *({"split": value} for value in ({}, {"XS": [8, 1, 1]}, {"RS": [8, 1, 1], "LS": "test_only"}, [8, 1, 1], "RS")),
        *({"split": {"LS": "all"}}, {"group_by": "item"}, {"group_by": 3}, {"order": "to"}, {"order": None}),
        *({"mode": "half"}, {"mode": {"train": "full"}}, {"mode": 5}, {"mode": "uni0"}, {"modes": "full"}),
    ],
    "load_col": [{"inter": "user_id"}, {"inter": [1]}, {"inter": 5}, ["user_id"], "user_id", {5: ["user_id"]}],
    "unload_col": [{"inter": "*"}, {"inter": 5}, 5],
    "unused_col": [{"inter": "rating"}, ["rating"]],
    "val_interval": [{"rating": 3}, {"rating": "3"}, {"rating": "[5,3]"}, {"rating": "[nan,3]"}, "[3,inf)", ["rating"]],
    "threshold": [{"rating": "4"}, {"rating": math.nan}, {"rating": True}, 4, {4: 4}],
    "seq_len": [{"h": 0}, {"h": 2.5}, 5],
    "discretization": [
        {"p": 5},
        {"p": {"method": "XX"}},
        {"p": {"method": "ED"}},
        {"p": {"method": "ED", "bucket": 0}},
    ],
    "preload_weight": [{"id": 5}, "id"],
    "alias_of_user_id": ["friend", [1], {"a": 1}],
    "benchmark_filename": ["one", [1, 2, 3], 5],
    "normalize_field": ["price", [1]],
}


@pytest.mark.parametrize("keys", GOOD)
def test_what_recbole_takes_passes(keys):
    check_nested_values(keys)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_what_recbole_would_fail_over_or_misread_is_refused_by_name(key, value):
    with pytest.raises(KDError, match=key):
        check_nested_values({key: value})


@pytest.mark.parametrize("place", ["{}", "student.{}", "teacher.{}"])
def test_every_place_is_checked_before_anything_is_trained(place):
    with pytest.raises(KDError, match="clip_grad_norm: max_norm: -1 is out of range"):
        made(f"--{place.format('clip_grad_norm')}={{max_norm: -1}}")
    with pytest.raises(KDError, match="clip_grad_norm: max_norm: -1 is out of range"):
        made(config_dict={"teachers": [{"model": "BPR", "clip_grad_norm": {"max_norm": -1}}]})


def test_the_spelling_that_the_message_names_is_one_that_works():
    with pytest.raises(KDError, match=r"write \{max_norm: 5\}$"):
        made("--clip_grad_norm=-1")
    for spelling in ("{max_norm: 5}", "{'max_norm': 5}"):
        assert made(f"--clip_grad_norm={spelling}")["clip_grad_norm"] == {"max_norm": 5}


@pytest.mark.parametrize(
    ("text", "fits"),
    [("[5,inf)", True), ("(0,1];[3,4]", True), ("[5,3]", False), ("[5", False), ("", False), (5, False)],
)
def test_intervals(text, fits):
    assert is_interval(text) is fits


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("state", value) for value in (5, "LOUD", ["INFO"])),
        *(("gpu_id", value) for value in (1.5, True, [0, 1], {"a": 1})),
        *(("USER_ID_FIELD", value) for value in (5, None, ["user_id"], "")),
        *(("checkpoint_dir", value) for value in (5, ["saved"], True)),
        *(("learning_rate", value) for value in (10**400, [0.1], "fast")),
        *(("transform", value) for value in (5, ["mask"])),
    ],
)
def test_texts_and_numbers_of_another_type_are_refused_by_name(key, value):
    with pytest.raises(KDError, match=key):
        made(config_dict={key: value})
