"""Compiled entry points survive a restart and never an edit: shown by processes over a user's own folder.

Numba's own cache looks at one file only, so an edit two imports away replayed old answers: that is the story
behind `compile_cache`, and the reason for these tests being whole processes.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor import compile_cache, identity
from disruptor.compile_cache import cache_folder, entry, load_generated, prune
from disruptor.errors import DisruptorError
from disruptor.jit import jit

USER = {
    "user_handlers.py": """
from disruptor.emit import emit
from disruptor.handler import handler
from disruptor.message import i64, message
from level_one import scaled

Tick = message("Tick", 1901, {"value": i64})
Tock = message("Tock", 1902, {"value": i64})


@handler(Tick, max_outputs=1)
def on_tick(state, event, out):
    emit(out, Tock)["value"] = scaled(event["value"])
""",
    "level_one.py": """
from disruptor.jit import jit
from level_two import FACTOR, clamp


@jit
def scaled(value):
    return clamp(value * FACTOR) + 1
""",
    "level_two.py": """
from numba.extending import overload
from level_three import LIMIT

FACTOR = 10


def clamp(value):
    return min(value, LIMIT)


@overload(clamp)
def _clamp(value):
    return lambda value: min(value, LIMIT)
""",
    "level_three.py": "LIMIT = 1000\n",
}
RUN = """
import json, sys
from pathlib import Path
import numpy as np
from disruptor import compile_cache
from disruptor.codegen import load_user_module
from disruptor.handler_set import HandlerSet
from disruptor.processor import Processor

user = load_user_module(sys.argv[1])
slots = np.zeros((2, 192), np.uint8)
view = slots.reshape(-1).view(user.Tick.slot_dtype())
view["type_id"], view["value"], view["sequence"] = user.Tick.type_id, [7, 500], [0, 1]
processor = Processor(HandlerSet([user.on_tick]), capacities={})
found = []
def consume(out):
    found.extend(out.reshape(-1).view(user.Tock.slot_dtype())["value"].tolist())
