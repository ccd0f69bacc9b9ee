"""Keys that are known and would change nothing: refused on the command line, noted where a file or a dict has them."""

import inspect
import logging
import re

import pytest
from recbole.utils import get_model

from recbole_kd.cli import main
from recbole_kd.config.layering import read_layers
from recbole_kd.config.schema import PROPERTIES, kd_keys, method_names
from recbole_kd.config.unused_keys import find_unused_keys
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.quick_start import run_kd

# method, keys, the idle one's name, words of its sentence
IDLE = [
    ("MKD", {"rrd_weight": 1}, "rrd_weight", ["key of RRD", "MKD"]),
    ("SLD", {"mkd_assembly": "shared"}, "mkd_assembly", ["key of MKD", "SLD"]),
    ("Distiller", {"terms": ["SLD", "NKD"], "rcekd_k": 5}, "rcekd_k", ["key of RCEKD"]),
    ("SLD", {"teacher_model": "LightGCN", "n_layers": 4}, "n_layers", ["BPR", "teacher.n_layers", "LightGCN"]),
    ("KD", {"teacher_model": "ItemKNN", "k": 3}, "k", ["teacher.k", "ItemKNN"]),
    ("SLD", {"reg_weight": 0.1}, "reg_weight", ["BPR", "leave it out"]),
    ("SLD", {"student.n_layers": 4}, "student.n_layers", ["student.n_layers", "BPR"]),
    ("SLD", {"teacher.n_layers": 4}, "teacher.n_layers", ["BPR has no such key"]),
    ("RRD", {"teacher_model": ["BPR", "EASE"], "teacher.n_layers": 4}, "teacher.n_layers", ["BPR has no such key"]),
    ("DE", {"neighbour_weight": 0.5}, "neighbour_weight", ["DE", "factors alone", "leave it out"]),
    ("Distiller", {"terms": ["NKD", "BD"], "neighbour_weight": 1.0}, "neighbour_weight", ["Distiller"]),
    ("MKD", {"teacher_states": 3}, "teacher_states", ["HetComp", "MKD"]),
    ("RRD", {"ensemble": "score"}, "ensemble", ["several teachers"]),
]
ACTIVE = [
    ("MKD", {"sld_weight": 1, "nkd_k": 3, "cpd_k": 4, "mkd_assembly": "separate", "kd_rows": 8}),
    ("DERRD", {"rrd_weight": 1, "de_weight": 0.1}),
    ("Distiller", {"terms": ["SLD"], "sld_weight": 1}),
    ("SLD", {"student_model": "LightGCN", "n_layers": 4, "reg_weight": 0.1}),
    ("SLD", {"teacher_model": "LightGCN", "teacher.n_layers": 4, "student.learning_rate": 0.1}),
    ("RRD", {"teacher_model": ["BPR", "LightGCN"], "teacher.n_layers": 4}),
    ("DERRD", {"neighbour_weight": 0.5, "teacher_states": 1}),
    ("DE", {"neighbour_weight": 0.0}),
    ("Distiller", {"terms": ["NKD", "HetComp"], "neighbour_weight": 1.0, "teacher_states": 3}),
    ("RRD", {"teacher_model": ["BPR", "EASE"], "ensemble": "score", "ensemble_weights": [1.0, 2.0]}),
    ("SLD", {"loss_type": "BPR", "train_neg_sample_args": {"distribution": "popularity", "sample_num": 1, "alpha": 1}}),
    ("SLD", {"learner": "sgd", "weight_decay": 0.1, "init_std": 0.1, "kd_reduction": "sum", "embedding_size": 8}),
]


def argv_of(keys):
    return [f"--{key}={value}" for key, value in keys.items()]


@pytest.mark.parametrize(("method", "keys", "name", "words"), IDLE)
def test_on_the_command_line_it_is_refused(method, keys, name, words):
    with pytest.raises(KDError) as caught:
        make_config(method, "toy", argv=argv_of(keys))
    assert str(caught.value).startswith(name) and all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(("method", "keys", "name", "words"), IDLE)
def test_in_a_dict_it_is_noted_once(method, keys, name, words, caplog):
    config = make_config(method, "toy", config_dict=keys)
    assert list(config.unused_keys) == [name] and all(word in config.unused_keys[name] for word in words)
    assert not caplog.records
    config.warn_unused_keys()
    assert [record.getMessage() for record in caplog.records] == [config.unused_keys[name]]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_teacher_s_own_key_is_refused_wherever_it_stands():
    entries = [{"model": "LightGCN", "n_layers": 2}, {"model": "BPR", "n_layers": 2}]
    with pytest.raises(KDError, match="n_layers in teachers changes nothing, because BPR has no such key"):
        make_config("RRD", "toy", config_dict={"teachers": entries})
    assert not make_config("RRD", "toy", config_dict={"teachers": [entries[0], "BPR"]}).unused_keys


