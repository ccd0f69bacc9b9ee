"""Several teachers as one: the consensus that is offered, scores on one scale, files as teachers, what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from recbole_kd.backbone.capabilities import RANK_LISTS
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.cli import main
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError, TrainingFailed
from recbole_kd.experiment import make_config
from recbole_kd.knowledge.ensemble import EnsembleKnowledge
from recbole_kd.knowledge.loader import load_knowledge, teachers_name
from recbole_kd.knowledge.score_file import FileKnowledge
from recbole_kd.ops.ranking import rank_weights
from recbole_kd.quick_start import run_kd
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.testing import ConformanceRun
from recbole_kd.trainer import training
from recbole_kd.trainer.cache_key import outcome_settings, run_key
from tests.ops.test_ranking import slow_consensus

THREE = ["BPR", "EASE", "NeuMF"]


@pytest.fixture
def bench(settings):
    return ConformanceRun("RRD", settings, teacher_model=THREE)


def test_the_consensus_is_that_of_the_members_lists(bench):
    members = [member.top_items(100).ids for member in bench.knowledge.members]
    top = bench.knowledge.top_items(10)
    for user in range(1, 61):
        ids = [item for lists in members for item in lists[user].tolist()]
        weights = rank_weights(members[0].shape[1], 10.0).tolist() * 3
        expected = slow_consensus(ids, weights, 10)
        assert top.ids[user].tolist() == expected[0]
        assert top.scores[user].tolist() == pytest.approx(expected[1])
    assert not top.ids[0].any() and (top.scores[0] == -torch.inf).all()


def test_a_short_list_is_the_beginning_of_a_long_one(bench):
    long, seen = bench.knowledge.top_items(40).ids, bench.knowledge.top_seen(20)
    for k in (1, 3, 10):
        assert torch.equal(bench.knowledge.top_items(k).ids, long[:, :k])
        assert torch.equal(bench.knowledge.top_seen(k), seen[:, :k])


def test_items_that_were_trained_on_are_in_no_list_and_lead_the_other(bench):
    top, seen = bench.knowledge.top_items(20).ids, bench.knowledge.top_seen(5)
    users, items = bench.data.train_pairs
    trained = {user: set(items[users == user].tolist()) for user in range(1, 61)}
    for user in range(1, 61):
        assert not trained[user] & set(top[user].tolist())
        assert set(seen[user].tolist()) - {0} <= trained[user]
        assert (seen[user] > 0).sum() == min(5, len(trained[user]))


def test_seen_items_stand_as_the_teacher_scores_them(settings):
    knowledge = ConformanceRun("RRD", settings).knowledge
    seen = knowledge.top_seen(6)
    for user in (1, 30):
        items = seen[user][seen[user] > 0].long()
        scores = knowledge.score_all(torch.tensor([user]))[0, items]
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_scores_are_the_mean_of_standardised_ones(settings):
    knowledge = ConformanceRun("SLD", settings, teacher_model=THREE, ensemble="score").knowledge
    users = torch.tensor([3, 4, 11])
    expected = []
    for member in knowledge.members:
        scores = member.score_all(users).double()[:, 1:]
        expected.append((scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True))
    mean = torch.stack(expected).mean(0)
    torch.testing.assert_close(knowledge.score_all(users)[:, 1:].double(), mean, rtol=1e-4, atol=1e-4)
    items = torch.randint(1, 91, (61, 4), generator=torch.Generator().manual_seed(0))
    chosen = knowledge.score(items)[users].double()
    torch.testing.assert_close(chosen, mean.gather(1, items[users] - 1), rtol=1e-4, atol=1e-4)
    top = knowledge.top_items(5)
    assert top.scores[3].tolist() == pytest.approx(knowledge.score(top.ids.long())[3].tolist(), rel=1e-4)


def test_a_teacher_counts_as_much_as_its_weight_says(settings):
    weights = [1, 0.5, 2.0]
    ranks = ConformanceRun("RRD", settings, teacher_model=THREE, ensemble_weights=weights).knowledge
    scores = ConformanceRun("SLD", settings, teacher_model=THREE, ensemble="score", ensemble_weights=weights).knowledge
    members, user = [member.top_items(89).ids[5].tolist() for member in ranks.members], torch.tensor([5])
    shares = [weight * value for weight in weights for value in rank_weights(89, 10.0).tolist()]
    ids, values = slow_consensus([item for member_list in members for item in member_list], shares, 10)
    assert ranks.top_items(10).ids[5].tolist() == ids
    assert ranks.top_items(10).scores[5].tolist() == pytest.approx(values)
    total = torch.zeros(90, dtype=torch.float64)
    for weight, member in zip(weights, scores.members, strict=True):
        member_scores = member.score_all(user)[0, 1:].double()
        total += weight / 3.5 * (member_scores - member_scores.mean()) / member_scores.std()
    torch.testing.assert_close(scores.score_all(user)[0, 1:].double(), total, rtol=1e-4, atol=1e-4)


def test_each_weights_have_another_store_and_none_is_as_before(settings):
    def run(**keys):
        bench = ConformanceRun("RRD", settings, teacher_model=THREE, **keys)
        return bench.knowledge.store, run_key(bench.config, bench.data.fingerprint)

    plain, weighted, others = run(), run(ensemble_weights=[1, 1, 2]), run(ensemble_weights=[1, 2, 1])
    assert len({plain, weighted, others}) == 3 and plain[0].name == teachers_name(
        ConformanceRun("RRD", settings, teacher_model=THREE).teachers
    )
    assert "ensemble_weights" not in outcome_settings(make_config("RRD", config_dict=settings).final_config_dict)


@pytest.mark.parametrize("weights", [[1, 1], [1, 1, 0], [1, 1, -1], [1, 1, True], [1, 1, "2"], [1, 1, float("inf")], 2])
def test_weights_that_fit_no_teachers_are_refused(settings, weights):
    with pytest.raises(KDError, match=r"ensemble_weights=.* is out of range"):
        make_config("RRD", config_dict={**settings, "teacher_model": THREE, "ensemble_weights": weights})


def test_one_teacher_has_no_weight(settings):
    with pytest.raises(KDError, match="there is one"):
        make_config("RRD", config_dict={**settings, "ensemble_weights": [1]})


@pytest.mark.parametrize("method", ["CD", "DCD", "IRRRD", "KD", "RCEKD", "SLD", "UnKD"])
def test_every_term_that_needs_scores_takes_an_ensemble_of_them(settings, method):
    bench = ConformanceRun(method, settings, teacher_model=["BPR", "EASE"], ensemble="score")
    bench.model().calculate_loss(bench.batch())


def test_users_of_an_item_stand_as_the_mean_scores_them(settings):
    knowledge = ConformanceRun("DCD", settings, teacher_model=["BPR", "EASE"], ensemble="score").knowledge
    top, scores = knowledge.top_users(5), knowledge.score_all(torch.arange(61))
    scores[knowledge.positive_users, knowledge.positive_items] = -torch.inf
    best = scores[1:, 7].topk(5)
    assert (top.ids[7] - 1).tolist() == best.indices.tolist()
    assert top.scores[7].tolist() == pytest.approx(best.values.tolist(), rel=1e-4)


@pytest.mark.parametrize(
    ("method", "keys", "words"),
    [
        ("SLD", {}, ["SLD", "scores", "ensemble=score"]),
        ("NKD", {"ensemble": "score"}, ["NKD", "query and item vectors", "one teacher"]),
    ],
)
def test_a_term_that_needs_more_says_what_would_work(settings, method, keys, words):
    with pytest.raises(KDError) as caught:
        run_kd(method, config_dict={**settings, "teacher_model": ["BPR", "EASE"], **keys})
    assert all(word in str(caught.value) for word in words), caught.value


# a run


def test_the_result_has_a_row_for_each_teacher_and_one_for_all(settings, workdir, capsys):
    argv = [f"--{key}={value}" for key, value in settings.items() if key not in ("teacher", "state")]
    argv += [
        "--teacher.embedding_size=12",
        "--state=WARNING",
        "--metric_decimal_place=16",
        "--hetcomp_k=10",
        "--hetcomp_warm_up=1",
    ]
    argv += ["--hetcomp_refresh=1", "--model=HetComp", "--teacher_model=['BPR', 'EASE']", "--result_file=r.json"]
    assert main(argv) == 0
    output = capsys.readouterr().out
    for words in ("teacher BPR", "teacher EASE", "ensemble of them", "student alone", "distilled (HetComp)"):
        assert words in output
    result = json.loads((workdir / "r.json").read_text())
    assert [row["label"] for row in result["teachers"]] == ["BPR", "EASE"] and "teacher" not in result
    for cost in ("parameters", "bytes", "ms_per_user"):
        assert result["ensemble"][cost] == pytest.approx(sum(row[cost] for row in result["teachers"]))
    points = result["progress"]["teacher 1 mean state"]
    assert [epoch for epoch, _ in points] == [0, 1]
    page = (workdir / "r.progress.html").read_text()
    assert "r.progress.html" in output and "mean state" in page and "BPR" in page and 'src="http' not in page
    test = {name: result[name]["test_result"]["ndcg@10"] for name in ("ensemble", "student_alone", "distilled")}
    gap = test["ensemble"] - test["student_alone"]
    share = result["recovered_share"]["ndcg@10"]
    assert share is None if gap <= 0 else share == pytest.approx((test["distilled"] - test["student_alone"]) / gap)


def test_a_teacher_of_one_epoch_is_evaluated_after_it(settings):
    keys = {"teacher_model": ["BPR", "ItemKNN"], "eval_step": 3, "epochs": 3}
    labels = [row["label"] for row in run_kd("RRD", config_dict={**settings, **keys})["teachers"]]
    assert labels == ["BPR", "ItemKNN"]


# who may teach together


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"teacher_model": ["BPR", "BPR"]}, ["twice", "BPR"]),
        ({"teacher_model": []}, ["empty"]),
        ({"teacher_model": ["BPR", "BRP"]}, ["'BRP'", "did you mean"]),
        ({"teacher_model": ["BPR", 5]}, ["5", "name"]),
        ({"teachers": ["BPR"], "teacher_model": "BPR"}, ["leave teacher_model out"]),
        ({"teachers": ["BPR"], "teacher_path": "a.pth"}, ["leave teacher_path out"]),
        ({"teacher_path": ["a.pth", "b.pth"], "teacher_model": ["BPR"]}, ["leave teacher_model out"]),
        ({"teachers": "BPR"}, ["list of entries"]),
        ({"teachers": [{"model": "BPR", "path": "a.pth"}]}, ["one of model, path, scores and factors"]),
        ({"teachers": [{"model": "BPR", "factors": "v.npz"}]}, ["one of model, path, scores and factors"]),
        ({"teachers": [{"factors": "v.npz", "epochs": 3}]}, ["a file of factors takes no keys", "epochs"]),
        ({"teachers": [{"embedding_size": 5}]}, ["one of model, path, scores and factors"]),
        ({"teachers": [5]}, ["5", "not an entry"]),
        ({"teachers": [{"model": "BPR", "embeding_size": 5}]}, ["embeding_size", "did you mean"]),
        ({"teachers": [{"model": "BPR", "rrd_k": 5}]}, ["rrd_k"]),
        ({"teachers": [{"model": "BPR", "states": ["a.pth"]}]}, ["states", "path"]),
        ({"teachers": [{"model": "BPR", 5: 3}]}, ["5", "no key of one teacher"]),
        ({"teachers": [{"model": "BPR", "dataset": "twice"}]}, ["'dataset'", "no key of one teacher"]),
        ({"teachers": [{"scores": "a.tsv", "embedding_size": 3}]}, ["embedding_size", "file of scores"]),
        ({"teachers": [{"path": "a.pth", "states": "b.pth"}]}, ["list of checkpoints"]),
        ({"teachers": [{"path": "there/is/none.pth"}]}, ["there/is/none.pth", "not there"]),
        ({"teachers": [{"model": "BPR", "embedding_size": 0}]}, ["embedding_size=0"]),
        ({"teachers": [{"model": "FM"}]}, ["FM", "cannot teach"]),
    ],
)
def test_what_is_no_list_of_teachers_is_refused(settings, keys, words):
    with pytest.raises(KDError) as caught:
        make_config("RRD", config_dict={**settings, **keys})
    assert all(word in str(caught.value) for word in words), caught.value


def test_two_of_one_class_are_two_teachers(settings):
    teachers = [{"model": "BPR", "embedding_size": 8}, {"model": "BPR", "embedding_size": 16, "learning_rate": 0.02}]
    config = make_config("RRD", config_dict={**settings, "teachers": teachers})
    assert [plan.config["embedding_size"] for plan in config.teachers] == [8, 16]
    assert [plan.config["learning_rate"] for plan in config.teachers] == [0.01, 0.02]  # the block's, then its own
    assert [plan.label for plan in config.teachers] == [
        "BPR embedding_size=8",
        "BPR embedding_size=16 learning_rate=0.02",
    ]


def test_one_file_under_two_names_is_refused(settings, workdir):
    file = ConformanceRun("RRD", settings).teacher.file
    (workdir / "copy.pth").write_bytes((workdir / file).read_bytes())
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    with pytest.raises(KDError, match="twice"):
        run_kd("RRD", config_dict={**keys, "teacher_path": [file, "copy.pth"]})


def test_a_checkpoint_of_another_split_is_refused_among_several(settings):
    first, other = ConformanceRun("RRD", settings).teacher.file, ConformanceRun("RRD", settings, seed=5).teacher.file
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    with pytest.raises(KDError, match="test pairs"):
        run_kd("RRD", config_dict={**keys, "teacher_path": [first, other]})


def test_when_one_fails_the_ones_before_it_remain(settings, workdir, monkeypatch):
    train = training.train

    def failing(config, *args, **kwargs):
        if config["model"] == "LightGCN":
            raise RuntimeError("out of everything")
        return train(config, *args, **kwargs)

    monkeypatch.setattr("recbole_kd.teacher.provider.train", failing)
    with pytest.raises(TrainingFailed) as caught:
        run_kd("RRD", config_dict={**settings, "teacher_model": ["BPR", "LightGCN"]})
    assert all(word in str(caught.value) for word in ("teacher 2 of 2", "LightGCN", "out of everything", "finds"))
    monkeypatch.setattr("recbole_kd.teacher.provider.train", train)
    file = next((workdir / "saved" / "teacher").glob("BPR-*.pth"))
    stamp = file.stat().st_mtime_ns
    result = run_kd("RRD", config_dict={**settings, "teacher_model": ["BPR", "LightGCN"]})
    assert file.stat().st_mtime_ns == stamp and len(result["teachers"]) == 2


# a trajectory that the user brings


@pytest.fixture
def states(settings, workdir):
    """Checkpoints of one training after 1, 2 and 3 epochs, and the settings without a teacher's."""
    from recbole_kd.io import atomic_write
    from recbole_kd.io import torch_bytes as to_bytes

    bench = ConformanceRun("RRD", {**settings, "epochs": 1})
    content = bench.teacher.file
    import torch as t

    files = []
    for epoch in range(3):
        state = t.load(content, weights_only=False)
        state["epoch"] = epoch
        state["state_dict"]["user_embedding.weight"] += 0.01 * epoch
        state.pop("fingerprint", None)
        files.append(str(workdir / f"{epoch}.pth"))
        atomic_write(files[-1], to_bytes(state))
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    return files, {**keys, "hetcomp_k": 10}


