"""What every method is held to. A method's test sets ``method`` and inherits; a method of one's own likewise."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from recbole.quick_start import run_recbole
from recbole.utils import init_seed
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recbole_kd.backbone import sparse_graph
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.experiment import _distil, get_student_alone, make_config
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.method.registry import method_class
from recbole_kd.method.terms import method_terms
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import build_seeded_model, load_weights
from recbole_kd.trainer.options import TrainingFiles

ROOT = Path(__file__).resolve().parents[2]


class Bench:
    """A method on a small dataset: its config, split, teacher, knowledge; models and trained students on demand."""

    def __init__(self, method, settings, **keys):
        self.config = make_config(method, config_dict={**settings, **keys})
        self.student_config = plain_config(self.config)
        self.data = prepare_split(self.student_config)
        self.teachers = provide_teachers(self.config, self.data)
        self.teacher = self.teachers[0]
        self.knowledge = load_knowledge(self.config, self.data, self.teachers)

    def model(self):
        """The method's model, with its first epoch begun."""
        init_seed(self.config["seed"], True)
        model = method_class(self.config.method)(self.config, self.data.train._dataset, self.knowledge)
        model.start_epoch(0)
        return model.train()

    def batch(self):
        """The first batch of a fresh loader."""
        return next(iter(prepare_split(self.student_config).train)).to(self.config["device"])

    def trained(self, file):
        """The checkpoint of a whole training."""
        _distil(self.config, self.knowledge, file)
        return read_checkpoint(file)


class Largest(TorchDispatchMode):
    """Counts what operations return: all bytes, and the largest tensor."""

    def __init__(self):
        super().__init__()
        self.bytes = self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided:
                self.bytes += leaf.numel() * leaf.element_size()
                self.largest = max(self.largest, leaf.numel())
        return out


def same_weights(one, other):
    """Whether two state dicts are equal to the bit."""
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


