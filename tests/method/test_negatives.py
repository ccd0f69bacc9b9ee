"""Models that train on negative items are refused, before anything is trained, where the settings draw none."""

import pytest

from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config


def test_a_student_without_negatives_is_refused(settings):
    with pytest.raises(KDError, match="which BPR trains on"):
        make_config("RRD", config_dict={**settings, "student_model": "BPR", "student.train_neg_sample_args": None})


def test_a_teacher_without_negatives_is_refused(settings):
    keys = {"student_model": "MultiVAE", "teacher_model": "BPR", "train_neg_sample_args": None}
    with pytest.raises(KDError, match="which the teacher BPR trains on"):
        make_config("RRD", config_dict={**settings, **keys})


@pytest.mark.parametrize("teacher", ["MultiVAE", "EASE"])
def test_a_teacher_that_trains_on_none_is_accepted(teacher, settings):
    keys = {"student_model": "MultiVAE", "teacher_model": teacher, "train_neg_sample_args": None}
    assert make_config("RRD", config_dict={**settings, **keys}).teacher["model"] == teacher