def made(settings, entry):
    config = make_config("HetComp", config_dict={**settings, "teachers": [entry]})
    data = prepare_split(plain_config(config))
    return load_knowledge(config, data, provide_teachers(config, data))


def test_checkpoints_in_order_are_a_trajectory(states):
    files, settings = states
    (lists,) = made(settings, {"path": files[2], "states": files[:2]}).trajectories(4, 10)
    assert len(lists) == 3
    (one,) = made(settings, {"path": files[0]}).trajectories(4, 10)
    assert torch.equal(lists[0], one[-1])


def test_states_out_of_order_or_of_another_training_are_refused(states, workdir):
    files, settings = states
    with pytest.raises(KDError, match="out of order"):
        made(settings, {"path": files[2], "states": [files[1], files[0]]})
    with pytest.raises(KDError, match="out of order"):
        made(settings, {"path": files[1], "states": [files[2]]})
    content = torch.load(files[0], weights_only=False)
    content["config"].final_config_dict["embedding_size"] = 13
    torch.save(content, workdir / "other.pth", pickle_protocol=4)
    with pytest.raises(KDError, match="another training"):
        made(settings, {"path": files[2], "states": [str(workdir / "other.pth")]})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epoch": "first"}, "does not name its epoch"),
        ({"fingerprint": {"train": "other"}}, "its data differs"),
    ],
)
def test_a_state_that_says_something_else_is_refused(states, workdir, change, words):
    files, settings = states
    last = torch.load(files[2], weights_only=False)
    torch.save({**last, "fingerprint": {"train": "own"}}, workdir / "last.pth", pickle_protocol=4)
    content = torch.load(files[0], weights_only=False)
    torch.save({**content, **change}, workdir / "odd.pth", pickle_protocol=4)
    with pytest.raises(KDError, match=words):
        made({**settings, "teacher_check": "warn"}, {"path": "last.pth", "states": ["odd.pth"]})


