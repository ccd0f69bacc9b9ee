"""On a GPU (``python -m pytest -m gpu``): what every method is held to, losses and gradients that are a CPU's, and
files that go from one to the other.
"""

import pytest
import torch

from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.quick_start import run_kd
from recbole_kd.testing.conformance import Bench
from recbole_kd.trainer.model_builder import load_weights
from tests.method.test_methods import __dict__ as methods_here

pytestmark = pytest.mark.gpu
METHODS = [kind for name, kind in methods_here.items() if name.startswith("Test")]

# of the suite, what is not asked there: the gate's accuracy depends on no device, and of a graph's products, RecBole's
# own among them, cuSPARSE adds the parts in no fixed order
SLOW = dict.fromkeys(["test_it_beats_the_student_alone"])
OF_BITS = dict.fromkeys(
    ["test_same_seed_same_result_other_seed_another", "test_resume_is_bit_equal", "test_weight_zero_is_plain_recbole"]
)
for kind in METHODS:  # the suite of each method, where torch finds a GPU
    name = f"{kind.__name__}OnAGPU"
    globals()[name] = type(name, (kind,), SLOW if kind.student == "BPR" else SLOW | OF_BITS)


@pytest.fixture(autouse=True)
def in_a_fixed_order():
    """Of tables as small as these torch adds up gradients in no fixed order where it may."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def gpu(monkeypatch):
    """Settings that choose the first GPU, or none. RecBole writes the choice into the environment: it is put back."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    return lambda here: {"gpu_id": "0" if here else "", "use_gpu": here}


@pytest.fixture
def same_draws(monkeypatch):
    """What is drawn for a GPU is drawn by a CPU's generator of the same seed."""
    twins = {}

    def twin(generator):
        if id(generator) not in twins:  # held, so that no other one gets its id
            twins[id(generator)] = generator, torch.Generator().manual_seed(generator.initial_seed())
        return twins[id(generator)][1]

    def fresh(draw):
        def drawn(*shape, generator=None, device=None, **more):
            if generator is None or generator.device.type == "cpu":
                return draw(*shape, generator=generator, device=device, **more)
            return draw(*shape, generator=twin(generator), **more).to(device)

        return drawn

    def in_place(draw):
        def drawn(tensor, *args, generator=None, **more):
            if generator is None or generator.device.type == "cpu":
                return draw(tensor, *args, generator=generator, **more)
            return tensor.copy_(draw(tensor.cpu(), *args, generator=twin(generator), **more))

        return drawn

    for name in ("rand", "randint", "randperm"):
        monkeypatch.setattr(torch, name, fresh(getattr(torch, name)))
    for name in ("exponential_", "random_"):
        monkeypatch.setattr(torch.Tensor, name, in_place(getattr(torch.Tensor, name)))


def bench_of(kind, settings, **keys):
    return Bench(kind.method, {**settings, "student_model": kind.student, **kind.keys, **keys})


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__[4:])
def test_losses_and_gradients_are_those_of_a_cpu(kind, settings, gpu, same_draws):
    # the teachers are trained once, on the CPU, and found by the other
    cpu, there = bench_of(kind, settings, **gpu(False)), bench_of(kind, settings, **gpu(True))
    assert there.config["device"].type == "cuda" and cpu.config["device"].type == "cpu"
    assert [teacher.file for teacher in there.teachers] == [teacher.file for teacher in cpu.teachers]

    def step(bench):
        model = bench.model()
        losses = model.calculate_loss(bench.batch())
        sum(losses).backward()
        grads = {name: weight.grad.cpu() for name, weight in model.named_parameters() if weight.grad is not None}
        return [float(loss.detach()) for loss in losses], grads

    (expected, slow), (found, grads) = step(cpu), step(there)
    assert found == pytest.approx(expected, rel=1e-3)
    assert set(grads) == set(slow)
    for name, grad in grads.items():  # as a whole: of two scores that are nearly level either may be the better one
        assert (grad - slow[name]).norm() <= 1e-2 * slow[name].norm() + 1e-6, name


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__[4:])
def test_what_a_gpu_trained_is_read_on_a_cpu(kind, settings, gpu, workdir, stranger):
    """The student by a RecBole that was told of a GPU, the teacher by a run without one."""
    there = bench_of(kind, settings, **gpu(True))
    there.trained(workdir / "x.pth")
    assert stranger(workdir) == "loaded"
    cpu = bench_of(kind, settings, **gpu(False))
    assert [teacher.file for teacher in cpu.teachers] == [teacher.file for teacher in there.teachers]
    model = load_weights(cpu.student_config, cpu.data.train._dataset, workdir / "x.pth")
    on_gpu = load_weights(there.student_config, there.data.train._dataset, workdir / "x.pth")
    assert next(on_gpu.parameters()).device.type == "cuda"
    found = [evaluate(bench.student_config, one, bench.data) for bench, one in ((cpu, model), (there, on_gpu))]
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, abs=2e-3)


def test_a_run_and_its_result(settings, gpu, workdir):
    result = run_kd("MKD", config_dict={**settings, **gpu(True)})
    assert torch.isfinite(torch.tensor(list(result["distilled"]["test_result"].values()))).all()
    again = run_kd("MKD", config_dict={**settings, **gpu(True), "resume": True})
    assert again["distilled"]["test_result"] == pytest.approx(result["distilled"]["test_result"])
