"""Which of RecBole's models stay out, and why."""

import importlib.util
from types import SimpleNamespace

import pytest

from recbole_kd.backbone.capabilities import SCORER_MODEL, SEQUENCE_MODEL
from recbole_kd.config.model_names import EVALUATING_MODEL
from recbole_kd.config.recbole_files import RECBOLE_PROPERTIES, is_recbole_model
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.method.checks import check_model_types, check_student_capabilities
from recbole_kd.method.unsupported import PACKAGES, missing_package_of, reason_not_student, reason_not_teacher

NAMES = {path.stem for path in (RECBOLE_PROPERTIES / "model").glob("*.yaml")} - {EVALUATING_MODEL}
MODELS = sorted(filter(is_recbole_model, NAMES))
TRADITIONAL = {"ADMMSLIM", "AsymKNN", "EASE", "ItemKNN", "Pop", "SLIMElastic"}
NOT_STUDENTS = {*TRADITIONAL, "NCEPLRec", "DiffRec", "LDiffRec", "DIN", "DIEN"}


def test_outside_the_context_aware_family_all_but_eleven_are_students_and_all_but_two_teachers():
    context = {name for name in MODELS if reason_not_teacher(name)}
    assert {"DIN", "DIEN", "FM", "DeepFM"} <= context
    assert {name for name in MODELS if reason_not_student(name)} - context | {"DIN", "DIEN"} == NOT_STUDENTS
    students = [name for name in MODELS if reason_not_student(name) is None]
    assert len(students) >= 60 and len(MODELS) - len(context) >= 65


@pytest.mark.parametrize("student, teacher", [("EASE", "BPR"), ("BPR", "FM"), ("DIN", "BPR"), ("BPR", "DIEN")])
def test_a_refusal_names_the_model_and_the_reason(student, teacher):
    wrong = student if student != "BPR" else teacher
    with pytest.raises(KDError, match=f"={wrong} cannot .*, because it .*: use "):
        check_model_types(student, teacher)


@pytest.mark.parametrize("model", ["SASRec", "MultiVAE", "NeuMF", "CKE", "BPR", "RecVAE", "SGL"])
def test_models_of_every_family_pass_as_both(model):
    check_model_types(model, model)


@pytest.mark.parametrize("model", ["KGAT", "KGIN", "NCL"])
def test_a_missing_package_is_named(model, monkeypatch):
    find = importlib.util.find_spec
    hidden = PACKAGES[model]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *at: None if name == hidden else find(name, *at))
    assert missing_package_of(model) == PACKAGES[model] and missing_package_of("BPR") is None
    for student, teacher, key in ((model, "BPR", "student_model"), ("BPR", model, "teacher_model")):
        with pytest.raises(KDError, match=f"{key}={model} needs the package {PACKAGES[model]}, which is not installed"):
            check_model_types(student, teacher)


@pytest.mark.parametrize(
    ("method", "student", "capabilities", "names"),
    [
        ("DE", "MultiDAE", SCORER_MODEL, "BPR, LightGCN or SASRec"),
        ("IRRRD", "GRU4Rec", SEQUENCE_MODEL, "BPR or LightGCN"),
        ("IRRRD", "MultiVAE", SCORER_MODEL, "BPR or LightGCN"),
    ],
)
def test_a_student_that_lacks_vectors_is_not_advised_to_become_one_that_lacks_them_too(
    method, student, capabilities, names, settings
):
    keys = {key: value for key, value in settings.items() if key not in ("embedding_size", "teacher")}
    config = make_config(method, config_dict={**keys, "student_model": student, "teacher_model": "BPR"})
    with pytest.raises(KDError, match=f"{student} cannot be distilled, because it gives no .*: use {names} as the"):
        check_student_capabilities(config, SimpleNamespace(capabilities=capabilities))
