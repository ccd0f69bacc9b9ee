"""The leak guard: a teacher that has seen a held-out pair of this run is refused."""

import itertools
from collections.abc import Mapping

import numpy as np
from recbole.utils.argument_list import dataset_arguments

from recbole_kd.config.configurator import plain_config
from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.data.fingerprint import Fingerprint
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError, error_sentence

FILTER_KEYS = (
    "val_interval", "user_inter_num_interval", "item_inter_num_interval", "filter_inter_by_user_or_item",
    "rm_dup_inter",
)  # fmt: skip
SPLIT_KEYS = tuple(dict.fromkeys(("eval_args", "seed", "reproducibility", *FILTER_KEYS, *dataset_arguments)))


def check_teacher(content, config, data, file):
    """Refuse a teacher that is not comparable with this run, or warn under ``teacher_check: warn``.

    Args:
        content: the teacher's checkpoint as read_checkpoint gives it.
        config: this run's Config.
        data: this run's Split.
        file: the checkpoint's name, for the sentence.

    Raises:
        KDError: with the number of held-out pairs that the teacher was trained on, and the key that differs.

    Returns:
        The warning, which goes into the result as well; None where there is nothing to warn of.
    """
    fault, fits = find_incompatibility(content, config, data)
    if fault is None:
        return None
    if fits and config["teacher_check"] == "warn":
        return f"the teacher '{file}' is taken although it {fault}"
    would = "; teacher_check=warn takes it all the same" if fits else ""
    raise KDError(f"the teacher '{file}' {fault}{would}")


def check_score_file(config, file):
    """Refuse a file of scores, which cannot tell what it is from, unless ``teacher_check: warn``; returns the warning.

    Raises:
        KDError: there is no such key.
    """
    text = f"'{file}' does not say what it was trained on, and may have seen the test part"
    if config["teacher_check"] != "warn":
        raise KDError(f"the teacher {text}; teacher_check=warn takes it all the same")
    return f"the teacher {text}"


def check_same_split(config, plan, own, data):
    """Refuse a teacher that would be trained on another split, ``own``, than the student's. Raises KDError."""
    if own.fingerprint != data.fingerprint:
        raise KDError(
            f"the teacher {plan.label} would be trained on another split than the student {config['model']}: "
            "leave seed, eval_args and filters out of the blocks 'teacher' and 'student'"
        )


def check_snapshots(last, earlier, files):
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
        other = [key for key in (*model_keys(own["model"]), "model", "dataset", "learning_rate", *SPLIT_KEYS)
                 if not _equal(_normalise(key, theirs.get(key)), _normalise(key, own.get(key)))]  # fmt: skip
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


def find_incompatibility(content, config, data):
    """What speaks against a teacher, or None; and whether it could teach all the same, for a look."""
    theirs = content["config"]
    if theirs.get("dataset") != config["dataset"]:
        return f"was trained on the dataset '{theirs.get('dataset')}', here it is '{config['dataset']}'", False
    if _fingerprint_matches(content.get("fingerprint"), data.fingerprint):
        return None, True
    different = [
        key for key in SPLIT_KEYS if not _equal(_normalise(key, theirs.get(key)), _normalise(key, config[key]))
    ]
    if config["benchmark_filename"] and theirs.get("benchmark_filename") == config["benchmark_filename"]:
        different = []  # RecBole neither filters nor draws then
    keys = ", ".join(f"{key} {_short(theirs.get(key))}, here {_short(config[key])}" for key in different)
    why = f": {keys}" if keys else ""
    filters = [key for key in different if key in FILTER_KEYS]
    try:
        other = _rebuild_split(theirs, config)
    except Exception as error:  # its settings are what somebody wrote: anything of RecBole's may fail over them
        return f"cannot be checked, because its split cannot be made again ({error_sentence(error)})", True
    written = content.get("fingerprint")
    if isinstance(written, Mapping) and written.get("train") != other.fingerprint.train:
        return "cannot be checked, because the dataset's files are not those that it was trained on", True
    if any(not np.array_equal(mine, its) for mine, its in zip(data.tokens, other.tokens, strict=True)):
        fits = all(len(mine) == len(its) for mine, its in zip(data.tokens, other.tokens, strict=True))
        return f"has another vocabulary: {_vocabulary_difference(data, other)}" + (f" ({keys})" if keys else ""), fits
    seen = {name: int(np.isin(data.pairs[name], other.pairs["train"]).sum()) for name in ("test", "valid")}
    for name, count in seen.items():
        if count:
            total = len(data.pairs[name])
            kind = "test" if name == "test" else "validation"
            return f"was trained on {count:,} of this run's {total:,} {kind} pairs{why}", True
    chosen = int(np.isin(data.pairs["test"], other.pairs["valid"]).sum())
    if chosen:
        its = f"{chosen:,} of this run's {len(data.pairs['test']):,} test pairs"
        return f"was chosen, by early stopping, on {its}{why}", True
    if filters:
        return f"was trained under another filter: {keys}", True
    return None, True


def _fingerprint_matches(written, fingerprint):
    """Whether one of our own checkpoints was trained on this very split."""
    if not isinstance(written, Mapping) or set(written) != set(vars(fingerprint)):
        return False
    return Fingerprint(**written) == fingerprint


def _rebuild_split(theirs, config):
    """The split that the teacher was trained on, made again from the config in its file, from this run's files."""
    again = plain_config(config)
    again.final_config_dict = {**again.final_config_dict}
    for key in (*SPLIT_KEYS, "model", "MODEL_TYPE", "MODEL_INPUT_TYPE", "train_neg_sample_args", "repeatable"):
        if key in theirs:
            again.final_config_dict[key] = theirs[key]
    if isinstance(theirs.get("eval_args"), Mapping):  # how it was evaluated says nothing of the split
        again.final_config_dict["eval_args"] = {**theirs["eval_args"], "mode": config["eval_args"]["mode"]}
    # a mask says nothing of the split, and a teacher's own evaluation may be of a kind that has none
    for key in ("dataset_save_path", "dataloaders_save_path", "save_dataset", "save_dataloaders", "eval_mask"):
        again.final_config_dict[key] = None
    return prepare_split(again)


def _equal(one, other):
    if not isinstance(one, (dict, list, str, int, float)):
        return one is other
    return type(one) is type(other) and bool(one == other)


def _normalise(key, value):
    if isinstance(value, str):
        value = value.replace(" ", "")
    if key.endswith("_num_interval") and value in (None, "[0,inf)"):
        return None
    if key == "eval_args" and isinstance(value, Mapping):
        return {name: inner for name, inner in value.items() if name != "mode"}
    return value


def _short(value):
    return "unset" if value is None else str(value)


def _vocabulary_difference(data, other):
    sizes = [(len(split.tokens[0]) - 1, len(split.tokens[1]) - 1) for split in (other, data)]
    return (
        f"{sizes[0][0]:,} users and {sizes[0][1]:,} items, here {sizes[1][0]:,} and {sizes[1][1]:,}"
        if (sizes[0] != sizes[1])
        else "the same size, other tokens or another order"
    )
