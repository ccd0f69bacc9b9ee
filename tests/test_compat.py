"""After ``import recbole_kd`` plain RecBole does what its own documentation says, on today's stack."""

import http.server
import importlib
import io
import logging
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import recbole
import recbole.quick_start
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.model.general_recommender import LightGCN, NeuMF
from recbole.quick_start import load_data_and_model, objective_function, run_recbole
from recbole.trainer import HyperTuning, Trainer
from recbole.utils import InputType, get_model, get_trainer, init_seed
from recbole.utils.case_study import full_sort_scores, full_sort_topk
from scipy.sparse import dok_matrix

from recbole_kd import compat
from recbole_kd.checkpoint.reader import load_for_recbole
from recbole_kd.compat import mend, mend_loading
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.trainer import training
from recbole_kd.trainer.training import read_done_marker
from tests.processes import run_code

REPO = Path(__file__).resolve().parent.parent
USERS, ITEMS = 30, 40


def write_toy(folder, name="toy"):
    """Interactions with a rating and a time, item features, and a small knowledge graph."""
    rows = {"inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float"}
    rows["inter"] += "".join(
        f"\nu{user}\ti{(user * 7 + step * step) % ITEMS}\t{1 + step % 5}\t{step}"
        for user in range(USERS)
        for step in range(12)
    )
    rows["item"] = "item_id:token\tkind:token_seq" + "".join(f"\ni{item}\ta b{item % 3}" for item in range(ITEMS))
    rows["link"] = "item_id:token\tentity_id:token" + "".join(f"\ni{item}\te{item}" for item in range(ITEMS))
    rows["kg"] = "head_id:token\trelation_id:token\ttail_id:token"
    rows["kg"] += "".join(f"\ne{item}\tr{item % 2}\te{(item * 3 + 1) % ITEMS}" for item in range(ITEMS))
    (folder / name).mkdir(parents=True)
    for suffix, text in rows.items():
        (folder / name / f"{name}.{suffix}").write_text(text + "\n")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with the dataset ``toy``, for all tests of this file."""
    folder = write_toy(tmp_path_factory.mktemp("compat"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["pytest"])  # RecBole's Config takes whatever stands there for keys
        logger = logging.getLogger()
        before = logger.level, logger.handlers[:]
        yield folder
        logger.setLevel(before[0])  # RecBole's runs set both for the whole process
        logger.handlers[:] = before[1]


@pytest.fixture
def keys(place):
    return {"data_path": str(place), "epochs": 2, "show_progress": False, "state": "ERROR", "embedding_size": 8}


@pytest.fixture(scope="module")
def stock(place):
    """The outcome of one plain run, and its checkpoint."""
    keys = {"data_path": str(place), "epochs": 2, "show_progress": False, "state": "ERROR", "checkpoint_dir": "stock"}
    result = run_recbole(model="BPR", dataset="toy", config_dict={**keys, "metric_decimal_place": 8}, saved=True)
    return result, str(next(place.glob("stock/BPR-*.pth")).relative_to(place))


# ---- RecBole's documented flows


def test_a_run_ends_with_a_test_result_of_its_best_epoch(stock):
    result, _ = stock
    assert 0 < result["test_result"]["ndcg@10"] <= 1
    assert result["best_valid_result"]["mrr@10"] == result["best_valid_score"]


def test_load_data_and_model_gives_back_what_was_evaluated(stock):
    result, file = stock
    config, model, dataset, train, _valid, test = load_data_and_model(file)
    assert type(config) is Config and len(dataset) == USERS * 12
    trainer = Trainer(config, model)
    trainer.eval_collector.data_collect(train)
    assert trainer.evaluate(test, load_best_model=False) == result["test_result"]
    assert Trainer(config, model).evaluate(test, model_file=file) == result["test_result"]


def test_the_case_study_scores_all_items_of_a_user(stock):
    _config, model, dataset, _train, _valid, test = load_data_and_model(stock[1])
    users = dataset.token2id(dataset.uid_field, ["u3", "u8"])
    scores = full_sort_scores(users, model, test, device="cpu")
    top, items = full_sort_topk(users, model, test, k=5, device="cpu")
    plain = model.user_embedding.weight[users] @ model.item_embedding.weight.T
    known = test.uid2history_item[users[1]]
    assert (
        scores.shape == (2, dataset.item_num)
        and torch.isinf(scores[:, 0]).all()
        and torch.isinf(scores[1, known]).all()
    )
    shown = ~torch.isinf(scores)
    assert torch.allclose(scores[shown], plain[shown], atol=1e-6)
    assert torch.equal(items, scores.topk(5).indices) and torch.equal(top, scores.gather(1, items))
    assert dataset.id2token(dataset.iid_field, items).shape == (2, 5)


def step_by_step(model, keys):
    """RecBole's quick start, a step at a time; the best validation score, the test result, and the checkpoint."""
    config = Config(model, "toy", config_dict={**keys, "metric_decimal_place": 8})
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    score, _ = trainer.fit(train, valid)
    return score, trainer.evaluate(test), trainer.saved_model_file


