"""RecBole without recbole_kd, in a process that shows whether a checkpoint loads there."""

import subprocess
import sys
from pathlib import Path

# the first statements restore what RecBole 1.2.1 needs of older numpy and scipy
_SCRIPT = """
import os, sys, torch, numpy as np, scipy.sparse as sp
[setattr(np, n, getattr(np, n, t)) for n, t in
    (("float_", np.float64), ("complex_", np.complex128), ("unicode_", np.str_))]
if not hasattr(sp.dok_matrix, "_update"):
    sp.dok_matrix._update = lambda s, d: s._dict.update(d)
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, init_seed
for file in sys.stdin:
    try:
        file = file.strip()
        os.chdir(os.path.dirname(file))
        c = torch.load(file, weights_only=False)
        config = c["config"]
        init_seed(config["seed"], True)
        data = data_preparation(config, create_dataset(config))
        model = get_model(config["model"])(config, data[0]._dataset)
        model.load_state_dict(c["state_dict"])
        assert not [m for m in sys.modules if m.startswith("recbole_kd")]
        answer = "loaded"
    except Exception as error:
        answer = repr(error)
    print("answer:", answer.replace("\\n", " "), flush=True)
"""


class PlainRecBoleProcess:
    """A process that imports RecBole and not recbole_kd. It serves any number of requests: the imports take seconds."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd="/",
        )

    def load(self, file: Path | str) -> str:
        """Load a checkpoint into the RecBole model that it names.

        Args:
            file: path of the checkpoint, absolute.

        Returns:
            ``loaded``, or the error as text.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        print(file, file=self._process.stdin, flush=True)
        return next((line[8:].strip() for line in self._process.stdout if line.startswith("answer: ")), "no answer")

    def close(self) -> None:
        """End the process. It holds nothing to be saved, and an orderly exit takes seconds."""
        self._process.kill()
        self._process.communicate()
