"""What is read out of a teacher, against slow recounts; and the store on disk."""

import numpy as np
import pytest
import torch

from recbole_kd.backbone.capabilities import SCORER_MODEL
from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.store import read_arrays, store_name, write_arrays
from recbole_kd.ops.blocks import BLOCK_SIZE
from recbole_kd.ops.ranking import top_k_of_chunks
from recbole_kd.ops.sampling import sample_outside
from recbole_kd.ops.top_lists import MIN_ROWS
from recbole_kd.testing import ConformanceRun
from recbole_kd.testing.toy import D_T, ITEMS, SEEN, USERS, Toy


@pytest.fixture
def bench(settings):
    return ConformanceRun("SLD", settings)


def test_top_items_are_the_best_unseen_ones(bench):
    top = bench.knowledge.top_items(10)
    scores = bench.knowledge.score_all(torch.arange(bench.knowledge.n_queries))
    seen = {user: set() for user in range(bench.knowledge.n_queries)}
    for user, item in zip(*(part.tolist() for part in bench.data.train_pairs), strict=True):
        seen[user].add(item)
    for user in range(1, bench.knowledge.n_queries):
        unseen = [item for item in range(1, bench.knowledge.n_items) if item not in seen[user]]
        best = sorted(unseen, key=lambda item: -float(scores[user, item]))[:10]
        assert top.ids[user].tolist() == best
        assert top.scores[user].tolist() == pytest.approx([float(scores[user, item]) for item in best], rel=1e-4)
    assert top.length[0] == 0 and top.ids[0].eq(0).all()
    assert (top.ids[1:] > 0).all()


def test_lists_that_leave_nothing_outside_them_are_named():
    pairs = torch.tensor([(user, item) for user, items in SEEN.items() for item in items]).T
    messages = []
    knowledge = ModelKnowledge(FactorBackbone(Toy(D_T, 1)), tuple(pairs), log=messages.append)
    knowledge.excluded_from_sampling()
    knowledge.excluded_from_sampling(knowledge.top_items(2))
    knowledge.users_excluded_from_sampling(knowledge.top_users(1))
    assert not [text for text in messages if "holds all" in text]
    knowledge.excluded_from_sampling(knowledge.top_items(ITEMS))
    knowledge.users_excluded_from_sampling(knowledge.top_users(USERS))
    full = [text for text in messages if "holds all" in text]
    assert len(full) == 2 and f"for {USERS} of {USERS} users" in full[0] and f"for {ITEMS} of {ITEMS} items" in full[1]


def test_a_list_longer_than_the_catalogue_is_clipped_and_logged_once(bench):
    messages = []
    knowledge = ModelKnowledge(bench.knowledge.backbone, bench.data.train_pairs, None, messages.append)
    top = knowledge.top_items(10_000)
    knowledge.top_items(20_000)
    assert top.ids.shape[1] == knowledge.n_items - 1
    assert len([text for text in messages if "clipped" in text]) == 1
    train = np.bincount(bench.data.train_pairs[0].numpy(), minlength=knowledge.n_queries)
    expected = torch.from_numpy(knowledge.n_items - 1 - train)[1:]
    assert torch.equal(top.length[1:], expected)  # seen items leave their slots empty
    assert top.scores[1, top.length[1] :].eq(-torch.inf).all()


def test_scores_of_chosen_items(bench):
    items = torch.randint(1, bench.knowledge.n_items, (bench.knowledge.n_queries, 6))
    full = bench.knowledge.score_all(torch.arange(bench.knowledge.n_queries))
    assert torch.allclose(bench.knowledge.score(items), full.gather(1, items), atol=1e-5)


def test_a_scorer_gives_the_same_kinds_of_knowledge(settings):
    bench = ConformanceRun("SLD", settings, teacher_model="EASE")
    assert bench.knowledge.capabilities == SCORER_MODEL and bench.knowledge.width is None
    top = bench.knowledge.top_items(5)
    full = bench.knowledge.score_all(torch.arange(bench.knowledge.n_queries))
    assert torch.allclose(top.scores[1:], full[1:].gather(1, top.ids[1:].long()), atol=1e-5)
    assert torch.allclose(bench.knowledge.score(top.ids)[1:], top.scores[1:], atol=1e-5)