def test_the_steps_of_the_quick_start_give_what_it_gives(stock, keys):
    score, result, _ = step_by_step("BPR", {**keys, "embedding_size": 64})
    assert (score, result) == (stock[0]["best_valid_score"], stock[0]["test_result"])


def test_a_checkpoint_can_be_gone_on_from(stock, keys):
    config = Config("BPR", "toy", config_dict={**keys, "embedding_size": 64, "epochs": 4})
    train, valid, _ = data_preparation(config, create_dataset(config))
    trainer = Trainer(config, get_model("BPR")(config, train._dataset))
    trainer.resume_checkpoint(stock[1])
    assert trainer.start_epoch >= 1
    trainer.fit(train, valid, saved=False)
    assert max(trainer.train_loss_dict) == 3 and min(trainer.train_loss_dict) == trainer.start_epoch


class Mine(GeneralRecommender):
    """A model of a user's own, as RecBole's documentation shows one."""

    input_type = InputType.PAIRWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.user, self.item = torch.nn.Embedding(self.n_users, 4), torch.nn.Embedding(self.n_items, 4)

    def predict(self, interaction):
        return (self.user(interaction[self.USER_ID]) * self.item(interaction[self.ITEM_ID])).sum(-1)

    def calculate_loss(self, interaction):
        pair = self.user(interaction[self.USER_ID])
        less = self.item(interaction[self.NEG_ITEM_ID]) - self.item(interaction[self.ITEM_ID])
        return torch.nn.functional.softplus((pair * less).sum(-1)).mean()


def test_a_model_of_one_s_own_trains_and_reloads_its_best(keys):
    config = Config(Mine, "toy", config_dict={**keys, "checkpoint_dir": "mine"})
    train, valid, test = data_preparation(config, create_dataset(config))
    trainer = Trainer(config, Mine(config, train._dataset))
    trainer.fit(train, valid)
    assert 0 <= trainer.evaluate(test)["recall@10"] <= 1


@pytest.mark.parametrize(
    "model, own",
    [
        ("LightGCN", {}),
        ("ItemKNN", {}),
        ("SLIMElastic", {}),
        ("SASRecF", {"hidden_size": 8, "inner_size": 8, "n_layers": 1, "selected_features": ["kind"]}),
        ("RippleNet", {"n_memory": 4}),
    ],
)
def test_models_with_other_things_in_their_checkpoint_reload_it(keys, model, own):
    columns = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "kind"]}
    if model == "SASRecF":
        own = {**own, "train_neg_sample_args": None}
    if model == "RippleNet":
        columns = {**columns, "kg": ["head_id", "relation_id", "tail_id"], "link": ["item_id", "entity_id"]}
    own = {**keys, **own, "epochs": 1, "load_col": columns, "checkpoint_dir": f"of-{model}"}
    _, result, file = step_by_step(model, own)
    config, loaded, _dataset, train, _valid, test = load_data_and_model(file)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, loaded)
    trainer.eval_collector.data_collect(train)
    assert trainer.evaluate(test, load_best_model=False) == result


