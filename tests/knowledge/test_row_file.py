"""Files of lists for training rows: what is read of them, and what is refused."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_kd.backbone.training_rows import RowNames
from recbole_kd.errors import KDError
from recbole_kd.knowledge.file_tables import is_of_rows, read_table, replace_tokens
from recbole_kd.knowledge.row_file import RowFileKnowledge, build_row_lists

USERS, ITEMS = np.array(["[PAD]", "a", "b"]), np.array(["[PAD]", "v", "w", "x", "y", "z"])
# the rows: user a with lengths 1 and 2, user b with length 1; their targets are w, x and v
ROWS = RowNames(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 1]), np.array([0, 2, 3, 1]))
HEADER = "user_id:token\tlength\titem_id:token\tscore:float\tdistance"
LINES = ["a\t1\tv\t3\t0.5", "a\t1\tw\t9\t0.1", "a\t1\tz\t4\t0.2", "b\t1\ty\t1\t2", "a\t2\ty\t1\t7", "a\t2\tv\t1\t8"]


@pytest.fixture
def lists(tmp_path):
    """A function from a header and lines to the lists of the rows."""

    def read(lines=LINES, header=HEADER, arrays=None):
        path = Path("rows.npz" if arrays else "rows.tsv")
        if arrays:
            np.savez(tmp_path / path, **arrays)
        else:
            (tmp_path / path).write_text("\n".join([header, *lines]) + "\n")
        frame = read_table(tmp_path / path)
        assert is_of_rows(frame)
        for side, tokens in (("user", USERS), ("item", ITEMS)):
            replace_tokens(frame, side, tokens, path)
        return build_row_lists(frame, ROWS, USERS, path)

    return read


def knowledge_of(lists):
    return RowFileKnowledge(lists, len(ITEMS), (torch.tensor([1, 2, 3]), torch.tensor([2, 3, 1])), "cpu", "rows.tsv")


def test_lists_are_sorted_by_score_and_lack_the_targets(lists):
    read = lists()
    assert read.ids.tolist() == [[0, 0], [5, 1], [1, 4], [4, 0]]  # of equal scores the smaller id comes first
    assert read.scores.tolist() == [[-math.inf] * 2, [4, 3], [1, 1], [1, -math.inf]]
    assert read.given.tolist() == [0, 3, 2, 1]  # with the target
    torch.testing.assert_close(read.distances[1:], torch.tensor([[0.2, 0.5], [8, 7], [2, math.inf]]))


def test_arrays_of_ranks_and_confidences_give_the_same(lists):
    columns = list(zip(*(line.split("\t") for line in LINES), strict=True))
    distances = np.array(columns[4], float)
    arrays = {
        "user": np.array(columns[0]), "length": np.array(columns[1], int), "item": np.array(columns[2]),
        "rank": -np.array(columns[3], float), "confidence": np.exp(-distances),
    }  # fmt: skip
    of_arrays, of_text = lists(arrays=arrays), lists()
    assert torch.equal(of_arrays.ids, of_text.ids)
    torch.testing.assert_close(of_arrays.distances, of_text.distances)


def test_a_confidence_of_0_is_far_and_not_infinite(lists):
    read = lists([line.rpartition("\t")[0] + "\t0" for line in LINES], HEADER.replace("distance", "confidence"))
    assert read.distances[1].tolist() == pytest.approx([30 * math.log(10)] * 2)


def test_lengths_that_are_not_whole_are_refused_in_arrays_too(lists):
    arrays = {"user": ["a"], "length": [1.5], "item": ["x"], "score": [1.0]}
    with pytest.raises(KDError, match=r"length of 1\.5, which is not a whole number"):
        lists(arrays={name: np.array(values) for name, values in arrays.items()})


def test_without_a_confidence_there_are_no_distances(lists):
    read = lists([line.rpartition("\t")[0] for line in LINES], HEADER.rpartition("\t")[0])
    assert read.distances is None and not knowledge_of(read).has_distances


def test_the_knowledge_gives_the_lists_of_chosen_rows(lists):
    knowledge = knowledge_of(lists())
    assert knowledge.per_row and knowledge.max_list_length == 1 and knowledge.has_distances
    top = knowledge.top_items_of(torch.tensor([3, 1]), 1)
    assert top.ids.tolist() == [[4], [5]] and top.scores.tolist() == [[1], [4]] and top.length.tolist() == [1, 1]
    assert knowledge.distances_of(torch.tensor([3, 1]), 1).tolist() == [[2], [pytest.approx(0.2)]]
    assert knowledge.top_items(1).ids.tolist() == [[0], [5], [1], [4]]
    assert knowledge.top_seen(5).tolist() == [[0], [2], [3], [1]]


def test_a_list_that_holds_the_target_may_be_one_item_shorter(lists):
    lines = ["a\t1\tw\t2\t1", "a\t1\tz\t1\t1", "a\t2\ty\t2\t1", "a\t2\tv\t1\t1", "b\t1\tx\t2\t1", "b\t1\ty\t1\t1"]
    top = knowledge_of(lists(lines)).top_items(2)
    assert top.ids.tolist() == [[0, 0], [5, 0], [4, 1], [3, 4]] and top.length.tolist() == [0, 1, 2, 2]


def test_too_short_lists_and_seen_items_are_refused(lists):
    knowledge = knowledge_of(lists())
    with pytest.raises(KDError, match="fewer than 3 items for 2 of 3 training rows"):
        knowledge.top_items(3)
    with pytest.raises(KDError, match="what users have not seen"):
        knowledge.top_items_of(torch.tensor([1]), 1, seen=True)


@pytest.mark.parametrize(
    ("lines", "header", "words"),
    [
        (LINES[:3], HEADER, ["no list for 2 of 3 training rows", "first user 'a' with length 2"]),
        ([*LINES, "b\t7\tx\t1\t1"], HEADER, ["lists for 1 rows that the training does not have", "'b' with length 7"]),
        ([*LINES, "b\t-1\tx\t1\t1"], HEADER, ["lists for 1 rows", "'b' with length -1"]),
        (["b\t3\tx\t1\t1"], HEADER, ["no list for 3 of 3", "and has lists for 1 rows"]),
        ([*LINES, "c\t1\tx\t1\t1"], HEADER, ["1 users", "'c'"]),
        ([*LINES, "a\t1\tq\t1\t1"], HEADER, ["1 items", "'q'"]),
        ([*LINES, LINES[0]], HEADER, ["1 items twice"]),
        ([*LINES, "a\t1\tx\t1\tnan"], HEADER, ["finite"]),
        ([*LINES, "a\tone\tx\t1\t1"], HEADER, ["cannot be read", "one"]),
        ([*LINES, "a\t1.5\tx\t1\t1"], HEADER, ["length of 1.5", "whole number"]),
        ([*LINES, "a\t1\tx\t1\t-2.5"], HEADER.replace("distance", "confidence"), ["-2.5", "below 0", "distance"]),
        (LINES, HEADER.replace("distance", "sureness"), ["header", "confidence or distance", "'sureness'"]),
        (LINES, HEADER.replace("score", "points"), ["header", "'points'"]),
    ],
)
def test_a_file_that_does_not_fit_is_refused(lists, lines, header, words):
    with pytest.raises(KDError) as caught:
        lists(lines, header)
    assert all(word in str(caught.value) for word in words), caught.value


def test_rows_are_found_by_user_and_length():
    users, lengths = np.array([1, 2, 1, 2, 1, 1]), np.array([2, 1, 1, 2, 0, 9])
    assert ROWS.ids_of(users, lengths).tolist() == [2, 3, 1, 0, 0, 0]
