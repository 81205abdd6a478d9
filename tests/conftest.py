"""Lanes, caches and folders that the tests share.

The same files run in three lanes, told apart by numba's own switches: `jit`, `bounds` (NUMBA_BOUNDSCHECK=1)
and `nojit` (NUMBA_DISABLE_JIT=1). The cache of compiled modules has to be chosen before anything of ours is
imported, so that is done while this file loads; processes that tests start inherit it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
STREAMS = ROOT / "examples" / "streams"


def _lane() -> str:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "nojit"
    if os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0"):
        return "bounds"
    return "jit"


LANE = _lane()
os.environ.setdefault("DISRUPTOR_CACHE", str(ROOT / ".cache" / "lanes" / LANE))
SEED = int(os.environ.get("DISRUPTOR_TEST_SEED", "1"))

# Plain Python runs a kernel some hundred times slower: that lane looks at fewer examples.
_EXAMPLES = 15 if LANE == "nojit" else 50
settings.register_profile(
    "ci", max_examples=_EXAMPLES, deadline=None, derandomize=True, print_blob=True, database=None
)
settings.register_profile("dev", max_examples=_EXAMPLES, deadline=None, print_blob=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev")
settings.load_profile(PROFILE)


def pytest_configure(config: pytest.Config) -> None:
    """Let numpy's scalars wrap without a warning where they stand in for compiled integers, which do."""
    if LANE == "nojit":
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered:RuntimeWarning")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what a failure needs to be seen again; a header would be lost under `-q`."""
    folder = os.environ.get("DISRUPTOR_DATA", "unset")
    terminalreporter.write_line(
        f"lane: {LANE}, seed: {SEED}, hypothesis profile: {PROFILE}, DISRUPTOR_DATA: {folder}"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the lane without a compiler, skip what only it can show and what is too slow without it."""
    left_out = {
        "nojit": ("compiled", "needs the JIT, which this lane turns off"),
        "bounds": ("own_loop", "compiles a loop for itself; the lane with the plain JIT runs it"),
    }
    if LANE not in left_out:
        return
    mark, reason = left_out[LANE]
    for item in items:
        if item.get_closest_marker(mark):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def lane() -> str:
    """The lane that this run is: `jit`, `bounds` or `nojit`."""
    return LANE


@pytest.fixture(scope="session")
def seed() -> int:
    """Seed of all randomised tests; the header prints it, DISRUPTOR_TEST_SEED sets it."""
    return SEED


@pytest.fixture(scope="session")
def streams() -> Path:
    """The folder of the streams that ship with the project."""
    return STREAMS


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the larger recorded streams; tests that ask for it are skipped where there is none."""
    named = os.environ.get("DISRUPTOR_DATA")
    if not named:
        pytest.skip("DISRUPTOR_DATA is unset: it names the folder with the larger recorded streams")
    folder = (ROOT / named).resolve()
    if not folder.is_dir():
        pytest.fail(f"DISRUPTOR_DATA={named}: {folder} is no folder")
    return folder


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of compiled modules, for processes that a test starts."""
    folder = tmp_path / "compiled"
    folder.mkdir()
    monkeypatch.setenv("DISRUPTOR_CACHE", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def truth() -> list[dict[str, Any]]:
    """The rows of the example stream's truth file, in block order (see examples/streams/README.md)."""
    import json

    import zstandard

    packed = (STREAMS / "uniswap_v2_v3.truth.jsonl.zst").read_bytes()
    return [json.loads(line) for line in zstandard.ZstdDecompressor().decompress(packed).splitlines()]