@pytest.mark.parametrize(("method", "keys"), ACTIVE)
def test_a_key_that_somebody_reads_is_not(method, keys):
    assert make_config(method, "toy", argv=argv_of(keys)).unused_keys == {}


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "NGCF", "SimpleX", "ENMF", "DMF", "NCL", "SGL", "DGCF", "EASE"])
def test_no_key_that_a_model_s_source_asks_for_is(model):
    source = inspect.getsource(inspect.getmodule(get_model(model)))
    keys = set(re.findall(r"""config\[["'](\w+)["']\]""", source)) - kd_keys() - {"embedding_size"}
    layers = read_layers("SLD", "toy", config_dict=dict.fromkeys(keys, 1))
    assert not find_unused_keys(layers, (model, [model]), [None])


def test_a_number_beyond_all_floats_is_a_number():
    assert make_config("SLD", "toy", argv=[f"--stopping_step={10**400}"])["stopping_step"] == 10**400


def test_what_the_recipes_say_reaches_something():
    files = list((PROPERTIES / "recipe").rglob("*.yaml"))
    assert len(files) > 30
    for file in files:
        method = file.name.partition("-")[0]
        if method in method_names():
            idle = make_config(method, "toy", config_file_list=[str(file)]).unused_keys
            assert not idle, (file, idle)


def test_what_a_teacher_shares_with_the_run_is_not_its_own(settings):
    words = argv_of({key: value for key, value in settings.items() if key != "teacher"})
    for key, why in (("checkpoint_dir", "a teacher is kept below"), ("log_wandb", "shows the distilled student's")):
        with pytest.raises(KDError, match=rf"teacher\.{key} changes nothing, because .*{why}"):
            make_config("RRD", argv=[*words, f"--teacher.{key}=True"])


def test_what_a_checkpoint_is_bound_to_is_not_changed_in_silence(settings):
    file = run_kd("RRD", config_dict=settings)["teacher"]["checkpoint"]
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    words = argv_of(keys)
    for key, why in (("embedding_size=64", "checkpoint has 12"), ("epochs=7", "not trained"), ("n_layers=2", "BPR")):
        with pytest.raises(KDError, match=rf"teacher\.{key.partition('=')[0]} changes nothing, because .*{why}"):
            make_config("RRD", argv=[*words, f"--teacher_path={file}", f"--teacher.{key}"])
    with pytest.raises(KDError, match=r"embedding_size in teachers changes nothing, .* checkpoint has 12"):
        make_config("RRD", config_dict={**keys, "teachers": [{"path": file, "embedding_size": 64}]})
    with pytest.raises(KDError, match=r"teacher\.learning_rate changes nothing, because a file of scores"):
        make_config("RRD", argv=[*words, '--teachers=[{"scores": "s.tsv"}]', "--teacher.learning_rate=1"])
    assert not make_config("RRD", argv=[*words, f"--teacher_path={file}", "--teacher.embedding_size=12"]).unused_keys


@pytest.mark.parametrize("command", [[], ["tune", "--trials=1"]])
def test_a_recbole_yaml_that_names_its_model_runs_from_the_command_line(settings, workdir, command, caplog):
    words = argv_of({key: value for key, value in settings.items() if key != "teacher"})
    for name in ("BPR", "LightGCN"):
        (workdir / f"{name}.yaml").write_text(f"model: {name}\n")
        assert main([*command, "--model=RRD", *words, f"--config_files={name}.yaml"]) == 0
        text = "\n".join(record.getMessage() for record in caplog.records)
        assert ("gives way to RRD" in text) == (name == "LightGCN")  # a BPR is what is distilled anyway


def test_the_log_of_a_run_says_what_its_file_cannot_change(settings, workdir, caplog):
    (workdir / "gcn.yaml").write_text("model: LightGCN\nstudent_model: LightGCN\n")
    assert not make_config("RRD", "toy", config_file_list=["gcn.yaml"]).unused_keys
    (workdir / "bpr.yaml").write_text("model: LightGCN\nlearning_rat: 0.1\nn_layers: 3\n")
    run_kd("RRD", config_file_list=["bpr.yaml"], config_dict=settings)
    text = "\n".join(record.getMessage() for record in caplog.records)
    for said in (
        "model: LightGCN in bpr.yaml gives way to RRD: write student_model: LightGCN",
        "unknown key 'learning_rat' in bpr.yaml: it changes nothing; did you mean 'learning_rate'?",
        "n_layers reaches the student, and BPR has no such key: leave it out",
    ):
        assert text.count(said) == 1