class Conformance:
    """The suite. ``student`` and ``keys`` may be set too; ``loses`` is why a method does not beat the student alone on
    the gate's data, where it does not.
    """

    method = ""
    student = "BPR"
    keys: dict = {}
    loses = ""

    @pytest.fixture
    def bench(self, settings):
        return Bench(self.method, settings, student_model=self.student, **self.keys)

    def zero(self, config):
        return {f"{name.lower()}_weight": 0.0 for name in method_terms(config)}

    def test_runs_and_ends_in_a_plain_checkpoint(self, bench, workdir):
        content = bench.trained(workdir / "x.pth")
        plain = build_seeded_model(bench.student_config, bench.data.train._dataset)
        assert set(content["state_dict"]) == set(plain.state_dict())
        assert all(torch.isfinite(weight).all() for weight in content["state_dict"].values())
        assert content["config"]["model"] == self.student

    def test_weight_zero_is_plain_recbole(self, settings, workdir, monkeypatch):
        monkeypatch.setattr(
            sparse_graph, "_rows_are_faster", lambda device: False
        )  # a graph by rows adds in another order
        keys = {"student_model": self.student, **self.keys, "epochs": 3}
        zero = self.zero(make_config(self.method, config_dict={**settings, **keys}))
        bench = Bench(self.method, settings, **{**keys, **zero})
        content = bench.trained(workdir / "zero.pth")
        model = load_weights(bench.student_config, bench.data.train._dataset, workdir / "zero.pth")
        theirs = {key: value for key, value in settings.items() if key not in ("teacher", "resume_interval", "dataset")}
        theirs |= {"epochs": 3, "eval_batch_size": 2000000, "checkpoint_dir": str(workdir / "stock")}
        stock = run_recbole(model=self.student, dataset="toy", config_dict=theirs)
        file = next((workdir / "stock").glob(f"{self.student}-*.pth"))
        assert same_weights(content["state_dict"], read_checkpoint(file)["state_dict"])
        _, test = evaluate(bench.student_config, model, bench.data)
        assert test == {name: float(value) for name, value in stock["test_result"].items()}

    def test_a_term_of_weight_zero_is_computed(self, settings):
        zero = self.zero(make_config(self.method, config_dict={**settings, **self.keys}))
        bench = Bench(self.method, settings, student_model=self.student, **self.keys, **zero)
        model = bench.model()
        called = []
        for term in model.terms:
            loss = term.loss
            term.loss = lambda batch, loss=loss: called.append(1) or loss(batch)
        model.calculate_loss(bench.batch())
        assert len(called) == len(model.terms)

    def test_teacher_is_untouched(self, bench, workdir):
        before = copy.deepcopy(bench.teacher.model.state_dict())
        content = Path(bench.teacher.file).read_bytes()
        bench.trained(workdir / "x.pth")
        assert same_weights(before, bench.teacher.model.state_dict())
        assert content == Path(bench.teacher.file).read_bytes()
        model = bench.model()
        theirs = {weight.data_ptr() for weight in bench.teacher.model.parameters()}
        assert not theirs & {weight.data_ptr() for weight in model.parameters()}

    def test_padding_is_never_touched(self, bench):
        model = bench.model()
        sum(model.calculate_loss(bench.batch())).backward()
        for name, weight in model.student.named_parameters():
            if "embedding" in name and weight.grad is not None:
                assert weight.grad[0].abs().max() == 0

    def test_gradient_reaches_the_student_and_the_terms_parts(self, bench):
        model = bench.model()
        sum(model.calculate_loss(bench.batch())[1:]).backward()  # the terms alone
        missing = [name for name, weight in model.named_parameters() if weight.grad is None]
        assert not [name for name in missing if name.startswith("terms.")]
        assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.student.parameters())

    def test_same_seed_same_result_other_seed_another(self, settings, workdir):
        def weights(name, **keys):
            bench = Bench(self.method, settings, student_model=self.student, **self.keys, **keys)
            return bench.trained(workdir / name)["state_dict"]

        first, again, other = weights("a.pth"), weights("b.pth"), weights("c.pth", seed=7)
        assert same_weights(first, again)
        assert not same_weights(first, other)

    def test_order_of_rows_does_not_matter(self, bench):
        batch = bench.batch()
        turned = batch[torch.randperm(len(batch), generator=torch.Generator().manual_seed(1))]
        one = [float(loss.detach()) for loss in bench.model().calculate_loss(batch)]
        other = [float(loss.detach()) for loss in bench.model().calculate_loss(turned)]
        assert one == pytest.approx(other, rel=1e-4)

    def test_recboles_randomness_is_left_alone(self, bench):
        model = bench.model()
        batch = bench.batch()
        torch.manual_seed(3), np.random.seed(3)
        with model.backbone.view() as view:
            model.student.calculate_loss(batch)
            plain = torch.rand(1), np.random.rand()
        torch.manual_seed(3), np.random.seed(3)
        model.start_epoch(1)
        model.calculate_loss(batch)
        assert (torch.rand(1), np.random.rand()) == plain
        assert view is not None

    def test_resume_is_bit_equal(self, bench, workdir):
        whole = bench.trained(workdir / "whole.pth")

        class Killed(Exception):
            pass

        class Dying(KDTrainer):
            def _check_nan(self, loss):
                if self.epoch == 1 and self.step == 2:
                    raise Killed
                super()._check_nan(loss)

        def trainer(kind):
            data = prepare_split(bench.student_config)
            init_seed(bench.config["seed"], True)
            model = method_class(self.method)(bench.config, data.train._dataset, bench.knowledge)
            files = TrainingFiles(workdir / "cut.pth", workdir / "cut.resume", resume_interval=0)
            return kind(bench.config, model, files), data

        first, data = trainer(Dying)
        with pytest.raises(Killed):
            first.fit(data.train, data.valid)
        second, data = trainer(KDTrainer)
        assert second.resume() == 1
        second.fit(data.train, data.valid)
        assert same_weights(whole["state_dict"], read_checkpoint(workdir / "cut.pth")["state_dict"])

    @pytest.mark.parametrize("scale", [1.0, 80.0])
    @pytest.mark.parametrize("autocast", [False, True])
    def test_losses_and_gradients_stay_finite(self, bench, scale, autocast):
        model = bench.model()
        with torch.no_grad():
            for name, weight in model.student.named_parameters():
                if "embedding" in name:
                    weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * scale**0.5)
        with torch.autocast(bench.config["device"].type, enabled=autocast, dtype=torch.bfloat16):
            losses = model.calculate_loss(bench.batch())
        sum(losses[1:]).backward()
        assert all(torch.isfinite(loss) for loss in losses[1:])
        assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)

    def test_a_step_allocates_no_more_than_the_tables_grow(self, settings):
        def used(dataset):
            own = {**settings, "dataset": dataset, "train_batch_size": 64}
            bench = Bench(self.method, own, student_model=self.student, **self.keys)
            model, batch = bench.model(), bench.batch()
            with Largest() as plain:
                model.student.calculate_loss(batch)
            with Largest() as ours:
                model.calculate_loss(batch)
            return ours.bytes - plain.bytes

        assert used("twice") <= 2.2 * used("toy")  # twice the users and twice the items, the same batch

    def test_student_loads_where_we_are_not(self, bench, workdir, stranger):
        bench.trained(workdir / "x.pth")
        assert stranger(workdir) == "loaded"

    @pytest.mark.gate
    def test_it_beats_the_student_alone(self, gate, workdir, request):
        if self.loses:
            request.applymarker(pytest.mark.xfail(reason=self.loses, strict=True))
        keys = {"student_model": self.student, **self.keys}
        known = make_config(self.method, config_dict={**gate, **keys}).final_config_dict
        # of 300 items a list of 500 leaves none outside it, from which these methods draw
        keys |= {key: 100 for key in known if key.endswith("_max_k") and key.replace("_max_k", "_uniform_k") in known}
        gains = []
        for seed in (1, 2, 3):
            bench = Bench(self.method, {**gate, "seed": seed}, **keys)
            alone, _ = get_student_alone(bench.config, bench.student_config, bench.data)
            bench.trained(workdir / "x.pth")
            distilled = load_weights(bench.student_config, bench.data.train._dataset, workdir / "x.pth")
            found = [evaluate(bench.student_config, model, bench.data)[1]["ndcg@10"] for model in (alone, distilled)]
            gains.append(found[1] - found[0])
        assert np.mean(gains) > 0, gains
