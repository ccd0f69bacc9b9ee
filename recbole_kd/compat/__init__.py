"""What RecBole 1.2.1 needs to start and run on today's numpy, scipy, pandas and torch.

The only package that changes RecBole. Each mend first checks whether it is needed, and names the RecBole issue in which
users report the fault. ``mend`` runs once, from ``recbole_kd/__init__.py``, before anything else of RecBole is
imported; ``mend_loading`` follows when the safe checkpoint reader is imported.
"""

import codecs
import contextlib
import functools
import importlib
import importlib.util
import shutil
import socket
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recbole_kd.compat.case_study import mend_case_study
from recbole_kd.compat.dataloaders import mend_saved_loaders
from recbole_kd.compat.hyper_tuning import mend_hyper_tuning
from recbole_kd.compat.kgat import mend_kgat
from recbole_kd.compat.preload_weight import mend_preload_weight

INSTALL = "pip install --no-deps recbole==1.2.1"
DOWNLOAD_TIMEOUT = 10  # seconds without an answer


def require_recbole() -> None:
    """Raise ImportError, with the command that installs it, where RecBole is not installed."""
    if importlib.util.find_spec("recbole") is None:
        raise ImportError(f"recbole_kd needs RecBole, which is not installed: run `{INSTALL}`")


def mend() -> None:
    """Make ``recbole`` importable and runnable; safe to call again."""
    require_recbole()
    _quiet_deprecations()
    _mend_dok_matrix()
    _mend_config()
    _import_quick_start()
    _mend_download()
    _mend_collector()
    _mend_byte_order_mark()
    mend_case_study()
    mend_hyper_tuning()
    mend_saved_loaders()
    mend_preload_weight()
    mend_kgat()


def mend_loading(load: Callable[..., Any]) -> None:
    """Let RecBole read its own checkpoints again, through a reader that executes nothing (2078, 2174).

    torch 2.6 made ``weights_only=True`` the default of ``torch.load``, which refuses the Config that RecBole pickles
    into every checkpoint.

    Args:
        load: a function ``(file, map_location) -> dict`` in place of ``torch.load``.
    """
    import numpy as np
    import torch

    anomaly = torch.is_anomaly_enabled()
    for late in ("sequential_recommender.s3rec", "context_aware_recommender.kd_dagfm"):  # imported on demand only
        importlib.import_module(f"recbole.model.{late}")
    # sine.py, imported along with s3rec, leaves autograd's anomaly detection on: every step of every model slows down
    torch.autograd.set_detect_anomaly(anomaly)
    proxy = _WithLoad(torch, load)
    for name, module in list(sys.modules.items()):
        if name.startswith(("recbole.trainer", "recbole.model")) and vars(module).get("torch") is torch:
            vars(module)["torch"] = proxy
    # LDiffRec lets numpy unpickle the file of its items' vectors, which a checkpoint can ask for
    ldiffrec = importlib.import_module("recbole.model.general_recommender.ldiffrec")
    vars(ldiffrec)["np"] = _WithLoad(np, lambda file, **_: np.load(file, allow_pickle=False))

    _mend_load_data_and_model(load)


def _mend_load_data_and_model(load: Callable[..., Any]) -> None:
    """RecBole's ``load_data_and_model`` calls ``torch.load`` by a name that it imports inside itself."""
    import recbole.quick_start
    import recbole.quick_start.quick_start as quick_start
    import torch

    stock = quick_start.load_data_and_model
    if hasattr(stock, "__wrapped__"):
        return

    @functools.wraps(stock)
    def load_data_and_model(model_file: str) -> Any:
        # this function imports torch inside itself, so torch.load is replaced while it runs. RecBole may also unpickle
        # its saved loaders then, whose tensors go through torch.load too
        torch_load = torch.load
        torch.load = lambda file, *args, **kwargs: (load if file is model_file else torch_load)(file, *args, **kwargs)
        try:
            return stock(model_file)
        finally:
            torch.load = torch_load

    quick_start.load_data_and_model = load_data_and_model
    recbole.quick_start.load_data_and_model = load_data_and_model


class _WithLoad(types.ModuleType):
    """A module, torch or numpy, with another ``load``."""

    def __init__(self, module: types.ModuleType, load: Callable[..., Any]) -> None:
        super().__init__(module.__name__)
        self.load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules[self.__name__], name)


def _quiet_deprecations() -> None:
    # RecBole's calls, which its users cannot change: a new GradScaler warns once an epoch, pandas once a column
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"recbole\..*")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"recbole\..*")
    warnings.filterwarnings("ignore", message=r".*torch\.cuda\.amp\.GradScaler.*")
    warnings.filterwarnings("ignore", message=r".*pkg_resources is deprecated.*")


def _mend_dok_matrix() -> None:
    """LightGCN, NGCF, NCL, GCMC, SpectralCF, … build their graph by a private method that scipy 1.13 dropped (2155)."""
    from scipy.sparse import dok_matrix

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = lambda self, entries: self._dict.update(entries)


