import io
import logging
import sys
from pathlib import Path

import pytest

from socl_pipeline.pipeline import progress as module
from socl_pipeline.pipeline.progress import Progress, format_seconds, logging_to


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0:00:00"),
        (59.6, "0:01:00"),
        (3661, "1:01:01"),
        (90000, "25:00:00"),
        (float("inf"), "?"),
    ],
)
def test_format_seconds(seconds, expected):
    assert format_seconds(seconds) == expected


def test_lines_are_sparse_and_tell_rate_and_time_left(clock, caplog):
    with caplog.at_level(logging.INFO), Progress("stage", 100, "frames", done=20) as progress:
        assert caplog.messages == ["stage: 20 of 100 frames done"]
        for _ in range(10):
            clock[0] += 2
            progress.advance(2)
        assert len(caplog.messages) == 1
        clock[0] += 20
        progress.advance(20, "loss 1.5")
        assert caplog.messages[1] == "stage: 60 of 100 frames, 1/s, 0:00:40 left, loss 1.5"
        clock[0] += 5
        progress.advance(5)
        assert len(caplog.messages) == 2
    assert caplog.messages[2].startswith("stage: 65 of 100 frames")


def test_nothing_done_has_no_time_left(clock, caplog):
    with caplog.at_level(logging.INFO), Progress("stage", 5, "frames", done=3):
        clock[0] += 50
    assert caplog.messages[-1] == "stage: 3 of 5 frames, 0/s, ? left"


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress("stage", 4, "frames", done=1) as progress:
        progress.advance(3, "note")
    assert "stage" in screen.getvalue() and "4/4" in screen.getvalue()


def test_lines_go_to_the_log_file(tmp_path, capsys):
    log = tmp_path / "logs/a.log"
    logger = logging.getLogger("socl_pipeline.test")
    with logging_to(log):
        logger.info("hello")
        logger.debug("detail")
    logger.info("afterwards")
    assert log.read_text().splitlines()[0].endswith("INFO hello")
    assert len(log.read_text().splitlines()) == 1
    assert "hello" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_log_file_does_not_hide_the_error(capsys):
    with pytest.raises(ZeroDivisionError), logging_to(Path("/dev/full")):
        logging.getLogger("socl_pipeline.test").info("hello")
        raise ZeroDivisionError
    assert capsys.readouterr().err == "hello\n"