def test_graph_models_are_constructed(keys):
    config = Config("LightGCN", "toy", config_dict=keys)
    train = data_preparation(config, create_dataset(config))[0]._dataset
    adjacency = LightGCN(config, train).norm_adj_matrix.to_dense()
    linked = torch.zeros(train.user_num, train.item_num)
    linked[train.inter_feat["user_id"], train.inter_feat["item_id"]] = 1
    degree = torch.cat([linked.sum(1), linked.sum(0)]) + 1e-7
    expected = torch.zeros_like(adjacency)
    expected[: train.user_num, train.user_num :] = linked
    expected = (expected + expected.T) / degree.sqrt()[:, None] / degree.sqrt()[None]
    assert torch.allclose(adjacency, expected, atol=1e-5)


def test_a_pretrained_model_is_read_by_another(keys):
    parts = {}
    for part in ("mf", "mlp"):
        own = {**keys, "checkpoint_dir": part, "mf_train": part == "mf", "mlp_train": part == "mlp"}
        config = Config("NeuMF", "toy", config_dict=own)
        train = data_preparation(config, create_dataset(config))[0]._dataset
        parts[part] = Trainer(config, NeuMF(config, train))
        parts[part]._save_checkpoint(0, verbose=False)
    paths = {f"{part}_pretrain_path": trainer.saved_model_file for part, trainer in parts.items()}
    whole = NeuMF(Config("NeuMF", "toy", config_dict={**keys, **paths, "use_pretrain": True}), train)
    for name in ("user_mf_embedding", "item_mlp_embedding"):
        mine, theirs = (getattr(model, name).weight for model in (whole, parts[name.split("_")[1]].model))
        assert torch.equal(mine, theirs)


