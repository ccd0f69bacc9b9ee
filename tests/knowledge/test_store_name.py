"""The name of a teacher's folder: a hash of what its model reads of a checkpoint, whatever else stands in it."""

import scipy.sparse as sparse
import torch

from recbole_kd.knowledge.store import store_name

GIB = 2**30


def content(state_dict=None, other=None, model="BPR"):
    return {"config": {"model": model}, "state_dict": state_dict or {"w": torch.ones(2, 3)}, "other_parameter": other}


def test_bfloat16_weights_have_a_name_of_their_own():
    names = {store_name(content({"w": torch.full((2, 3), value, dtype=torch.bfloat16)}), "t") for value in (1.0, 1.5)}
    assert len(names) == 2
    assert store_name(content({"w": torch.ones(2, 3, dtype=torch.bfloat16)}), "t") in names


def test_entries_that_the_model_does_not_name_are_not_hashed():
    plain = store_name(content(other={}), "t")
    mixed = {"a": 1, 2: "b", None: [1], "matrix": sparse.coo_matrix((40_000, 40_000))}
    assert store_name(content(other=mixed), "t") == plain
    named = content(other={"restore_user_e": torch.ones(2)}, model="LightGCN")
    assert store_name(named, "t") != store_name(content(other={}, model="LightGCN"), "t")


def test_names_beside_numbers_are_hashed_in_an_order_of_their_own():
    keys = ({"b": 1, 2: "c"}, {2: "c", "b": 1})
    names = [store_name(content(other={"restore_user_e": nested}, model="LightGCN"), "t") for nested in keys]
    assert names[0] == names[1]


def test_a_small_file_that_describes_a_huge_sparse_tensor_is_hashed_as_it_is():
    def huge(value):
        return torch.sparse_coo_tensor([[0, 5], [0, 7]], [1.0, value], (100_000, 100_000))  # 40 GB of numbers

    names = {store_name(content({"w": huge(value)}), "t") for value in (2.0, 3.0)}
    assert len(names) == 2


def test_small_sparse_tensors_are_hashed_as_dense_ones_as_ever():
    dense = torch.eye(4)
    assert store_name(content({"w": dense.to_sparse()}), "t") == store_name(content({"w": dense}), "t")
