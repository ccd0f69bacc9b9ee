"""What the store holds is used only if it is what the run asks for; otherwise it is computed again."""

import numpy as np
import pytest
import torch

from recbole_kd.knowledge.array_checks import ArrayForm, fits, list_forms, trajectory_forms
from recbole_kd.knowledge.store import read_arrays, write_arrays
from recbole_kd.quick_start import run_kd

INF = float("inf")
IDS = [[0, 0, 0], [3, 1, 2], [4, 2, 0]]
SCORES = [[-INF, -INF, -INF], [3.0, 2.0, 2.0], [0.5, -1.0, -INF]]
FORMS = list_forms(3, 3, 5)


def arrays(ids=IDS, scores=SCORES, kind=torch.int32, number=torch.float32):
    return {"ids": torch.tensor(ids, dtype=kind), "scores": torch.tensor(scores, dtype=number)}


def changed(values, row, column, value):
    return [[value if (r, c) == (row, column) else old for c, old in enumerate(line)] for r, line in enumerate(values)]


@pytest.mark.parametrize(
    "other",
    [
        {"ids": arrays()["ids"]},
        {**arrays(), "more": torch.zeros(1)},
        {"ids": arrays()["ids"], "score": arrays()["scores"]},
        arrays(kind=torch.int64),
        arrays(number=torch.float64),
        arrays(IDS[:2], SCORES[:2]),
        {name: array.T for name, array in arrays().items()} | {"ids": arrays()["ids"][:, :2]},
        arrays(changed(IDS, 1, 0, -7)),
        arrays(changed(IDS, 1, 0, 5)),
        arrays(changed(IDS, 0, 0, 1), changed(SCORES, 0, 0, 1.0)),
        arrays(changed(IDS, 2, 0, 0)),
        arrays(scores=changed(SCORES, 1, 1, INF)),
        arrays(scores=changed(SCORES, 1, 0, float("nan"))),
        arrays(scores=changed(SCORES, 2, 2, -5.0)),
    ],
)
def test_other_arrays_do_not_fit(other, tmp_path):
    assert fits(arrays(), FORMS) and not fits(other, FORMS)
    write_arrays(tmp_path / "store" / "x", other)
    assert read_arrays(tmp_path / "store" / "x", "cpu", FORMS) is None
    write_arrays(tmp_path / "store" / "x", arrays(), FORMS)
    read = read_arrays(tmp_path / "store" / "x", "cpu", FORMS)
    assert all(torch.equal(read[name], array) for name, array in arrays().items())


def test_numbers_and_trajectories_are_checked_too():
    moments = {"mean": torch.zeros(2, 3), "sd": torch.ones(2, 3)}
    forms = {"mean": ArrayForm((2, 3)), "sd": ArrayForm((2, 3), positive=True)}
    assert fits(moments, forms)
    assert not fits({**moments, "sd": torch.zeros(2, 3)}, forms)
    assert not fits({**moments, "mean": torch.full((2, 3), INF)}, forms)
    lists = torch.tensor([IDS, IDS], dtype=torch.int32)
    for states, longest, is_right in ((2, None, True), (None, 2, True), (None, 1, False), (3, None, False)):
        assert fits({"ids": lists}, trajectory_forms(3, 5, 3, states, longest)) == is_right
    assert not fits({"ids": lists + 1}, trajectory_forms(3, 5, 3, 2))


def test_a_changed_number_is_noticed_and_so_is_a_missing_checksum(tmp_path):
    folder = tmp_path / "store" / "x"
    write_arrays(folder, arrays(), FORMS)
    np.save(folder / "ids.npy", np.array(changed(IDS, 1, 0, 4), dtype=np.int32))
    assert fits({**arrays(), "ids": torch.from_numpy(np.load(folder / "ids.npy"))}, FORMS)  # within the range
    assert read_arrays(folder, "cpu", FORMS) is None
    (folder / "checksums.json").unlink()
    assert read_arrays(folder, "cpu", FORMS) is None
    write_arrays(folder, arrays(), FORMS)
    assert torch.equal(read_arrays(folder, "cpu", FORMS)["ids"], arrays()["ids"])


def test_a_store_with_ids_out_of_range_gives_the_same_student(settings, workdir):
    settings = {**settings, "resume": False, "state": "INFO"}
    expected = run_kd("RRD", config_dict=settings)["distilled"]["test_result"]
    (file,) = (workdir / "saved" / "knowledge").glob("*/top-*/ids.npy")
    good = np.load(file)
    bad = good.copy()
    bad[1:, 0] = -7
    np.save(file, bad)
    (file.parent / "checksums.json").unlink()
    assert run_kd("RRD", config_dict=settings)["distilled"]["test_result"] == expected
    np.testing.assert_array_equal(np.load(file), good)
