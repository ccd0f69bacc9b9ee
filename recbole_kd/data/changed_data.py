"""Whether a loaded model's dataset still holds the pairs that the model was trained and measured with."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from recbole.config import Config
from recbole.data.dataset import Dataset

from recbole_kd.data.pairs import distinct_pairs, read_tokens
from recbole_kd.data.split import make_fingerprint
from recbole_kd.data.split_settings import PARTS
from recbole_kd.errors import KDError

KEY = "changed_data"  # of the config that load_student returns


def note_changed_data(
    file: str, content: Mapping[str, Any], config: Config, dataset: Dataset, loaders: Sequence[Any]
) -> None:
    """Set ``config["changed_data"]``, and warn, where the data are not those in the checkpoint's fingerprint.

    Args:
        file: the checkpoint, for the message.
        content: the checkpoint, as read_checkpoint gives it.
        config: the model's Config; changed in place.
        dataset: its dataset as it is now.
        loaders: its training, validation and test loaders as they are now.
    """
    config.final_config_dict.pop(KEY, None)  # a checkpoint may hold the key of an earlier load
    written = content.get("fingerprint")
    if not isinstance(written, Mapping):
        return
    pairs = {name: distinct_pairs(loader._dataset) for name, loader in zip(PARTS, loaders, strict=True)}
    current = vars(make_fingerprint(read_tokens(dataset), pairs, loaders[0]._dataset))
    changed = [name for name in PARTS if written.get(name) != current[name]]
    if not changed:
        return
    sentence = (
        f"the dataset '{config['dataset']}' in '{config['data_path']}' has changed since '{file}' was trained: its "
        f"pairs for {', '.join(changed)} are others. The model may have been trained on pairs that are test pairs now: "
        "its metrics on this dataset are not valid, its recommendations are"
    )
    config.final_config_dict[KEY] = sentence
    logging.getLogger().warning(sentence)


def require_unchanged_data(config: Config) -> None:
    """Refuse to measure a model on data other than those it was trained with.

    Raises:
        KDError: ``config["changed_data"]`` is set.
    """
    if config[KEY]:
        raise KDError(f"no metrics are computed: {config[KEY]}; give the folder with the files of the training")