def test_other_states_are_another_trajectory(states, workdir):
    files, settings = states
    (before,) = made(settings, {"path": files[2], "states": files[:2]}).trajectories(4, 10)
    content = torch.load(files[1], weights_only=False)
    content["state_dict"]["user_embedding.weight"] *= -1
    torch.save(content, workdir / "other.pth", pickle_protocol=4)
    (after,) = made(settings, {"path": files[2], "states": [files[0], "other.pth"]}).trajectories(4, 10)
    assert torch.equal(before[0], after[0]) and not torch.equal(before[1], after[1])
    (alone,) = made(settings, {"path": files[2]}).trajectories(4, 10)
    assert len(alone) == 1  # whatever was read before


def test_students_of_other_states_are_told_apart(states):
    files, settings = states
    names = set()
    for entry in ({"path": files[2]}, {"path": files[2], "states": files[:1]}, {"path": files[2], "states": files[:2]}):
        config = make_config("HetComp", config_dict={**settings, "teachers": [entry]})
        names.add(teachers_name(provide_teachers(config, prepare_split(plain_config(config)))))
    assert len(names) == 3


def test_a_folder_beside_a_given_checkpoint_is_left_alone(states, workdir):
    files, settings = states
    mine = workdir / "2.pth.states" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    made(settings, {"path": files[2], "states": files[:2]})
    assert mine.is_file()