def modules_that_load():
    """RecBole's modules that call torch.load; quick_start imports torch anew at each call."""
    root = Path(recbole.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if re.search(r"\btorch\.load\(", path.read_text(encoding="utf-8")) and path.parent.name != "quick_start":
            yield ".".join(["recbole", *path.relative_to(root).with_suffix("").parts])


@pytest.mark.parametrize("name", modules_that_load())
def test_every_module_that_loads_a_checkpoint_does_it_through_the_safe_reader(name):
    assert importlib.import_module(name).torch.load is load_for_recbole


def test_the_objective_function_of_hyper_tuning_runs(keys):
    assert HyperTuning.__module__ == "recbole.trainer.hyper_tuning"
    result = objective_function({**keys, "epochs": 1, "model": "BPR", "dataset": "toy"})
    assert {"model", "best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"} <= set(result)


# ---- datasets and loaders that RecBole stores


def pairs(dataset):
    return sorted(zip(dataset.inter_feat["user_id"].tolist(), dataset.inter_feat["item_id"].tolist(), strict=True))


@pytest.fixture
def kept(keys, tmp_path):
    """A split whose dataset and loaders were stored, and the keys with which they are found again."""
    config = Config("BPR", "toy", config_dict={**keys, "checkpoint_dir": str(tmp_path)} | dict.fromkeys(STORED, True))
    init_seed(config["seed"], config["reproducibility"])
    loaders = data_preparation(config, create_dataset(config))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["toy-Dataset.pth", "toy-for-BPR-dataloader.pth"]
    return loaders, dict(
        zip(("dataset_save_path", "dataloaders_save_path"), (str(tmp_path / f) for f in files), strict=True)
    )


STORED = ("save_dataset", "save_dataloaders")


def test_a_stored_split_is_found_again(keys, kept, monkeypatch):
    loaders, paths = kept
    monkeypatch.setattr(Dataset, "_from_scratch", None)  # it must not be read from its text files
    config = Config("BPR", "toy", config_dict={**keys, **paths})
    again = data_preparation(config, create_dataset(config))
    assert [pairs(loader._dataset) for loader in again] == [pairs(loader._dataset) for loader in loaders]
    assert len(next(iter(again[0]))) == min(2048, len(pairs(loaders[0]._dataset)))


def test_a_run_over_a_stored_split_is_the_run_without_it(keys, kept, stock):
    assert step_by_step("BPR", {**keys, "embedding_size": 64, **kept[1]})[1] == stock[0]["test_result"]


def test_our_training_works_while_recbole_stores_its_loaders(keys, tmp_path):
    # RecBole leaves its loaders without a generator where it has just stored them
    own = {**keys, "epochs": 1, "checkpoint_dir": str(tmp_path)}
    training.train(Config("BPR", "toy", config_dict={**own, **dict.fromkeys(STORED, True)}), tmp_path / "x.pth")
    assert read_done_marker(tmp_path / "x.pth")


# ---- what is left of the mends


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_torch_load_is_left_alone(stock):
    assert torch.load.__module__ == "torch.serialization"
    with pytest.raises(pickle.UnpicklingError):
        torch.load(stock[1], weights_only=True)


def test_torch_load_is_left_alone_by_a_failed_loading(tmp_path):
    before = torch.load
    with pytest.raises(KDError, match="is not there"):
        load_data_and_model(str(tmp_path / "missing.pth"))
    assert torch.load is before


def test_mending_twice_changes_nothing(stock):
    def state():
        proxies = {name: vars(sys.modules[name]).get("torch") for name in modules_that_load()}
        return {
            **proxies,
            "ray": [name for name in sys.modules if name.partition(".")[0] == "ray"],
            "load": recbole.quick_start.load_data_and_model,
            "download": Dataset._download,
            "dok": getattr(dok_matrix, "_update", None),
            "names": [vars(np).get(name) for name in ("float", "int")],
        }

    for name in modules_that_load():
        importlib.import_module(name)
    before = state()
    mend()
    mend_loading(load_for_recbole)
    Config("BPR", "toy")
    assert state() == before
    assert load_data_and_model(stock[1])


@pytest.fixture
def python(tmp_path):
    """A function that runs a fresh Python on some code, with modules of ours in front of all others."""
    (tmp_path / "front").mkdir()

    def run(*arguments, cwd=tmp_path):
        path = os.pathsep.join(filter(None, [str(tmp_path / "front"), str(REPO), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("wanted", [False, True])
def test_autograds_anomaly_detection_is_left_as_it_was(wanted, tmp_path):
    code = (
        f"import torch; torch.autograd.set_detect_anomaly({wanted}); import recbole_kd\n"
        "assert 'recbole.model.sequential_recommender.sine' in sys.modules\n"
        f"assert torch.is_anomaly_enabled() is {wanted}\n"
    )
    exit_code, errors = run_code(code, tmp_path, REPO)
    assert exit_code == 0, errors


def test_a_broken_ray_does_not_matter_and_none_is_left_behind(tmp_path):
    (tmp_path / "ray").mkdir()
    # how ray 2.6 fails under numpy 2
    (tmp_path / "ray" / "__init__.py").write_text("raise AttributeError('module numpy has no attribute bool8')")
    code = (
        "import recbole_kd, torch\n"
        "from recbole.quick_start import run_recbole, objective_function\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'ray']\n"
        "assert torch.load.__module__ == 'torch.serialization'\n"
    )
    exit_code, errors = run_code(code, tmp_path, tmp_path, REPO)
    assert exit_code == 0 and "Traceback" not in errors, errors


HIDE = """
import sys
class Hidden:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] == "recbole" else self.finder.find_spec(name, *rest)
sys.meta_path[:] = [Hidden(finder) for finder in sys.meta_path]
"""


def test_without_recbole_it_says_how_to_install_it(python, tmp_path):
    (tmp_path / "front" / "sitecustomize.py").write_text(HIDE)
    done = python(str(REPO / "run_kd.py"), "--model=MKD", "--dataset=ml-100k")
    assert done.returncode == 2
    assert compat.INSTALL in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


# ---- downloads


def zipped(name="far"):
    """A zip file as RecBole's server keeps them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        rows = "".join(f"\nu{user}\ti{item}" for user in range(5) for item in range(10))
        archive.writestr(f"{name}.inter", f"user_id:token\titem_id:token{rows}\n")
    return stream.getvalue()


class Server(http.server.BaseHTTPRequestHandler):
    """Answers whatever is asked with ``status``, ``content`` and the length that ``claims`` says."""

    status, content, claims = 200, b"", None

    def do_GET(self):
        self.send_response(self.status)
        if self.claims is not None:
            self.send_header("Content-Length", str(self.claims))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *args):
        pass


@pytest.fixture
def answering(monkeypatch):
    """A function that makes RecBole ask a server of our own for the dataset ``far``."""
    servers = []

    def start(content=b"", status=200, claims=None):
        kind = type("Answer", (Server,), {"content": content, "status": status, "claims": claims})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        asks(monkeypatch, server.server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def asks(monkeypatch, port):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Dataset, "_get_download_url", lambda *args, **kwargs: f"http://127.0.0.1:{port}/far.zip")


@pytest.fixture
def fetch(keys, tmp_path):
    """A function that loads the dataset ``far``, which is not there."""
    return lambda: create_dataset(Config("BPR", "far", config_dict={**keys, "data_path": str(tmp_path / "data")}))


def refused(fetch, tmp_path, kind=ConnectionError, name="far"):
    with pytest.raises(kind) as caught:
        fetch()
    sentence = str(caught.value)
    assert sentence.isprintable() and f"'{name}'" in sentence and str(tmp_path / "data" / name) in sentence
    assert not (tmp_path / "data" / name).exists()
    return sentence


def test_a_dataset_is_downloaded_in_a_single_process(answering, fetch, tmp_path):
    content = zipped()
    answering(content, claims=len(content))
    dataset = fetch()
    assert (dataset.user_num, dataset.item_num, len(dataset)) == (6, 11, 50)
    assert [path.name for path in (tmp_path / "data" / "far").iterdir()] == ["far.inter"]


def test_a_dataset_under_another_name_is_renamed(answering, monkeypatch, keys, tmp_path):
    content = zipped()
    answering(content, claims=len(content))
    create_dataset(Config("BPR", "near", config_dict={**keys, "data_path": str(tmp_path)}))
    assert (tmp_path / "near" / "near.inter").is_file()


ANSWERS = {
    "rubbish": {"content": b"<html>nothing here</html>", "claims": 25},
    "half a zip file": {"content": zipped()[:150], "claims": 150},
    "less than it claims": {"content": zipped()[:150], "claims": len(zipped())},
    "nothing": {"claims": 0},
    "no length": {"content": zipped()},
    "not found": {"status": 404, "claims": 0},
    "an error": {"status": 500, "claims": 0},
    "a length that is none": {"content": b"x", "claims": "many"},
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_answers_wrongly_leaves_nothing_behind(answering, fetch, tmp_path, answer):
    answering(**ANSWERS[answer])
    refused(fetch, tmp_path)


def test_a_server_that_is_not_there_ends_in_a_sentence(monkeypatch, fetch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        asks(monkeypatch, free.getsockname()[1])  # bound, but nobody listens
        refused(fetch, tmp_path)


def test_a_server_that_never_answers_ends_in_a_sentence(monkeypatch, fetch, tmp_path):
    monkeypatch.setattr(compat, "DOWNLOAD_TIMEOUT", 0.2)
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asks(monkeypatch, silent.getsockname()[1])
        refused(fetch, tmp_path)
    assert socket.getdefaulttimeout() == before


def test_a_dataset_that_nobody_knows_ends_in_a_sentence(keys, tmp_path):
    config = Config("BPR", "no-such", config_dict={**keys, "data_path": str(tmp_path / "data")})
    sentence = refused(lambda: create_dataset(config), tmp_path, FileNotFoundError, "no-such")
    assert "no-such.inter" in sentence and "data_path" in sentence
    with pytest.raises(KDError, match=re.escape(str(tmp_path / "data" / "no-such"))):
        prepare_split(config)


def test_a_download_that_is_interrupted_leaves_nothing_behind(answering, fetch, tmp_path, monkeypatch):
    content = zipped()
    answering(content, claims=len(content))

    def extract(path, folder):
        (Path(folder) / "far.inter").write_text("user_id:token\titem_id:token\nu0\ti")  # the first half
        raise KeyboardInterrupt

    monkeypatch.setattr("recbole.data.dataset.dataset.extract_zip", extract)
    with pytest.raises(KeyboardInterrupt):
        fetch()
    assert not (tmp_path / "data" / "far").exists()


def test_a_folder_that_was_there_is_never_removed(fetch, tmp_path):
    (tmp_path / "data" / "far").mkdir(parents=True)
    (tmp_path / "data" / "far" / "notes").write_text("mine")
    with pytest.raises(ValueError, match=r"far\.inter"):
        fetch()
    assert (tmp_path / "data" / "far" / "notes").read_text() == "mine"
