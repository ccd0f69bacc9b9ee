"""The leak guard across families: sequences are compared by rows (user, item, time)."""

import numpy as np
import pytest

from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.teacher.feasibility import check_measures, check_trainings
from recbole_kd.teacher.leakage import check_teacher

IN_TIME = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"}
USERS, EACH = 12, 8


def write(folder, histories):
    """A dataset ``here`` of one list of items a user, in the order of time."""
    rows = [
        f"u{user}\ti{item}\t{1000 * time}" for user, items in enumerate(histories) for time, item in enumerate(items)
    ]
    (folder / "here").mkdir()
    (folder / "here" / "here.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + "\n".join(rows))
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    metric = {"topk": [3], "valid_metric": "MRR@3"}
    return {"data_path": str(folder), "load_col": columns, "state": "ERROR", **metric}


@pytest.fixture
def keys(workdir):
    """Users who take some items again, the last one among them."""
    draw = np.random.default_rng(0)
    histories = [[*map(int, draw.choice(20, EACH - 1, replace=False))] for _ in range(USERS)]
    return write(workdir, [[*items, items[2]] for items in histories])


def prepared(keys, student="SASRec", teacher="SASRec", **more):
    config = make_config(
        "SLD", "here", config_dict={**keys, "student_model": student, "teacher_model": teacher, **more}
    )
    return config, prepare_split(plain_config(config))


def trained(keys, teacher, **more):
    """What a checkpoint of a teacher says of its training, without weights."""
    student = "BPR" if teacher == "EASE" else teacher
    config, _ = prepared(keys, student, teacher, **more)
    return {"config": config.teacher.final_config_dict}


@pytest.mark.parametrize("student, teacher", [("SASRec", "BPR"), ("SASRec", "EASE"), ("BPR", "SASRec")])
def test_families_on_one_protocol_can_teach_one_another(keys, student, teacher):
    config, split = prepared(keys, student, teacher, eval_args=IN_TIME)
    check_measures(config)
    check_trainings(config, split)
    assert check_teacher(trained(keys, teacher, eval_args=IN_TIME), config, split, "t.pth") is None


def test_a_sequence_teacher_of_another_length_is_accepted(keys):
    config, split = prepared(keys, MAX_ITEM_LIST_LENGTH=3, **{"teacher.MAX_ITEM_LIST_LENGTH": 5})
    check_trainings(config, split)
    assert config.teacher["MAX_ITEM_LIST_LENGTH"] == 5
    assert check_teacher(trained(keys, "SASRec", MAX_ITEM_LIST_LENGTH=5), config, split, "t.pth") is None


@pytest.mark.parametrize("length", [3, 5])
def test_a_sequence_teacher_that_was_trained_on_test_targets_is_refused_with_the_number(keys, length):
    config, split = prepared(keys, MAX_ITEM_LIST_LENGTH=3)
    everything = {**IN_TIME, "split": {"RS": [1.0, 0.0, 0.0]}}
    content = trained(keys, "SASRec", MAX_ITEM_LIST_LENGTH=length, eval_args=everything)
    with pytest.raises(KDError, match=f"was trained on {USERS} of this run's {USERS} test pairs"):
        check_teacher(content, config, split, "t.pth")


def test_a_teacher_that_was_chosen_on_test_targets_is_refused(keys):
    config, split = prepared(keys)
    content = trained(keys, "SASRec", eval_args={**IN_TIME, "split": {"RS": [0.5, 0.5, 0.0]}})
    with pytest.raises(KDError, match=f"by early stopping, on {USERS} of this run's {USERS} test pairs"):
        check_teacher(content, config, split, "t.pth")


def test_a_test_target_that_the_user_has_had_before_is_no_leak(keys):
    _, split = prepared(keys)
    assert np.isin(split.pairs["test"], split.pairs["train"]).all()  # as pairs, all are repeated
    config, split = prepared(keys, "SASRec", "LightGCN")
    check_trainings(config, split)


def test_a_sequence_teacher_has_trained_on_what_short_users_hold_out(workdir):
    keys = write(workdir, [[1, 2, 3, 4, 5], [6, 7, 8, 1, 2], [1, 3, 5], [3, 4]])
    config, split = prepared(keys, "BPR", "SASRec", eval_args=IN_TIME)
    with pytest.raises(KDError, match=r"1 of this run's 4 test pairs: .*user_inter_num_interval: '\[4,inf\)'"):
        check_trainings(config, split)
    longer = {"eval_args": IN_TIME, "user_inter_num_interval": "[4,inf)"}
    config, split = prepared(keys, "BPR", "SASRec", **longer)
    check_trainings(config, split)


def test_another_order_of_the_same_sequences_is_another_training_part(keys):
    first = prepared(keys, MAX_ITEM_LIST_LENGTH=3)[1].fingerprint
    assert first == prepared(keys, MAX_ITEM_LIST_LENGTH=3)[1].fingerprint
    other = prepared(keys, MAX_ITEM_LIST_LENGTH=4)[1].fingerprint
    assert first.train != other.train and (first.valid, first.test) == (other.valid, other.test)


def test_a_knowledge_aware_model_needs_the_files_of_a_graph(keys):
    keys = {key: value for key, value in keys.items() if key != "load_col"}
    with pytest.raises(KDError, match=r"CKE reads a knowledge graph, and .* has no here\.kg with the columns head_id"):
        prepared(keys, "CKE", "CKE")
    folder = f"{keys['data_path']}/here/here"
    for suffix in ("kg", "link"):
        with open(f"{folder}.{suffix}", "w") as stream:
            columns = {
                "kg": "head_id:token\trelation_id:token\ttail_id:token",
                "link": "item_id:token\tentity_id:token",
            }
            lines = [f"e{n}\tr\te{n + 1}" if suffix == "kg" else f"i{n}\te{n}" for n in range(15)]
            stream.write("\n".join([columns[suffix], *lines]) + "\n")
    config, split = prepared(keys, "CKE", "CKE")
    check_trainings(config, split)
    config, split = prepared(keys, "CKE", "BPR")
    with pytest.raises(KDError, match=r"BPR would have another vocabulary .* only the items in the \.link file"):
        check_trainings(config, split)