# files of scores


@pytest.fixture
def ranks(settings, workdir):
    """The lists of a BPR as a file: (function that writes it, the knowledge that it is of, settings)."""
    bench = ConformanceRun("RRD", settings)
    top = bench.knowledge.top_items(40)
    users, items = bench.data.tokens

    def write(name="ranks.tsv", k=40, head="user_id:token\titem_id:token\trank:float", more=()):
        lines = [head] + [
            f"{users[user]}\t{items[item]}\t{rank}"
            for user in range(1, 61)
            for rank, item in enumerate(top.ids[user, :k].tolist(), 1)
        ]
        (workdir / name).write_text("\n".join([*lines, *more]) + "\n")
        return name

    keys = {key: value for key, value in settings.items() if key != "teacher"}
    return write, bench.knowledge, {**keys, "teacher_check": "warn", "rrd_max_k": 40, "rrd_k": 10}


def read(settings, name, method="RRD"):
    config = make_config(method, config_dict={**settings, "teachers": [{"scores": name}]})
    data = prepare_split(plain_config(config))
    return load_knowledge(config, data, provide_teachers(config, data))


def test_a_file_of_ranks_gives_the_lists_that_it_was_made_of(ranks):
    write, knowledge, settings = ranks
    assert torch.equal(read(settings, write()).top_items(40).ids, knowledge.top_items(40).ids)


