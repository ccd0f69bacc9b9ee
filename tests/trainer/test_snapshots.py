"""Snapshots: which are stored, which are chosen for a trajectory, and that the lists are those of the weights."""

import threading

import filelock
import pytest
import torch

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.testing import ConformanceRun, same_weights
from recbole_kd.trainer.model_builder import build_seeded_model
from recbole_kd.trainer.options import TrainingFiles, TrainingOptions
from recbole_kd.trainer.resumable import ResumableTrainer
from recbole_kd.trainer.snapshots import Snapshots, choose_epochs, stride
from recbole_kd.trainer.training import run_trainer, train


@pytest.mark.parametrize("most", [4, 12, 16])
def test_states_are_never_too_many_and_never_far_apart(most):
    for epochs in range(1, 400):
        step = stride(epochs, most)
        assert epochs // step <= most
        assert step == 1 or epochs > (step // 2) * most


def test_chosen_states_ascend_below_the_best_and_are_near_to_equal_steps():
    for best in range(1, 200):
        for patience in (0, 10):
            step = stride(best + patience, 16)
            held = range(step, best + patience + 1, step)
            chosen = choose_epochs(held, best, 4)
            assert chosen == sorted(set(chosen)) and all(0 < epochs < best for epochs in chosen)
            if best > 16:
                wanted = [best / 4, best / 2, 3 * best / 4]
                assert max(abs(one - other) for one, other in zip(chosen, wanted, strict=True)) <= step


class Fake:
    def state_dict(self):
        return {"weight": torch.zeros(2)}

    def other_parameter(self):
        return None


def test_a_resumed_training_stores_the_snapshots_of_an_uninterrupted_one(tmp_path):
    full, cut = Snapshots(tmp_path / "whole.pth", 2), Snapshots(tmp_path / "cut.pth", 2)
    for epochs in range(40):
        full.save_if_due(epochs, Fake())
    for epochs in [*range(30), *range(21, 40)]:  # killed at 29, resumed at 21
        cut.save_if_due(epochs, Fake())
    assert list(full.saved_files()) == list(cut.saved_files()) == [8, 16, 24, 32]
    cut.save_if_due(0, Fake())
    assert not cut.saved_files()
    cut.remove()
    assert not cut.folder.exists()


def test_more_states_after_a_kill_are_those_of_a_training_without_one(long, monkeypatch, workdir):
    """It went on from a training that had kept fewer, so that some were missing at its end."""
    long |= {"epochs": 14, "resume_interval": 0.0}
    begin, calls = ResumableTrainer._start_epoch, []

    def dies(self, epoch):
        calls.append(epoch)
        if len(calls) == 11:
            raise KeyboardInterrupt
        return begin(self, epoch)

    monkeypatch.setattr(ResumableTrainer, "_start_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        ConformanceRun("HetComp", {**long, "teacher_states": 2, "checkpoint_dir": "killed"}, hetcomp_k=10)
    monkeypatch.setattr(ResumableTrainer, "_start_epoch", begin)
    requested = {**long, "teacher_states": 4}
    trajectories = [
        ConformanceRun("HetComp", {**requested, **keys}, hetcomp_k=10).knowledge.trajectories(4, 10)[0]
        for keys in ({"checkpoint_dir": "killed", "resume": True}, {"checkpoint_dir": "whole"})
    ]
    assert torch.equal(*trajectories)


@pytest.fixture
def long(settings):
    return {**settings, "epochs": 9, "teacher_model": "BPR", "stopping_step": 100}


def test_the_lists_are_those_of_the_weights_at_those_epochs(long, workdir):
    bench = ConformanceRun("HetComp", long, hetcomp_k=10)
    best = read_checkpoint(bench.teacher.file)["epoch"] + 1
    (lists,) = bench.knowledge.trajectories(4, 10)
    assert len(lists) == min(4, best)
    assert torch.equal(lists[-1], bench.knowledge.top_items(100).ids)
    # the same training once more, its weights looked at by hand
    weights = {}

    class Watching(ResumableTrainer):
        def _start_epoch(self, epoch):
            super()._start_epoch(epoch)
            weights[epoch] = {name: weight.clone() for name, weight in self.model.state_dict().items()}

    config = bench.config.teacher
    data = prepare_split(config)
    model = build_seeded_model(config, data.train._dataset)
    trainer = Watching(config, model, TrainingFiles(workdir / "again.pth"))
    trainer.fit(data.train, data.valid)
    for index, epochs in enumerate(choose_epochs(range(1, 9), best, 4)):
        model.load_state_dict(weights[epochs])
        knowledge = type(bench.knowledge)(bench.knowledge.backbone.__class__(model), bench.data.train_pairs)
        assert torch.equal(lists[index], knowledge.top_items(100).ids), epochs


def test_a_trajectory_is_stored_as_lists_and_read_again(long, workdir):
    bench = ConformanceRun("HetComp", long, hetcomp_k=10)
    assert not list((workdir / "saved" / "teacher").glob("*.states"))
    folder = workdir / "saved" / "knowledge" / bench.teacher.name
    assert (folder / "trajectory-4").is_dir()
    stamp = (workdir / bench.teacher.file).stat().st_mtime_ns
    again = ConformanceRun("HetComp", long, hetcomp_k=10)
    assert (workdir / bench.teacher.file).stat().st_mtime_ns == stamp
    for one, other in zip(bench.knowledge.trajectories(4, 10), again.knowledge.trajectories(4, 10), strict=True):
        assert torch.equal(one, other)


def test_a_teacher_without_its_trajectory_is_trained_again_to_the_same_weights(long, caplog):
    first = ConformanceRun("RRD", long)
    before = read_checkpoint(first.teacher.file)["state_dict"]
    with caplog.at_level("INFO"):
        second = ConformanceRun("HetComp", long, hetcomp_k=10)
    assert "not its trajectory" in caplog.text
    assert second.teacher.file == first.teacher.file
    assert same_weights(before, read_checkpoint(second.teacher.file)["state_dict"])
    assert len(second.knowledge.trajectories(4, 10)[0]) > 1


def test_a_checkpoint_and_a_model_without_epochs_are_one_state(long):
    file = ConformanceRun("RRD", long).teacher.file
    config = make_config(
        "HetComp",
        config_dict={
            **{key: value for key, value in long.items() if key != "teacher_model"},
            "hetcomp_k": 10,
            "teachers": [{"path": file}, {"model": "ItemKNN"}],
        },
    )
    data = prepare_split(plain_config(config))
    knowledge = load_knowledge(config, data, provide_teachers(config, data))
    assert [len(lists) for lists in knowledge.trajectories(4, 10)] == [1, 1]


def test_a_resume_point_without_snapshots_is_not_used(long, workdir):
    config = make_config("HetComp", config_dict={**long, "hetcomp_k": 10}).teacher
    data = prepare_split(config)
    file = workdir / "x.pth"

    class Killed(Exception):
        pass

    class Dying(ResumableTrainer):
        def _check_nan(self, loss):
            if self.epoch == 5:
                raise Killed
            super()._check_nan(loss)

    model = build_seeded_model(config, data.train._dataset)
    with pytest.raises(Killed):
        run_trainer(Dying, config, model, data, file, TrainingOptions(resume_interval=0))
    snapshots = Snapshots(file, 4)
    train(config, file, options=TrainingOptions(resume=True, resume_interval=0, snapshots=snapshots))
    assert min(snapshots.saved_files()) == 1


def test_snapshots_of_a_training_resumed_without_them_are_not_used(long, workdir, monkeypatch):
    begin = ResumableTrainer._start_epoch

    class Killed(BaseException):
        pass

    def dying(self, epoch):
        begin(self, epoch)
        if epoch == 4:
            raise Killed

    monkeypatch.setattr(ResumableTrainer, "_start_epoch", dying)
    with pytest.raises(Killed):
        ConformanceRun("HetComp", long, hetcomp_k=10)
    monkeypatch.setattr(ResumableTrainer, "_start_epoch", begin)
    ConformanceRun("RRD", long, resume=True)
    trajectory = ConformanceRun("HetComp", long, hetcomp_k=10).knowledge.trajectories(4, 10)[0]
    undisturbed = {**long, "checkpoint_dir": str(workdir / "other")}
    assert torch.equal(
        trajectory, ConformanceRun("HetComp", undisturbed, hetcomp_k=10).knowledge.trajectories(4, 10)[0]
    )


def test_a_damaged_trajectory_is_made_again(long, workdir):
    bench = ConformanceRun("HetComp", long, hetcomp_k=10)
    (before,) = bench.knowledge.trajectories(4, 10)
    file = workdir / "saved" / "knowledge" / bench.teacher.name / "trajectory-4" / "ids.npy"
    file.write_bytes(file.read_bytes()[:50])
    (after,) = ConformanceRun("HetComp", long, hetcomp_k=10).knowledge.trajectories(4, 10)
    assert torch.equal(before, after)


def test_a_run_waits_while_another_trains_its_teacher_or_reads_the_states(long, workdir):
    bench = ConformanceRun("RRD", long)
    done = []
    other = threading.Thread(target=lambda: done.append(provide_teachers(bench.config, bench.data)))
    with filelock.FileLock(workdir / f"{bench.teacher.file}.lock"):
        other.start()
        other.join(0.5)
        assert not done
    other.join(60)
    assert done


def test_snapshots_of_a_shorter_trajectory_are_not_used_for_a_longer_one(long, workdir):
    long = {**long, "epochs": 12, "hetcomp_k": 10}
    config = make_config("HetComp", config_dict={**long, "teacher_states": 2})
    provide_teachers(config, prepare_split(plain_config(config)))  # stopped before they were read
    trajectory = ConformanceRun("HetComp", long).knowledge.trajectories(4, 10)[0]
    undisturbed = {**long, "checkpoint_dir": str(workdir / "other")}
    assert torch.equal(trajectory, ConformanceRun("HetComp", undisturbed).knowledge.trajectories(4, 10)[0])