@pytest.mark.parametrize("side", ["user", "item"])
def test_neighbours_are_the_nearest_others(bench, side):
    near = bench.knowledge.neighbours(side, 4, 150)  # more components than the width: the plain space
    table = bench.knowledge.factors(side)
    for x in range(1, len(table)):
        others = [y for y in range(1, len(table)) if y != x]
        best = sorted(others, key=lambda y: float((table[x] - table[y]).square().sum()))[:4]
        assert set(near[x].tolist()) == set(best)
    assert near[0].eq(0).all() and (near[1:] > 0).all()


def test_neighbours_in_fewer_components_are_those_of_a_pca(bench):
    from sklearn.decomposition import PCA

    near = bench.knowledge.neighbours("item", 3, 2)
    table = torch.from_numpy(PCA(2).fit_transform(bench.knowledge.factors("item")[1:].double().numpy()))
    distance = torch.cdist(table, table).fill_diagonal_(torch.inf)
    expected = distance.topk(3, largest=False).indices + 1
    agree = sum(set(a) == set(b) for a, b in zip(near[1:].tolist(), expected.tolist(), strict=True))
    assert agree >= 0.98 * len(table)  # rounding may swap a tie


def test_duplicate_vectors_do_not_make_an_entity_a_neighbour_of_itself(bench):
    table = bench.knowledge.factors("item")
    table[1:6] = table[1]
    near = bench.knowledge.neighbours("item", 4, 150)
    assert not (near[1:] == torch.arange(1, len(near))[:, None]).any()


def test_the_store_is_written_at_once_and_read_back(bench, workdir):
    messages = []

    def fresh():
        return ModelKnowledge(bench.knowledge.backbone, bench.data.train_pairs, workdir / "store", messages.append)

    first = fresh().top_items(7)
    (workdir / "store" / "top-9.partial").mkdir()  # what a kill leaves behind
    again = fresh()
    assert torch.equal(first.ids, again.top_items(7).ids)
    assert len([text for text in messages if "top 7" in text]) == 1
    again.top_items(9)
    assert sorted(path.name for path in (workdir / "store").iterdir()) == ["top-7", "top-9"]


def test_of_two_runs_that_write_the_same_the_first_one_does(tmp_path):
    folder = tmp_path / "store" / "top-9"
    write_arrays(folder, {"ids": torch.tensor([1])})
    write_arrays(folder, {"ids": torch.tensor([2])})
    assert read_arrays(folder, "cpu")["ids"].tolist() == [1]
    (folder / "ids.npy").write_bytes(b"damaged")
    write_arrays(folder, {"ids": torch.tensor([3])})
    assert read_arrays(folder, "cpu")["ids"].tolist() == [3]


@pytest.mark.parametrize("lost", ["ids.npy", "scores.npy", "names.txt", "checksums.json"])
def test_a_folder_that_lost_a_file_is_written_anew(tmp_path, lost):
    folder, arrays = tmp_path / "store" / "top-9", {"ids": torch.tensor([1]), "scores": torch.tensor([0.5])}
    write_arrays(folder, arrays)
    (folder / lost).unlink()
    assert read_arrays(folder, "cpu") is None
    write_arrays(folder, arrays)
    assert {name: array.tolist() for name, array in read_arrays(folder, "cpu").items()} == {"ids": [1], "scores": [0.5]}


def test_the_store_tells_teachers_and_splits_apart(bench):
    content, again = read_checkpoint(bench.teacher.file), read_checkpoint(bench.teacher.file)
    again["config"]["checkpoint_dir"] = "elsewhere"  # the same teacher in another place
    assert store_name(content, "a") == store_name(again, "a") != store_name(again, "b")
    again["state_dict"]["item_embedding.weight"][3, 2] += 1e-6
    assert store_name(content, "a") != store_name(again, "a")


def test_nothing_of_size_users_by_items_is_made(bench, monkeypatch):
    monkeypatch.setattr("recbole_kd.ops.blocks.BLOCK_SIZE", 500)
    sizes = []
    score_all = bench.knowledge.score_all
    bench.knowledge.score_all = lambda users: sizes.append(len(users)) or score_all(users)
    blocked = bench.knowledge.top_unseen(bench.knowledge.score_all, 5)
    assert max(sizes) * bench.knowledge.n_items <= 500 < BLOCK_SIZE
    monkeypatch.undo()
    assert torch.equal(blocked.ids, bench.knowledge._top_arrays(5, False)["ids"])