def test_arrays_of_scores_give_the_same(ranks, workdir):
    write, knowledge, settings = ranks
    table = [line.split("\t") for line in (workdir / write()).read_text().splitlines()[1:]]
    users, items, rank = (np.array(column) for column in zip(*table, strict=True))
    np.savez(workdir / "scores.npz", user=users, item=items, score=-rank.astype(float))
    assert torch.equal(read(settings, "scores.npz").top_items(40).ids, knowledge.top_items(40).ids)


def test_a_run_with_a_file_among_the_teachers(ranks, workdir):
    write, _, settings = ranks
    teachers = [{"scores": write()}, {"model": "EASE"}]
    result = run_kd("RRD", config_dict={**settings, "teachers": teachers})
    assert [row["label"] for row in result["teachers"]] == ["ranks.tsv", "EASE"]
    assert result["teachers"][0]["parameters"] is None and result["teachers"][0]["ms_per_user"] is None


def test_of_items_in_training_the_files_order_comes_first(ranks):
    write, knowledge, settings = ranks
    users, items = (part.tolist() for part in (knowledge.positive_users, knowledge.positive_items))
    of_one = [item for user, item in zip(users, items, strict=True) if user == 1]
    tokens = prepare_split(plain_config(make_config("RRD", config_dict=settings))).tokens
    last = of_one[-1]
    name = write(more=[f"{tokens[0][1]}\t{tokens[1][last]}\t99"])
    seen = read(settings, name).top_seen(4)[1].tolist()
    assert seen == [last, *of_one[:3]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"more": ["nobody\ti1\t3"]}, ["1 users", "'nobody'"]),
        ({"more": ["u1\tnothing\t3"]}, ["1 items", "'nothing'"]),
        ({"more": ["u1\ti1\tnan"]}, ["finite"]),
        ({"more": ["u1\ti1\tmany"]}, ["cannot be read", "many"]),
        ({"k": 12}, ["fewer than 40", "60 of 60 users"]),
        ({"head": "a\tb\tc"}, ["score or rank", "'c'"]),
        ({"head": "a\tscore"}, ["header of three columns", "'a', 'score'"]),
    ],
)
def test_a_file_that_does_not_fit_is_refused(ranks, change, words):
    write, _, settings = ranks
    with pytest.raises(KDError) as caught:
        read(settings, write(**change)).top_items(40)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(("method", "keys"), [("RRD", {}), ("RD", {"rd_k": 13}), ("HetComp", {"hetcomp_k": 13})])
