"""What an import does beside writing the journal, which the tests of digests hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import InputError
from disruptor.replay.importer import import_logs


def test_an_import_is_pinned_as_the_settings_say(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    settings, _ = load_settings(None, [f"cpu_cores=[{core}]"])
    try:
        with pytest.raises(InputError):
            import_logs(
                [str(tmp_path / "absent")],
                str(tmp_path / "journal"),
                pools=[],
                blocks=[],
                sort=False,
                strict=False,
                settings=settings,
            )
        assert os.sched_getaffinity(0) == {core}
    finally:
        os.sched_setaffinity(0, before)
