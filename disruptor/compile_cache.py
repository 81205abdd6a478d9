"""Compiled entry points that survive a restart and never survive an edit.

Numba's disk cache looks only at the file of the cached function, so a handler whose callee was edited in another file
replays the old answer. Here only *generated* modules are cached, and a module's name hashes everything it reaches
(`disruptor.identity.cache_key`): an edit anywhere gives a new name, hence a new compile. Old modules are left for
`prune`. The folder is `$DISRUPTOR_CACHE`, else `$XDG_CACHE_HOME/disruptor`, else `~/.cache/disruptor`.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from disruptor import identity
from disruptor.errors import DisruptorError
from disruptor.jit import JIT_DISABLED, jit, jit_uncounted
from disruptor.source_facts import STORE
from disruptor.whole_program import whole_program

#: Seconds spent compiling in this process, by module; zero for a module that was loaded from the cache.
compile_seconds: dict[str, float] = {}
#: Called with a short text when a compile begins; the command line shows it.
on_compile: list[Callable[[str], None]] = []
_KEPT_MODULES = 256
#: When something was being compiled, on the clock of `time.perf_counter`; threads may overlap.
_intervals: list[tuple[float, float]] = []


def compile_wall(began: float, ended: float) -> float:
    """Seconds between two readings of `time.perf_counter` during which at least one thread was compiling."""
    total, reached = 0.0, began
    for start, stop in sorted(_intervals):
        start, stop = max(start, reached), min(stop, ended)
        if stop > start:
            total += stop - start
            reached = stop
    return total


def cache_folder() -> Path:
    """The folder of compiled modules, created owner-only when missing."""
    root = os.environ.get("DISRUPTOR_CACHE")
    if not root:
        base = os.environ.get("XDG_CACHE_HOME")
        root = str(Path(base) / "disruptor" if base else Path.home() / ".cache" / "disruptor")
    folder = Path(root)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DisruptorError(
            f"{folder}: can't create the folder for compiled code ({error.strerror}); "
            "set DISRUPTOR_CACHE to one that you can write"
        ) from None
    return folder


STORE.find_folder = cache_folder
#: Threads load and compile one after the other: a module is in `sys.modules` before it has been executed.
_loading = threading.RLock()


def load_generated(stem: str, key: str, source: str) -> types.ModuleType:
    """Import the generated module `<stem>_<key>`, writing its file first if this key is new.

    The file appears by rename, so a second process never imports half of it.
    """
    with _loading:
        return _load_generated(f"disruptor_{stem}_{key}", source)


def _load_generated(name: str, source: str) -> types.ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    folder = cache_folder()
    STORE.save()
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text() != source:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
        with os.fdopen(handle, "w") as file:
            file.write(source)
        os.replace(temporary, path)
        prune(folder)
    return import_file(name, path)


def import_file(name: str, path: Path) -> types.ModuleType:
    """Import a file as the module `name`; a failed import leaves no trace."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def prune(folder: Path, keep: int = _KEPT_MODULES) -> None:
    """Delete the compiled files of all but the `keep` newest generated modules."""
    modules = sorted(folder.glob("disruptor_*.py"), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in modules[keep:]:
        for compiled in (folder / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def compiled_for(label: str, dispatcher: Any, *args: Any) -> Callable[..., Any]:
    """The machine-code entry of a cached dispatcher for arguments of these types; notes compile time under `label`.

    The entry skips numba's look-up by argument types, which costs 0.5 ms for tuples of record arrays. The caller
    promises to pass arguments of exactly these types.
    """
    if JIT_DISABLED:
        entry_point: Callable[..., Any] = dispatcher
        return entry_point
    with _loading:
        return _compiled_for(label, dispatcher, *args)


def _compiled_for(label: str, dispatcher: Any, *args: Any) -> Callable[..., Any]:
    began = time.perf_counter()
    signature = tuple(map(_typeof, args))
    hits = sum(dispatcher.stats.cache_hits.values())
    for say in on_compile:
        say(label)
    with whole_program(), warnings.catch_warnings():
        # A record that begins like another may be passed for it: so a helper compiled for one message serves both.
        warnings.filterwarnings("ignore", "(?s).*considered a subtype of")
        dispatcher.compile(signature)
    hit = sum(dispatcher.stats.cache_hits.values()) > hits
    ended = time.perf_counter()
    if not hit:
        _intervals.append((began, ended))
    compile_seconds[label] = compile_seconds.get(label, 0.0) + (0.0 if hit else ended - began)
    compiled: Callable[..., Any] = dispatcher.overloads[signature].entry_point
    return compiled


def _typeof(value: Any) -> Any:
    from numba import typeof

    return typeof(value)


class Entry:
    """A kernel that Python calls; compiled and cached at its first call. Made by `entry`."""

    def __init__(self, function: Callable[..., Any], kernel: Any) -> None:
        self.function = function
        self.kernel = kernel
        self._dispatcher: Any = None
        self._first_call = True
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        """Run the kernel with positional arguments."""
        if JIT_DISABLED:
            return self.function(*args)
        if self._first_call:
            with _loading:
                if self._dispatcher is None:
                    self._dispatcher = self._load()
                if self._first_call:
                    compiled_for(self.function.__qualname__, self._dispatcher, *args)
                    self._first_call = False
        return self._dispatcher(*args)

    def _load(self) -> Any:
        function = self.function
        closure = identity.close([function])
        names = ", ".join(inspect.signature(function).parameters)
        source = (
            f'"""Generated: cached entry of {function.__module__}.{function.__qualname__}."""\n'
            "from numba import njit\n"
            f"from {function.__module__} import {function.__name__} as _entry\n"
            "_kernel = _entry.kernel\n\n\n"
            '@njit(nogil=True, error_model="numpy", fastmath=False, cache=True)\n'
            f"def {function.__name__}({names}):\n"
            f"    return _kernel({names})\n"
        )
        key = identity.cache_key(closure, [source])
        return getattr(load_generated(function.__name__, key, source), function.__name__)


def entry(function: Callable[..., Any]) -> Entry:
    """Make a kernel callable from Python, cached on disk under a key that covers all code it reaches.

    Positional arguments only. Not to be called from other kernels: they call a `@jit` function.

    >>> from disruptor.compile_cache import entry
    """
    return Entry(function, jit(function))


def entry_uncounted(function: Callable[..., Any]) -> Entry:
    """`entry` for a kernel without reference counting: see `disruptor.jit.jit_uncounted`."""
    return Entry(function, jit_uncounted(function))