def test_a_file_that_is_too_short_is_refused_before_anything_is_trained(ranks, workdir, method, keys):
    write, _, settings = ranks
    settings = {**settings, **keys, "checkpoint_dir": str(workdir / "new")}
    with pytest.raises(KDError, match="fewer than"):
        run_kd(method, config_dict={**settings, "teachers": [{"scores": write(k=12)}, {"model": "EASE"}]})
    assert not list((workdir / "new").rglob("*.pth"))


def test_a_user_of_whom_the_file_has_everything_shortens_no_list():
    positives = torch.tensor([1] * 18 + [2]), torch.tensor([*range(1, 19), 1])  # two items are left to user 1
    pairs = [(1, 19), (1, 20), *((2, item) for item in range(2, 12))]
    frame = pd.DataFrame(pairs, columns=["user", "item"]).assign(score=1.0)
    knowledge = FileKnowledge(frame, 3, 21, positives, "cpu", "x.tsv")
    assert knowledge.max_list_length == 10
    assert knowledge.top_items(10).length.tolist() == [0, 2, 10]


def test_what_a_file_costs_is_unknown(ranks):
    write, _, settings = ranks
    teachers = [{"scores": write()}, {"scores": write("short.tsv", k=20)}]
    result = run_kd("RD", config_dict={**settings, "teachers": teachers, "baseline": False})
    assert [result["ensemble"][cost] for cost in ("parameters", "bytes", "ms_per_user")] == [None] * 3


def test_one_given_twice_is_refused_before_another_is_trained(ranks, workdir):
    write, _, settings = ranks
    teachers = [{"scores": write()}, {"scores": write("copy.tsv")}, {"model": "EASE"}]
    with pytest.raises(KDError, match="twice"):
        run_kd("RRD", config_dict={**settings, "checkpoint_dir": str(workdir / "new"), "teachers": teachers})
    assert not list((workdir / "new").rglob("*.pth"))


def test_a_repeated_pair_and_a_missing_file_are_refused(ranks, workdir):
    write, _, settings = ranks
    line = (workdir / write()).read_text().splitlines()[1]
    with pytest.raises(KDError, match="twice"):
        read(settings, write(more=[line]))
    with pytest.raises(KDError, match="does not exist"):
        read(settings, "none.tsv")
    np.savez(workdir / "x.npz", user=np.array(["u1"]))
    with pytest.raises(KDError, match="needs the arrays"):
        read(settings, "x.npz")
    np.savez(workdir / "y.npz", user=np.array([object()]), item=np.array(["i1"]), rank=np.array([1]))
    with pytest.raises(KDError, match="cannot be read"):
        read(settings, "y.npz")  # pickled: never executed


def test_a_file_cannot_say_what_it_has_seen(ranks):
    write, _, settings = ranks
    with pytest.raises(KDError, match="teacher_check=warn"):
        read({**settings, "teacher_check": "error"}, write())


def test_a_term_that_needs_scores_refuses_a_file(ranks):
    write, _, settings = ranks
    with pytest.raises(KDError, match="ranks"):
        run_kd("SLD", config_dict={**settings, "teachers": [{"scores": write()}]})


def test_an_ensemble_says_what_it_is(bench):
    assert isinstance(bench.knowledge, EnsembleKnowledge) and bench.knowledge.capabilities == RANK_LISTS
    assert [read_checkpoint(teacher.file)["config"]["model"] for teacher in bench.teachers] == THREE