def _mend_config() -> None:
    """RecBole uses names that numpy 1.24 removed; ``Config`` restores them, by names that numpy 2 removed (2187, 2212).

    They are restored here as well: loading a checkpoint constructs no Config.
    """
    import numpy as np

    def compatibility_settings(self: Any = None) -> None:
        aliases = {"bool": np.bool_, "int": np.int_, "float": np.float64, "complex": np.complex128}
        aliases |= {"object": np.object_, "str": np.str_, "long": np.int_, "unicode": np.str_}
        for name, kind in aliases.items():
            if name not in vars(np):
                setattr(np, name, kind)

    compatibility_settings()
    if not hasattr(np, "float_"):
        from recbole.config import Config

        Config.compatibility_settings = compatibility_settings


def _import_quick_start() -> None:
    """``recbole.quick_start`` imports ray, for hyper-tuning alone (2215); ray has no wheel for Python >= 3.12.

    Where ray cannot be imported, a stand-in takes its place during this one import and is removed afterwards.
    """
    if "recbole.quick_start" in sys.modules:
        return
    try:
        importlib.import_module("ray.tune")
    except Exception:  # an old ray fails with ImportError or AttributeError, a broken one with anything
        ray, tune = types.ModuleType("ray"), types.ModuleType("ray.tune")
        vars(tune)["report"] = lambda *args, **kwargs: None
        vars(ray)["tune"] = tune
        present = {name: sys.modules.get(name) for name in ("ray", "ray.tune")}
        sys.modules.update({"ray": ray, "ray.tune": tune})
        try:
            importlib.import_module("recbole.quick_start")
        finally:
            for name, module in present.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module
    else:
        importlib.import_module("recbole.quick_start")


def _mend_download() -> None:
    """``Dataset._download`` ends in a barrier that raises in a single process, after the files are downloaded."""
    from recbole.data.dataset import Dataset

    stock = Dataset._download
    if hasattr(stock, "__wrapped__"):
        return

    @functools.wraps(stock)
    def download(self: Any) -> None:
        import torch

        folder = Path(self.dataset_path)
        try:
            with _socket_timeout(DOWNLOAD_TIMEOUT):
                stock(self)
        except BaseException as error:
            alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
            if alone and "process group" in str(error):
                return
            shutil.rmtree(folder, ignore_errors=True)  # it did not exist before: leave no incomplete files
            if not isinstance(error, Exception):
                raise
            if "a known dataset name" in str(error):
                raise FileNotFoundError(
                    f"dataset '{self.dataset_name}' is not in '{folder}' and is not one that RecBole can download: "
                    f"put {self.dataset_name}.inter into that folder, or set data_path"
                ) from error
            raise ConnectionError(
                f"dataset '{self.dataset_name}' could not be downloaded ({error}): "
                f"put {self.dataset_name}.inter into '{folder}'"
            ) from error

    Dataset._download = download


def _mend_collector() -> None:
    """Metrics of the catalogue (GiniIndex, ItemCoverage, …) raise an error (2194, 2191).

    ``Collector.get_data_struct`` moves everything collected to the CPU, and calls ``cpu`` on plain counts too.
    """
    from recbole.evaluator.collector import Collector

    stock = Collector.get_data_struct
    if hasattr(stock, "__wrapped__"):
        return

    @functools.wraps(stock)
    def get_data_struct(self: Any) -> Any:
        collected = self.data_struct._data_dict
        counts = {name: collected.pop(name) for name in list(collected) if not hasattr(collected[name], "cpu")}
        data_struct = stock(self)
        collected.update(counts)
        data_struct._data_dict.update(counts)
        return data_struct

    Collector.get_data_struct = get_data_struct


def _mend_byte_order_mark() -> None:
    """``Dataset._load_feat`` takes the byte-order mark of a file in UTF-8 for a part of its first column's name.

    RecBole has no issue of it: the message names the column user_id, which is there to be seen.
    """
    from recbole.data.dataset import Dataset

    stock = Dataset._load_feat
    if hasattr(stock, "__wrapped__"):
        return

    @functools.wraps(stock)
    def load_feat(self: Any, filepath: Any, source: Any) -> Any:
        with open(filepath, "rb") as stream:
            has_mark = stream.read(3) == codecs.BOM_UTF8
        settings, encoding = dict(self.config.final_config_dict), self.config["encoding"]
        if not has_mark or str(encoding or "utf-8").lower() not in ("utf-8", "utf8"):
            return stock(self, filepath, source)
        self.config["encoding"] = "utf-8-sig"
        try:
            return stock(self, filepath, source)
        finally:
            self.config.final_config_dict.update(settings)
            if "encoding" not in settings:
                del self.config.final_config_dict["encoding"]

    Dataset._load_feat = load_feat


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
