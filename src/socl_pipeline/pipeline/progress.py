"""Progress of long work: a bar with rate and time left in a terminal, sparse lines elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from socl_pipeline.errors import InputError

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Counts finished units of work; use as a context manager."""

    def __init__(
        self, title: str, total: int, unit: str, done: int = 0, quiet: bool = False
    ) -> None:
        """Start at `done` of `total`; work done earlier does not count for the rate.

        quiet: count, but show nothing: of several processes one is enough.
        """
        self._quiet = quiet
        self.title, self.total, self.unit = title, total, unit
        self.done, self._initial = done, done
        self._start = self._last = time.monotonic()
        self._bar = None

    def __enter__(self) -> "Progress":
        """Show the bar if standard error is a terminal."""
        if self._quiet:
            return self
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=self.total, initial=self.done, unit=f" {self.unit}", desc=self.title
            )
        else:
            logger.info("%s: %d of %d %s done", self.title, self.done, self.total, self.unit)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar, or say how it ended."""
        if self._bar is not None:
            self._bar.close()
        else:
            self._line()

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count `amount` finished units; `note` is shown beside them."""
        self.done += amount
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(amount)
        elif time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
            self._line(note)

    def _line(self, note: str = "") -> None:
        if self._quiet:
            return
        self._last = time.monotonic()
        seconds = max(self._last - self._start, 1e-9)
        rate = (self.done - self._initial) / seconds
        left = (self.total - self.done) / rate if rate > 0 else float("inf")
        logger.info(
            "%s: %d of %d %s, %.3g/s, %s left%s",
            self.title,
            self.done,
            self.total,
            self.unit,
            rate,
            format_seconds(left),
            f", {note}" if note else "",
        )


def format_seconds(seconds: float) -> str:
    """Return a duration as h:mm:ss, or ? if it is not known."""
    if seconds == float("inf"):
        return "?"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class _BarSafeHandler(logging.StreamHandler):
    """Writes log lines above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


class _LogFile(logging.FileHandler):
    """A log file whose disk may be full: its lines are lost then, the run's own error is not."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(log: Path | None, verbose: bool = False, append: bool = False) -> Iterator[None]:
    """Send log lines of this package to standard error, and to a file if one is given.

    append: the file is that of another process, which goes on writing to it.
    """
    package = logging.getLogger("socl_pipeline")
    package.setLevel(logging.DEBUG if verbose else logging.INFO)
    handlers: list[logging.Handler] = [_BarSafeHandler()]
    handlers[0].setFormatter(logging.Formatter("%(message)s"))
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        if not append:
            log.unlink(missing_ok=True)
        handlers.append(_LogFile(log, mode="a"))
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for handler in handlers:
        package.addHandler(handler)
    try:
        yield
    except Exception as error:
        if log is not None:  # the terminal gets it from the command line's own handler
            known = isinstance(error, InputError)
            record = package.makeRecord(
                package.name,
                logging.ERROR,
                __file__,
                0,
                str(error),
                (),
                None if known else sys.exc_info(),
            )
            handlers[-1].handle(record)
        raise
    finally:
        for handler in handlers:
            package.removeHandler(handler)
            handler.close()
