"""The checks that every method has to pass. The test class of a method inherits them."""

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone import sparse_graph
from recbole_kd.config.model_names import class_name, is_model_path
from recbole_kd.config.recbole_schema import model_defaults, recbole_keys
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.method.distiller import Distiller
from recbole_kd.method.terms import method_terms
from recbole_kd.testing.interruption import Interrupted, InterruptedTrainer
from recbole_kd.testing.isolation import working_directory
from recbole_kd.testing.measures import AllocationCounter, padding_gradients, same_weights, scaled_tables, total
from recbole_kd.testing.plain_recbole import PlainRecBoleProcess
from recbole_kd.testing.run import ConformanceRun
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import build_seeded_model, load_weights
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.recbole_trainer import over_recbole_trainer

Settings = dict[str, Any]


@dataclass
class DistilledStudent:
    """What one training left, and the teacher as it was before.

    Attributes:
        file: the checkpoint.
        content: the checkpoint's content.
        teacher_weights: the teacher's state dict before the training.
        teacher_bytes: the teacher's checkpoint before the training.
    """

    file: Path
    content: Mapping[str, Any]
    teacher_weights: Mapping[str, torch.Tensor]
    teacher_bytes: bytes


class MethodConformance:
    """The conformance suite of a method; a subclass sets ``method`` and inherits the checks.

    The checks of a class share one split, one teacher and one distilled student. They need the pytest plugin
    ``recbole_kd.testing.fixtures``.

    Attributes:
        method: name of the method.
        student: RecBole model of the student.
        dataset: one of the datasets of the fixture ``data_path``, which fits student and teacher.
        teacher_model: RecBole model of the teacher; the method's default where empty.
        keys: keys of the runs, where the defaults do not reach all of the method in two epochs on a small dataset.
        loss_arguments: what the student's trainer passes to ``calculate_loss`` besides the batch.
        twice: the dataset of the check of allocations: twice the users and twice the items of ``dataset``.
        not_applicable: names of checks that this student cannot pass by its design, with the reason for each; they are
            skipped.
        loses: why the method does not beat the student alone in the accuracy check, where it does not. The check then
            has to fail.
    """

    method: ClassVar[str] = ""
    student: ClassVar[str] = "BPR"
    dataset: ClassVar[str] = "toy"
    teacher_model: ClassVar[str] = ""
    keys: ClassVar[Mapping[str, Any]] = {}
    loss_arguments: ClassVar[Mapping[str, Any]] = {}
    twice: ClassVar[str] = "twice"
    not_applicable: ClassVar[Mapping[str, str]] = {}
    loses: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def skip_what_does_not_apply(self, request: pytest.FixtureRequest) -> None:
        """Skip a check that ``not_applicable`` names."""
        if reason := self.not_applicable.get(request.node.originalname):
            pytest.skip(reason)

    @classmethod
    def run_keys(cls) -> dict[str, Any]:
        """The keys of the class's runs."""
        teacher = {"teacher_model": cls.teacher_model} if cls.teacher_model else {}
        return {"student_model": cls.student, "dataset": cls.dataset, **teacher, **cls.keys}

    @classmethod
    def new_run(cls, settings: Settings, **keys: Any) -> ConformanceRun:
        """A run of the method; its teacher is trained unless ``checkpoint_dir`` holds it."""
        return ConformanceRun(cls.method, {**settings, **cls.run_keys(), **keys})

    @classmethod
    def losses(cls, model: Distiller, batch: Interaction) -> Sequence[torch.Tensor]:
        """The student's own loss on a batch and those of the terms."""
        return model.calculate_loss(batch, **cls.loss_arguments)

    @classmethod
    def zero_weights(cls, settings: Settings) -> dict[str, float]:
        """Keys that set the weight of every term to 0."""
        config = make_config(cls.method, config_dict={**settings, **cls.run_keys()})
        return {f"{name.lower()}_weight": 0.0 for name in method_terms(config)}

    @classmethod
    def plain_keys(cls, run: ConformanceRun) -> dict[str, Any]:
        """RecBole's keys for a training of the student without us; they say its widths, which are ours."""
        widths = {name: run.student_config[name] for name in model_defaults(cls.student)}
        given: dict[str, Any] = {key: value for key, value in cls.keys.items() if key in recbole_keys()}
        if run.student_config["train_neg_sample_args"].get("distribution") == "none":
            given["train_neg_sample_args"] = None  # RecBole asks for it where a loss compares all items
        return {**widths, **given, "epochs": 3, "eval_batch_size": 2000000}

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, class_settings: Settings, class_workdir: Path) -> ConformanceRun:
        """The run that the checks of the class share."""
        with working_directory(class_workdir):
            return cls.new_run(class_settings)

    @pytest.fixture(scope="class")
    @classmethod
    def distilled(cls, run: ConformanceRun, class_workdir: Path) -> DistilledStudent:
        """The distilled student that the checks of the class share."""
        assert run.teacher.model is not None
        weights = copy.deepcopy(run.teacher.model.state_dict())
        checkpoint = Path(run.teacher.file).read_bytes()
        file = class_workdir / "distilled.pth"
        with working_directory(class_workdir):
            return DistilledStudent(file, run.trained(file), weights, checkpoint)

    def test_training_ends_in_a_plain_checkpoint(self, run: ConformanceRun, distilled: DistilledStudent) -> None:
        plain = build_seeded_model(run.student_config, run.data.train._dataset)
        assert set(distilled.content["state_dict"]) == set(plain.state_dict())
        assert all(torch.isfinite(weight).all() for weight in distilled.content["state_dict"].values())
        assert distilled.content["config"]["model"] == class_name(self.student)

    def test_student_loads_in_plain_recbole(
        self, distilled: DistilledStudent, plain_recbole_process: PlainRecBoleProcess
    ) -> None:
        if is_model_path(self.student):
            pytest.skip("plain RecBole finds its own models by their names, and no others")
        assert plain_recbole_process.load(distilled.file) == "loaded"

    def test_teacher_is_unchanged(self, run: ConformanceRun, distilled: DistilledStudent) -> None:
        assert run.teacher.model is not None
        assert same_weights(distilled.teacher_weights, run.teacher.model.state_dict())
        assert distilled.teacher_bytes == Path(run.teacher.file).read_bytes()
        teacher_addresses = {weight.data_ptr() for weight in run.teacher.model.parameters()}
        assert not teacher_addresses & {weight.data_ptr() for weight in run.model().parameters()}

    def test_zero_weight_is_plain_recbole(
        self, class_settings: Settings, workdir: Path, monkeypatch: pytest.MonkeyPatch, plain_training: Callable
    ) -> None:
        # LightGCN's faster graph product adds in another order
        monkeypatch.setattr(sparse_graph, "_rows_are_faster", lambda device: False)
        zero = self.zero_weights(class_settings)
        run = self.new_run(class_settings, **{**zero, "student.epochs": 3})
        content = run.trained(workdir / "zero.pth")
        model = load_weights(run.student_config, run.data.train._dataset, workdir / "zero.pth")
        weights, metrics = plain_training(self.student, dataset=self.dataset, **self.plain_keys(run))
        assert same_weights(content["state_dict"], weights)
        _, test = evaluate(run.student_config, model, run.data)
        assert test == metrics

    def test_terms_of_zero_weight_are_computed(self, class_settings: Settings, workdir: Path) -> None:
        run = self.new_run(class_settings, **self.zero_weights(class_settings))
        model = run.model()
        with contextlib.ExitStack() as stack:
            spies = [stack.enter_context(patch.object(term, "loss", wraps=term.loss)) for term in model.terms]
            self.losses(model, run.batch())
        assert [spy.call_count for spy in spies] == [1] * len(model.terms)

    def test_padding_rows_get_no_gradient(self, run: ConformanceRun) -> None:
        model = run.model()
        total(self.losses(model, run.batch())[1:]).backward()  # the terms alone: some models read it by design
        gradients = padding_gradients(model, model.student)
        assert any(name.startswith("student.") for name in gradients), "no table of users or items has a gradient"
        assert gradients == dict.fromkeys(gradients, 0.0)

    def test_gradients_reach_student_and_terms(self, run: ConformanceRun) -> None:
        model = run.model()
        total(self.losses(model, run.batch())[1:]).backward()  # the terms alone
        missing = [name for name, weight in model.named_parameters() if weight.grad is None]
        assert not [name for name in missing if name.startswith("terms.")]
        assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.student.parameters())

    def test_the_seed_decides_the_result(
        self, run: ConformanceRun, distilled: DistilledStudent, class_settings: Settings, workdir: Path
    ) -> None:
        again = self.new_run(class_settings).trained(workdir / "again.pth")
        assert same_weights(distilled.content["state_dict"], again["state_dict"])
        keys = {**class_settings, **self.run_keys(), "seed": 7}
        other_seed = make_config(self.method, config_dict=keys)
        Experiment(other_seed, run.data, run.knowledge).train_side("method", workdir / "other.pth")
        other = torch.load(workdir / "other.pth", weights_only=False)
        assert not same_weights(distilled.content["state_dict"], other["state_dict"])

    def test_the_order_of_rows_does_not_matter(self, run: ConformanceRun) -> None:
        batch = run.batch()
        shuffled = batch[torch.randperm(len(batch), generator=torch.Generator().manual_seed(1))]

        def losses(batch: Interaction) -> list[float]:
            model = run.model()
            for module in model.student.modules():
                if isinstance(module, torch.nn.Dropout):  # its mask is drawn by position
                    module.eval()
            return [float(loss.detach()) for loss in self.losses(model, batch)]

        assert losses(batch) == pytest.approx(losses(shuffled), rel=1e-4)

    def test_global_randomness_is_left_alone(self, run: ConformanceRun) -> None:
        model, batch = run.model(), run.batch()
        torch.manual_seed(3), np.random.seed(3)
        with model.backbone.view():
            model.student.calculate_loss(batch, **self.loss_arguments)
            plain = torch.rand(1), np.random.rand()
        torch.manual_seed(3), np.random.seed(3)
        model.start_epoch(1)
        self.losses(model, batch)
        assert (torch.rand(1), np.random.rand()) == plain

    def test_resume_is_bit_equal(self, run: ConformanceRun, distilled: DistilledStudent, workdir: Path) -> None:
        def trainer(kind: type[KDTrainer]) -> tuple[KDTrainer, Any]:
            data = run.data.fresh(run.student_config)
            files = TrainingFiles(workdir / "cut.pth", workdir / "cut.resume", resume_interval=0)
            return over_recbole_trainer(kind, run.config)(run.config, run.new_model(data), files), data

        first, data = trainer(InterruptedTrainer)
        with pytest.raises(Interrupted):
            first.fit(data.train, data.valid)
        second, data = trainer(KDTrainer)
        assert second.resume() == 1
        second.fit(data.train, data.valid)
        content = torch.load(workdir / "cut.pth", weights_only=False)
        assert same_weights(distilled.content["state_dict"], content["state_dict"])

    @pytest.mark.parametrize("scale", [1.0, 80.0])
    @pytest.mark.parametrize("autocast", [False, True])
    def test_losses_and_gradients_stay_finite(self, run: ConformanceRun, scale: float, autocast: bool) -> None:
        model = run.model()
        tables = scaled_tables(model.student)
        with torch.no_grad():
            for table in tables.values():
                table.copy_(torch.randn(table.shape, generator=torch.Generator().manual_seed(0)) * scale**0.5)
        with torch.autocast(run.config["device"].type, enabled=autocast, dtype=torch.bfloat16):
            losses = self.losses(model, run.batch())
        total(losses[1:]).backward()
        assert all(torch.isfinite(loss) for loss in losses[1:])
        assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)

    def test_a_step_allocates_no_more_than_the_tables_grow(
        self, run: ConformanceRun, class_settings: Settings, workdir: Path
    ) -> None:
        """Twice the users and twice the items, the same number of rows: no tensor of users times items."""

        def extra_bytes(run: ConformanceRun) -> int:
            model, batch = run.model(), run.batch()[:64]
            with AllocationCounter() as student:
                model.student.calculate_loss(batch, **self.loss_arguments)
            with AllocationCounter() as method:
                self.losses(model, batch)
            return method.bytes - student.bytes

        assert extra_bytes(self.new_run(class_settings, dataset=self.twice)) <= 2.2 * extra_bytes(run)

    @pytest.mark.gate
    def test_it_beats_the_student_alone(self, gate: Settings, workdir: Path, request: pytest.FixtureRequest) -> None:
        if self.loses:
            request.applymarker(pytest.mark.xfail(reason=self.loses, strict=True))
        keys = {"student_model": self.student, **self.keys}
        known = make_config(self.method, config_dict={**gate, **keys}).final_config_dict
        # a list of the default 500 would hold all of the 300 items and leave none to draw from outside it
        keys |= {key: 100 for key in known if key.endswith("_max_k") and key.replace("_max_k", "_uniform_k") in known}
        gains = []
        for seed in (1, 2, 3):
            run = ConformanceRun(self.method, {**gate, "seed": seed}, **keys)
            alone = run.experiment.train_alone().model
            run.trained(workdir / "x.pth")
            distilled = load_weights(run.student_config, run.data.train._dataset, workdir / "x.pth")
            before, after = (
                evaluate(run.student_config, model, run.data)[1]["ndcg@10"] for model in (alone, distilled)
            )
            gains.append(after - before)
        assert np.mean(gains) > 0, gains
