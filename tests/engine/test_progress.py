"""Progress shows on a terminal and does not exist elsewhere."""

from __future__ import annotations

import io
import sys

from disruptor.engine.progress import progress_on_stderr
from disruptor.replay.request import ProgressUpdate


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_there_is_no_progress(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_on_stderr("replay") as progress:
        assert progress is None
    assert screen.getvalue() == ""


def test_a_terminal_sees_title_and_rate_and_gets_its_line_back(monkeypatch):
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress_on_stderr("replay") as progress:
        progress(ProgressUpdate(50, 100, "bytes", 1234))
    shown = screen.getvalue()
    assert "replay" in shown
    assert "1,234 events" in shown
    assert "50%" in shown
    assert shown.endswith("\x1b[2K")