processor.process(slots, 0, 2, consume)
folder = compile_cache.cache_folder()
files = sorted(p.name for p in folder.rglob("*") if p.is_file())
seconds = sum(compile_cache.compile_seconds.values())
print(json.dumps({"values": found, "seconds": seconds, "files": files, "key": processor.key}))
"""


def start(folder: Path) -> dict[str, Any]:
    # Without Python's own cache of bytecode, whose clock ticks in seconds: edits here follow within one.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", RUN, str(folder / "user_handlers.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


EDITS = [
    ("helper one import away", "level_one.py", "+ 1", "+ 2", [72, 1002]),
    ("constant two imports away", "level_two.py", "FACTOR = 10", "FACTOR = 20", [142, 1002]),
    ("body of an overload two imports away", "level_two.py", "value: min(", "value: max(", [1002, 10002]),
    ("constant three imports away", "level_three.py", "1000", "2000", [2002, 10002]),
]


@pytest.mark.slow
@pytest.mark.compiled
def test_every_edit_takes_effect_and_no_edit_compiles_nothing(tmp_path: Path, fresh_cache: Path) -> None:
    for name, text in USER.items():
        (tmp_path / name).write_text(text)
    first, second = start(tmp_path), start(tmp_path)
    assert first["values"] == second["values"] == [71, 1001]
    assert first["seconds"] > 0 and any(name.endswith(".nbi") for name in first["files"])
    assert second["seconds"] == 0 and second["files"] == first["files"] and second["key"] == first["key"]
    keys = {first["key"]}
    for what, name, old, new, values in EDITS:
        path = tmp_path / name
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))
        edited = start(tmp_path)
        assert edited["values"] == values, what
        assert edited["seconds"] > 0 and edited["key"] not in keys, what
        keys.add(edited["key"])


@entry
def add_one(numbers: Any, amount: Any) -> Any:
    """Adds in place."""
    for k in range(len(numbers)):
        numbers[k] += amount
    return len(numbers)


def test_entry_runs_as_the_function_it_wraps() -> None:
    numbers = np.arange(4)
    assert add_one(numbers, 10) == 4 and numbers.tolist() == [10, 11, 12, 13]
    assert (add_one.__name__, add_one.__doc__) == ("add_one", "Adds in place.")


@pytest.mark.compiled
def test_entry_is_compiled_once_for_its_types() -> None:
    numbers = np.arange(4)
    add_one(numbers, 1)
    seconds = dict(compile_cache.compile_seconds)
    told: list[str] = []
    compile_cache.on_compile.append(told.append)
    try:
        add_one(numbers, 2)
    finally:
        compile_cache.on_compile.remove(told.append)
    assert compile_cache.compile_seconds == seconds and told == []


@pytest.fixture
def forgotten() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("forgotten")
def test_generated_module_is_written_once_and_imported_once(fresh_cache: Path) -> None:
    module = load_generated("probe", "k1", "VALUE = 1\n")
    assert module.VALUE == 1 and load_generated("probe", "k1", "VALUE = 1\n") is module
    assert load_generated("probe", "k2", "VALUE = 2\n").VALUE == 2
    assert sorted(p.name for p in fresh_cache.glob("*.py")) == [
        "disruptor_probe_k1.py",
        "disruptor_probe_k2.py",
    ]


@pytest.mark.usefixtures("forgotten")
def test_damaged_file_of_a_key_is_written_anew(fresh_cache: Path) -> None:
    (fresh_cache / "disruptor_probe_k3.py").write_text("VALUE = 'half a fi")
    assert load_generated("probe", "k3", "VALUE = 3\n").VALUE == 3


@pytest.mark.usefixtures("forgotten")
def test_module_that_fails_to_import_is_not_kept(fresh_cache: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        load_generated("probe", "k4", "1 / 0\n")
    assert "disruptor_probe_k4" not in sys.modules


def test_prune_keeps_the_newest_with_their_compiled_files(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    for k in range(5):
        for path in (
            tmp_path / f"disruptor_loop_{k}.py",
            tmp_path / "__pycache__" / f"disruptor_loop_{k}.loop.nbi",
        ):
            path.write_text("")
            os.utime(path, (1000 + k, 1000 + k))
    (tmp_path / "unrelated.py").write_text("")
    prune(tmp_path, keep=2)
    left = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    kept = [f"disruptor_loop_{k}" for k in (3, 4)]
    assert left == sorted([*(f"{k}.py" for k in kept), *(f"{k}.loop.nbi" for k in kept), "unrelated.py"])


def test_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISRUPTOR_CACHE", str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b" and (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("DISRUPTOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "disruptor"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "disruptor"


def test_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DISRUPTOR_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(DisruptorError, match="set DISRUPTOR_CACHE to one that you can write"):
        cache_folder()


def test_environment_tells_versions_and_cpu_apart() -> None:
    words = [line.split()[0] for line in identity.environment()]
    assert {"python", "numba", "numpy", "llvmlite", "cpu", "boundscheck"} <= set(words)
    assert identity.environment() == identity.environment()


@pytest.mark.compiled
def test_kernels_themselves_are_never_cached_on_disk() -> None:
    """Only generated modules are: numba would not see an edit of what a kernel calls."""
    assert type(jit(lambda x: x)._cache).__name__ == "NullCache"
    modules = [
        m for n, m in sys.modules.items() if n.startswith("disruptor.") and isinstance(m, types.ModuleType)
    ]
    importlib.import_module("disruptor.handlers.tracking")
    cached = [
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if type(getattr(value, "_cache", None)).__name__ == "FunctionCache"
    ]
    assert not cached


@pytest.mark.compiled
def test_threads_that_first_call_a_kernel_at_once_all_get_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISRUPTOR_CACHE", str(tmp_path))
    (tmp_path / "twice.py").write_text(
        "from disruptor.compile_cache import entry\n\n\n@entry\ndef twice(a):\n    return a * 2\n"
    )
    kernel = compile_cache.import_file("twice_of_threads", tmp_path / "twice.py").twice
    together = threading.Barrier(4)

    def call(value: int) -> int:
        together.wait()
        return int(kernel(value))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(4))) == [0, 2, 4, 6]