@pytest.mark.parametrize("k", [5, 40, 85])
@pytest.mark.parametrize("read", ["top_items", "seen", "top_users", "near", "student"])
def test_a_table_that_is_read_in_blocks_gives_the_same_lists(bench, monkeypatch, read, k):
    knowledge, student = bench.knowledge, bench.model().backbone
    k = min(k, 40) if read == "top_users" else k  # of 60
    function = {
        "top_items": lambda: knowledge._top_arrays(k, False)["ids"],
        "seen": lambda: knowledge._top_arrays(k, True)["ids"],
        "top_users": lambda: knowledge._top_users(k)["ids"],
        "near": lambda: knowledge._near("item", k, 3),
        "student": lambda: knowledge.top_unseen(student.snapshot(), k).ids,
    }[read]
    expected, widths, merged = function(), [], top_k_of_chunks
    assert (expected[1:] == 0).any() == (k > 60 and read in ("top_items", "student"))  # a row with fewer than k

    def watched(chunks, k):
        return merged((widths.append(part.shape[1]) or part for part in chunks), k)

    monkeypatch.setattr("recbole_kd.ops.blocks.BLOCK_SIZE", 7 * MIN_ROWS)
    monkeypatch.setattr("recbole_kd.ops.top_lists.top_k_of_chunks", watched)
    assert torch.equal(function(), expected)
    assert max(widths) == max(7, k + 1) < knowledge.n_items


def test_what_an_item_passes_over_are_its_users_in_training_and_those_of_its_list(bench):
    knowledge = bench.knowledge
    top = knowledge.top_users(6)
    drawn, mask = sample_outside(knowledge.users_excluded_from_sampling(top), 2000, torch.Generator().manual_seed(0))
    for item in range(1, knowledge.n_items):
        had = knowledge.positive_users[knowledge.positive_items == item].tolist()
        free = set(range(1, knowledge.n_queries)) - set(had) - set(top.ids[item].tolist())
        assert set(drawn[item].tolist()) == free and mask[item].all()


def test_the_list_of_all_items_holds_what_was_seen(bench):
    knowledge = bench.knowledge
    top, everyone = knowledge.top_items(5, seen=True), torch.arange(knowledge.n_queries)
    scores = knowledge.score_all(everyone)
    scores[:, 0] = -torch.inf
    for user in range(1, knowledge.n_queries):
        assert set(top.ids[user].tolist()) == set(scores[user].topk(5).indices.tolist())


def test_the_users_of_an_item_are_those_that_the_teacher_ranks_highest_and_that_have_not_seen_it(bench, monkeypatch):
    knowledge = bench.knowledge
    monkeypatch.setattr("recbole_kd.ops.blocks.BLOCK_SIZE", 7 * knowledge.n_items)  # several blocks
    top = knowledge.top_users(6)
    scores = knowledge.score_all(torch.arange(knowledge.n_queries)).clone()
    scores[knowledge.positive_users, knowledge.positive_items] = -torch.inf
    scores[0] = -torch.inf
    for item in range(1, knowledge.n_items):
        best = scores[:, item].sort(descending=True)
        known = best.indices[: min(6, int((best.values > -torch.inf).sum()))].tolist()
        assert top.ids[item, : len(known)].tolist() == known and not top.ids[item, len(known) :].any()
        torch.testing.assert_close(top.scores[item, : len(known)], best.values[: len(known)])
        assert top.length[item] == len(known)
    assert not top.ids[0].any() and top.length[0] == 0


@pytest.mark.parametrize("block", [1, 400, BLOCK_SIZE])
def test_a_draw_passes_over_what_was_seen_and_what_is_listed_however_many_rows_are_taken_together(
    bench, monkeypatch, block
):
    knowledge = bench.knowledge
    users, items = knowledge.top_items(5), knowledge.top_users(6)
    monkeypatch.setattr("recbole_kd.ops.blocks.BLOCK_SIZE", block)
    pairs = list(zip(knowledge.positive_users.tolist(), knowledge.positive_items.tolist(), strict=True))
    for excluded, top, size, known in (
        (knowledge.excluded_from_sampling(users), users, knowledge.n_items, pairs),
        (knowledge.users_excluded_from_sampling(items), items, knowledge.n_queries, [pair[::-1] for pair in pairs]),
    ):
        assert excluded.size == size and len(excluded.starts) == len(top.ids) + 1
        for row in range(len(top.ids)):
            gaps = excluded.gaps[int(excluded.starts[row]) : int(excluded.starts[row + 1])]
            expected = {0, *top.ids[row].tolist(), *(other for entity, other in known if entity == row)}
            assert (gaps + torch.arange(len(gaps))).tolist() == sorted(expected)
