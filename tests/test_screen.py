"""What a run shows: its phases, one bar a training, the evaluations that improved; RecBole's whole log if wanted."""

import io
import logging

import pytest
from recbole.utils.logger import set_color

from recbole_kd.experiment import make_config
from recbole_kd.screen import ScreenHandler, show_for_a_person

LINES = [
    "training the student alone, in plain RecBole: BPR",
    set_color("[Training]: ", "pink") + "train_batch_size = [2048]",
    set_color("epoch 0 training", "green") + " [" + set_color("time", "blue") + ": 2.25s, train loss: 27.7]",
    set_color("epoch 0 evaluating", "green") + " [time: 0.22s, " + set_color("valid_score", "blue") + ": 0.017900]",
    set_color("valid result", "blue") + ": \nrecall@10 : 0.0295",
    set_color("Saving current", "blue") + ": saved/alone/BPR.pth",
    set_color("epoch 1 training", "green") + " [" + set_color("time", "blue") + ": 2.25s, train loss: 27.7]",
    set_color("epoch 1 evaluating", "green") + " [time: 0.22s, " + set_color("valid_score", "blue") + ": 0.012300]",
    "the distilled student is in saved/BPR.pth",
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(lines, stream, shows_bars=False, level=logging.INFO):
    handler = ScreenHandler(40, "mrr@10", shows_bars)
    handler.stream = stream
    for line in lines:
        handler.emit(logging.makeLogRecord({"msg": line, "levelno": level, "levelname": "INFO"}))
    handler.close()
    return stream.getvalue()


def test_phases_and_improvements_are_shown():
    assert shown(LINES, io.StringIO()).splitlines() == [
        "training the student alone, in plain RecBole: BPR",
        "  epoch 0: mrr@10 0.0179 on validation",
        "the distilled student is in saved/BPR.pth",
    ]


def test_a_bar_counts_the_epochs_of_a_training_and_leaves():
    text = shown(LINES, Terminal(), shows_bars=True)
    assert "1/40" in text and "2/40" in text
    assert text.rstrip("\n").rsplit("\n", 1)[-1].endswith("the distilled student is in saved/BPR.pth")


def test_a_warning_is_shown_whatever_it_says():
    text = shown(["valid result of another kind"], io.StringIO(), level=logging.WARNING)
    assert text == "valid result of another kind\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_recboles_handler_is_replaced_unless_the_run_is_verbose(settings, verbose):
    import colorlog

    logger, handler, other = logging.Logger("run"), logging.StreamHandler(), logging.StreamHandler()
    handler.setFormatter(colorlog.ColoredFormatter("%(message)s"))
    logger.handlers = [other, handler]
    config = make_config("RRD", config_dict={**settings, "verbose": verbose})
    show_for_a_person(logger, config)
    first, second = logger.handlers
    assert first is other and (second is handler) == verbose
    if not verbose:
        assert isinstance(second, ScreenHandler) and second.formatter is handler.formatter
        assert (second.epochs, second.metric) == (config["epochs"], "mrr@10")
