"""Whether a teacher may teach here: the same vocabulary and filters, and none of this run's held-out pairs seen."""

import itertools
import logging
from collections.abc import Mapping

import numpy as np
from recbole.utils.argument_list import dataset_arguments

from recbole_kd.config import KDError, plain_config, sentence
from recbole_kd.config.keys import model_keys
from recbole_kd.teacher import parts

FILTERS = (
    "val_interval", "user_inter_num_interval", "item_inter_num_interval", "filter_inter_by_user_or_item",
    "rm_dup_inter",
)  # fmt: skip
SPLIT = tuple(dict.fromkeys(("eval_args", "seed", "reproducibility", *FILTERS, *dataset_arguments)))


def check_teacher(content, config, data, file):
    """Refuse a teacher that is not comparable with this run, or warn under ``teacher_check: warn``.

    Args:
        content: the teacher's checkpoint as read_checkpoint gives it.
        config: this run's Config.
        data: this run's Split.
        file: the checkpoint's name, for the sentence.

    Raises:
        KDError: with the number of held-out pairs that the teacher was trained on, and the key that differs.
    """
    fault = _fault(content, config, data)
    if fault is None:
        return
    if config["teacher_check"] == "warn":
        logging.getLogger().warning(f"the teacher '{file}' is taken although it {fault}")
        return
    raise KDError(f"the teacher '{file}' {fault}; teacher_check=warn takes it all the same")


def check_file(config, file):
    """Refuse a file of scores, which cannot tell what it is from, unless ``teacher_check: warn``. Raises KDError."""
    text = f"'{file}' does not say what it was trained on, and may have seen the test part"
    if config["teacher_check"] != "warn":
        raise KDError(f"the teacher {text}; teacher_check=warn takes it all the same")
    logging.getLogger().warning(f"the teacher {text}")


def check_states(last, earlier, files):
    """Refuse checkpoints of a trajectory that are not of one training, or not in its order.

    Args:
        last, earlier: checkpoints as read_checkpoint gives them: the teacher's, and those before it.
        files: their names, the teacher's last.

    Raises:
        KDError: with the first file that does not fit.
    """
    contents = [*earlier, last]
    for content, file in zip(earlier, files, strict=False):
        theirs, own = content["config"], last["config"]
        other = [key for key in (*model_keys(own["model"]), "model", "dataset", "learning_rate", *SPLIT)
                 if not _equal(_normal(key, theirs.get(key)), _normal(key, own.get(key)))]  # fmt: skip
        if not _same_data(content, last):
            other = ["data", *other]
        if other:
            raise KDError(f"the state '{file}' is of another training than '{files[-1]}': its {other[0]} differs")
    epochs = [content.get("epoch") for content in contents]
    for file, epoch in zip(files, epochs, strict=True):
        if earlier and (not isinstance(epoch, int) or isinstance(epoch, bool)):
            raise KDError(f"'{file}' does not say of which epoch it is, so that the order of the states is unknown")
    for place, (before, after) in enumerate(itertools.pairwise(epochs)):
        if before >= after:
            raise KDError(
                f"the states are out of order: '{files[place]}' is of epoch {before}, "
                f"'{files[place + 1]}' of epoch {after}"
            )


def _same_data(content, other):
    """False where both say which pairs they were trained on, and these are not the same."""
    said = [one.get("fingerprint") for one in (content, other)]
    return said[0] == said[1] or not all(isinstance(one, Mapping) for one in said)


def _fault(content, config, data):
    theirs = content["config"]
    if theirs.get("dataset") != config["dataset"]:
        return f"was trained on the dataset '{theirs.get('dataset')}', here it is '{config['dataset']}'"
    if _matches(content.get("fingerprint"), data.fingerprint):
        return None
    different = [key for key in SPLIT if not _equal(_normal(key, theirs.get(key)), _normal(key, config[key]))]
    if config["benchmark_filename"] and theirs.get("benchmark_filename") == config["benchmark_filename"]:
        different = []  # RecBole neither filters nor draws then
    keys = ", ".join(f"{key} {_short(theirs.get(key))}, here {_short(config[key])}" for key in different)
    filters = [key for key in different if key in FILTERS]
    try:
        other = _rebuild(theirs, config)
    except Exception as error:  # its settings are what somebody wrote: anything of RecBole's may fail over them
        return f"cannot be checked, because its split cannot be made again ({sentence(error)})"
    written = content.get("fingerprint")
    if isinstance(written, Mapping) and written.get("train") != other.fingerprint.train:
        return "cannot be checked, because the dataset's files are not those that it was trained on"
    if any(not np.array_equal(mine, its) for mine, its in zip(data.tokens, other.tokens, strict=True)):
        return f"has another vocabulary: {_vocabulary(data, other)}" + (f" ({keys})" if keys else "")
    seen = {name: int(np.isin(data.pairs[name], other.pairs["train"]).sum()) for name in ("test", "valid")}
    for name, count in seen.items():
        if count:
            total = len(data.pairs[name])
            kind = "test" if name == "test" else "validation"
            return f"was trained on {count:,} of this run's {total:,} {kind} pairs" + (f": {keys}" if keys else "")
    chosen = int(np.isin(data.pairs["test"], other.pairs["valid"]).sum())
    if chosen:
        its = f"{chosen:,} of this run's {len(data.pairs['test']):,} test pairs"
        return f"was chosen, by early stopping, on {its}" + (f": {keys}" if keys else "")
    if filters:
        return f"was trained under another filter: {keys}"
    return None


def _matches(written, fingerprint):
    """Whether one of our own checkpoints was trained on this very split."""
    if not isinstance(written, Mapping) or set(written) != set(vars(fingerprint)):
        return False
    return parts.Fingerprint(**written) == fingerprint


def _rebuild(theirs, config):
    """The split that the teacher was trained on, made again from the config in its file, from this run's files."""
    again = plain_config(config)
    again.final_config_dict = {**again.final_config_dict}
    for key in (*SPLIT, "model", "MODEL_TYPE", "MODEL_INPUT_TYPE", "train_neg_sample_args", "repeatable"):
        if key in theirs:
            again.final_config_dict[key] = theirs[key]
    for key in ("valid_neg_sample_args", "test_neg_sample_args"):
        again.final_config_dict[key] = theirs.get(key, config[key])
    # a mask says nothing of the split, and a teacher's own evaluation may be of a kind that has none
    for key in ("dataset_save_path", "dataloaders_save_path", "save_dataset", "save_dataloaders", "eval_mask"):
        again.final_config_dict[key] = None
    return parts.split(again)


def _equal(one, other):
    if not isinstance(one, (dict, list, str, int, float)):
        return one is other
    return type(one) is type(other) and bool(one == other)


def _normal(key, value):
    if isinstance(value, str):
        value = value.replace(" ", "")
    if key.endswith("_num_interval") and value in (None, "[0,inf)"):
        return None
    if key == "eval_args" and isinstance(value, Mapping):
        return {name: inner for name, inner in value.items() if name != "mode"}
    return value


def _short(value):
    return "unset" if value is None else str(value)


def _vocabulary(data, other):
    sizes = [(len(split.tokens[0]) - 1, len(split.tokens[1]) - 1) for split in (other, data)]
    return (
        f"{sizes[0][0]:,} users and {sizes[0][1]:,} items, here {sizes[1][0]:,} and {sizes[1][1]:,}"
        if (sizes[0] != sizes[1])
        else "the same size, other tokens or another order"
    )
