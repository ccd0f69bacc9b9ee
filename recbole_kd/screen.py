"""What a run shows while it trains: phases, one bar a training, and the evaluations that improved.

RecBole's log file holds everything. Its handler for the screen is replaced by one that leaves out the whole
configuration, each epoch's losses, and evaluations that did not improve. ``verbose=True`` keeps RecBole's.
"""

import logging
import re
import sys
from typing import Any

from recbole.config import Config
from recbole.data.dataset import Dataset
from tqdm import tqdm

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
TRAINED = re.compile(r"epoch (\d+) training ")
EVALUATED = re.compile(r"epoch (\d+) evaluating .*valid_score: (-?[\d.]+|nan|inf)")
SAVED = "Saving current"
LEFT_OUT = ("valid result", "[Training]", "[Evaluation]", "The running environment", "  ")


class ScreenHandler(logging.StreamHandler):
    """RecBole's log for a person.

    Args:
        epochs: the most epochs that a training has.
        metric: the name of the validation metric.
        shows_bars: whether a bar shows the epochs of each training, with the time left if it takes all of them.
    """

    def __init__(self, epochs: int, metric: str, shows_bars: bool) -> None:
        super().__init__()
        self.epochs, self.metric, self.shows_bars = epochs, metric, shows_bars
        self.bar: Any = None
        self.evaluated = ("0", "")

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, or what it means, or nothing."""
        if isinstance(record.msg, (Config, Dataset)):
            return
        text = COLOURS.sub("", str(record.msg))
        if record.levelno > logging.INFO:
            self._show(record)
        elif trained := TRAINED.match(text):
            self._advance(int(trained[1]))
        elif evaluated := EVALUATED.match(text):
            self.evaluated = evaluated[1], evaluated[2]
        elif text.startswith(SAVED):
            epoch, score = self.evaluated
            self._show(record, f"  epoch {epoch}: {self.metric} {float(score or 'nan'):.4f} on validation")
        elif not text.startswith(LEFT_OUT):
            self._end_bar()
            self._show(record)

    def close(self) -> None:
        """As of logging.Handler."""
        self._end_bar()
        super().close()

    def _show(self, record: logging.LogRecord, text: str | None = None) -> None:
        if self.bar is not None:
            self.bar.clear()
        # a copy: other handlers get the record too
        super().emit(record if text is None else logging.makeLogRecord({**vars(record), "msg": text, "args": ()}))
        if self.bar is not None:
            self.bar.refresh()

    def _advance(self, epoch: int) -> None:
        if not self.shows_bars:
            return
        if self.bar is None:
            options: dict[str, Any] = {
                "unit": "epoch",
                "leave": False,
                "file": self.stream,
                "ncols": 80,
                "mininterval": 0,
            }
            self.bar = tqdm(total=self.epochs, initial=epoch, **options)
        self.bar.update(epoch + 1 - self.bar.n)

    def _end_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def show_for_a_person(logger: logging.Logger, config: Config) -> None:
    """Replace RecBole's handler for the screen, unless ``verbose`` keeps it. Handlers of other programs stay.

    Args:
        logger: the logger that RecBole's ``init_logger`` has set up.
        config: the run's Config.
    """
    for number, handler in enumerate(logger.handlers):
        # one of an earlier run in the same process, or RecBole's, which alone has colours by level
        is_recboles = type(handler) is logging.StreamHandler and hasattr(handler.formatter, "log_colors")
        if isinstance(handler, ScreenHandler) or (is_recboles and not config["verbose"]):
            shows_bars = bool(config["show_progress"]) and sys.stderr.isatty()
            screen = ScreenHandler(int(config["epochs"]), str(config["valid_metric"]).lower(), shows_bars)
            screen.setLevel(handler.level)
            screen.setFormatter(handler.formatter)
            logger.handlers[number] = screen
            handler.close()
