"""Models that are built: embedding tables that begin as the papers' do (init_std), and what cannot be built."""

from types import SimpleNamespace

import pytest
import torch

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.quick_start import run_kd
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer.cache_key import outcome_settings, run_key
from recbole_kd.trainer.model_builder import build_error, build_seeded_model


def made(settings, **keys):
    config = make_config("SLD", config_dict={**settings, **keys})
    return config, prepare_split(plain_config(config))


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "NeuMF"])
def test_tables_are_normal_of_that_width_and_the_rest_is_recboles(settings, model):
    keys = {"teacher_model": model, "teacher.embedding_size": 64}
    stock, data = made(settings, **keys)
    given, _ = made(settings, **keys, **{"teacher.init_std": 0.01})
    plain = build_seeded_model(stock.teacher, data.train._dataset)
    after = torch.get_rng_state()
    redrawn = build_seeded_model(given.teacher, data.train._dataset)
    assert torch.equal(torch.get_rng_state(), after)
    tables = []
    for (name, weight), (_, other) in zip(redrawn.named_parameters(), plain.named_parameters(), strict=True):
        if "embedding" in name:
            tables.append(weight.detach())
            assert weight.std().item() == pytest.approx(0.01, rel=0.1) and abs(weight.mean()) < 0.001
        else:
            assert torch.equal(weight, other)
    assert len(tables) >= 2 and not torch.equal(tables[0][:50], tables[1][:50])


def test_init_std_reaches_both_students_and_the_teacher_by_a_separate_key(settings):
    config, _ = made(settings, **{"init_std": 0.5, "teacher.init_std": 0.02})
    assert (config["init_std"], plain_config(config)["init_std"], config.teacher["init_std"]) == (0.5, 0.5, 0.02)
    assert made(settings, init_std=0.5)[0].teacher["init_std"] is None
    keys = {"teachers": [{"model": "BPR", "init_std": 0.3}, "LightGCN"]}
    assert [plan.config["init_std"] for plan in made(settings, **keys)[0].teachers] == [0.3, None]


def test_at_weight_zero_the_distilled_student_is_the_student_alone(settings, workdir):
    config, data = made(settings, init_std=0.5, sld_weight=0.0)
    knowledge = load_knowledge(config, data, provide_teachers(config, data))
    alone = Experiment(config, data).train_alone().file
    Experiment(config, data, knowledge).train_side("method", workdir / "x.pth")
    one, other = (read_checkpoint(file)["state_dict"] for file in (alone, workdir / "x.pth"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    stock, _ = made(settings, sld_weight=0.0)
    plain = read_checkpoint(Experiment(stock, data).train_alone().file)["state_dict"]
    assert not torch.equal(plain["user_embedding.weight"], one["user_embedding.weight"])


def test_it_decides_the_outcome_where_it_is_set_and_changes_no_name_where_it_is_not(settings):
    keys = []
    for more in ({}, {"init_std": 0}, {"init_std": 0.1}, {"init_std": 0.2}):
        config, data = made(settings, **more)
        keys.append((run_key(config, data.fingerprint), run_key(plain_config(config), data.fingerprint)))
        assert ("init_std" in outcome_settings(config.final_config_dict)) == bool(more.get("init_std"))
    assert keys[0] == keys[1]
    assert len({one for pair in keys for one in pair}) == 6


@pytest.mark.parametrize(
    "keys",
    [
        {"init_std": -0.1},
        {"teacher.init_std": -1.0},
        {"teacher_model": "EASE", "teacher.init_std": 0.1},
        {"teacher_model": "MultiVAE", "teacher.init_std": 0.1},
    ],
)
def test_what_has_no_table_or_no_width_is_refused_before_anything_is_written(keys, settings, workdir):
    with pytest.raises(KDError, match="init_std"):
        run_kd("SLD", config_dict={**settings, **keys})
    assert not list(workdir.rglob("*.pth")) and not list(workdir.rglob("*.log"))


@pytest.mark.parametrize("sizes, most", [(100, 100), ("20,50", 50)])
def test_more_items_to_rank_anew_than_there_are_is_refused(sizes, most):
    config = {"model": "SASRecCPR", "reranker_CAN_NUM": sizes}
    with pytest.raises(KDError, match=f"best {most} items anew .*the dataset has 30: set reranker_CAN_NUM to"):
        build_seeded_model(config, SimpleNamespace(item_num=31))


def test_pre_trained_weights_of_another_width_are_refused_in_one_sentence():
    error = RuntimeError("Error(s) in loading state_dict for S3Rec:\n\tsize mismatch for item_embedding.weight: ...")
    message = str(build_error({"model": "S3Rec", "pre_model_path": "pre.pth"}, error))
    assert message.startswith("the pre-trained weights in pre_model_path='pre.pth' do not fit S3Rec")
    assert "size mismatch" not in message
    assert "size mismatch" in str(build_error({"model": "S3Rec", "pre_model_path": ""}, error))


def test_pre_trained_weights_count_by_their_content(settings, workdir):
    config, data = made(settings)
    stock = run_key(config, data.fingerprint)
    config["pre_model_path"] = "pre.pth"
    keys = [run_key(config, data.fingerprint)]
    for content in (b"one", b"two"):
        (workdir / "pre.pth").write_bytes(content)
        keys.append(run_key(config, data.fingerprint))
    assert len({stock, *keys}) == 4 and run_key(config, data.fingerprint) == keys[-1]
