"""Files of vectors: what is read of them, and what is refused."""

import numpy as np
import pytest
import torch

from recbole_kd.backbone.capabilities import FACTOR_MODEL
from recbole_kd.errors import KDError
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.vector_file import has_user_vectors, read_vectors, vector_backbone

TOKENS = (np.array(["[PAD]", "a", "b"]), np.array(["[PAD]", "x", "y", "z"]))
VECTORS = np.array([[3.0, 1], [1, 0], [9, 9], [2, 2]])
ITEMS = {"item_tokens": np.array(["z", "x", "other", "y"]), "item_vectors": VECTORS}
USERS = {"user_tokens": np.array(["b", "a"]), "user_vectors": np.array([[0.0, 1], [1, -1]])}


@pytest.fixture
def file(tmp_path):
    """A function from arrays to the file that holds them."""

    def write(**arrays):
        np.savez(tmp_path / "v.npz", **arrays)
        return tmp_path / "v.npz"

    return write


def test_vectors_are_ordered_by_id_and_other_tokens_passed_over(file):
    vectors = read_vectors(file(**ITEMS), TOKENS)
    assert vectors.items.tolist() == [[0, 0], [1, 0], [2, 2], [3, 1]] and vectors.users is None
    assert vectors.items.dtype == torch.float32


def test_users_and_items_rank_by_their_inner_products(file):
    path = file(**ITEMS, **USERS)
    assert has_user_vectors(path)
    backbone = vector_backbone(read_vectors(path, TOKENS), "user_id", "cpu")
    knowledge = ModelKnowledge(backbone, (torch.tensor([1]), torch.tensor([1])))  # user a has seen x
    assert knowledge.capabilities == FACTOR_MODEL and knowledge.width == 2
    # the scores of user a: x 1, y 0, z 2; of user b: 0, 2, 1
    assert knowledge.score_all(torch.tensor([1, 2]))[:, 1:].tolist() == [[1, 0, 2], [0, 2, 1]]
    assert knowledge.top_items(3).ids.tolist() == [[0, 0, 0], [3, 2, 0], [2, 3, 1]]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"item_tokens": ITEMS["item_tokens"]}, ["item_tokens and item_vectors", "has item_tokens"]),
        ({**ITEMS, "user_tokens": USERS["user_tokens"]}, ["both user_tokens and user_vectors"]),
        ({**USERS}, ["needs the arrays item_tokens"]),
        ({**ITEMS, "item_vectors": VECTORS[:3]}, ["(4,)", "(3, 2)"]),
        ({**ITEMS, "item_vectors": VECTORS[:, 0]}, ["(4,)", "a row of floating-point numbers"]),
        ({**ITEMS, "item_vectors": VECTORS.astype(int)}, ["int64", "floating-point"]),
        ({k: v[:2] for k, v in ITEMS.items()}, ["lacks the vectors of 1 of 3 items", "first 'y'"]),
        ({**ITEMS, "item_tokens": np.array(["z", "x", "x", "y"])}, ["several vectors of one item"]),
        ({**ITEMS, "item_vectors": VECTORS * [[np.nan], [1], [1], [1]]}, ["not a finite number"]),
        ({**ITEMS, **{k: v[:1] for k, v in USERS.items()}}, ["1 of 2 users", "'a'"]),
        ({**ITEMS, **USERS, "user_vectors": np.ones((2, 3))}, ["of 3 numbers for users and of 2 for items"]),
        ({**ITEMS, "item_tokens": np.array([object()] * 4)}, ["cannot be read"]),  # pickled: never executed
    ],
)
def test_a_file_that_does_not_fit_is_refused(file, arrays, words):
    with pytest.raises(KDError) as caught:
        read_vectors(file(**arrays), TOKENS)
    assert all(word in str(caught.value) for word in words), caught.value


def test_what_is_unknown_to_the_dataset_may_be_anything(file):
    vectors = read_vectors(file(**{**ITEMS, "item_vectors": VECTORS * [[1], [1], [np.nan], [1]]}), TOKENS)
    assert torch.isfinite(vectors.items).all()


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(KDError, match="does not exist"):
        read_vectors(tmp_path / "none.npz", TOKENS)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(KDError, match="cannot be read"):
        has_user_vectors(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(KDError, match="one array"):
        read_vectors(tmp_path / "one.npy", TOKENS)
