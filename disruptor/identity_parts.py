"""A semantic identity by name: a hash for each function, constant, message, table, handler and setting.

The identity itself is one hash, which tells that something is another but not what. Its parts are kept beside it
wherever a run is recorded, so that a later run can say by name what was changed in between.

A constant is named by its module where all functions of the module that name it mean the same, which they do unless it
is a default or lives in a closure: so a table of constants that fifty functions use is one part, not fifty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from disruptor import __version__
from disruptor.identity import Closure, environment, semantic_items

_HEX_DIGITS = 16
ORDER = "order of messages, tables and handlers"


def name_parts(closure: Closure, declared: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parts of a semantic identity.

    Parameters
    ----------
    closure : all code that handlers reach
    declared : (name, text) of what is declared beside it, in order

    Returns
    -------
    Name, such as `function disruptor.handlers.price.ratio`, to 16 hex digits. Two sets of handlers have the same parts
    if they have the same semantic identity, and others if they have another.
    """
    texts: dict[str, list[str]] = {}
    shared = _shared_constants(closure)
    for kind, name, text in semantic_items(closure):
        short = _module_name(name) if kind == "constant" else None
        known = short if short is not None and shared[short] == {text} else name
        texts.setdefault(f"{kind} {known}", []).append(text)
    ordered = list(declared)
    for name, text in ordered:
        texts.setdefault(name, []).append(text)
    parts = {name: _short("\0".join(sorted(set(found)))) for name, found in texts.items()}
    parts[ORDER] = _short("\0".join(name for name, _ in ordered))
    return dict(sorted(parts.items()))


def setting_parts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as parts: their values as text, which is short enough to be shown."""
    return {f"setting {path}": repr(value) for path, value in sorted(settings.items())}


def changes(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is another, one line each: gone, new, or changed; a setting with both of its values.

    >>> changes({"table a": "1", "setting x": "1"}, {"table b": "1", "setting x": "2"})
    ['setting x: 1 when recorded, 2 now', 'table a is gone', 'table b is new']
    """
    lines = []
    for name in sorted({*recorded, *now}):
        before, after = recorded.get(name), now.get(name)
        if before == after:
            continue
        if name.startswith("setting ") and before is not None and after is not None:
            lines.append(f"{name}: {before} when recorded, {after} now")
        else:
            lines.append(f"{name} is {'new' if before is None else 'gone' if after is None else 'another'}")
    return lines


def environment_parts() -> dict[str, str]:
    """What compiled code ran on, by name: versions, compiler options, the CPU and what it can do."""
    from llvmlite import binding

    found = dict(line.split(" ", 1) for line in environment())
    features = binding.get_host_cpu_features()
    on = sorted(name for name in features if features[name])
    return {"disruptor": __version__, **found, "cpu_features": " ".join(on)}


def _shared_constants(closure: Closure) -> dict[str, set[str]]:
    """The texts of each constant by its name in its module."""
    found: dict[str, set[str]] = {}
    for kind, name, text in semantic_items(closure):
        if kind == "constant":
            short = _module_name(name)
            if short is not None:
                found.setdefault(short, set()).add(text)
    return found


def _module_name(where: str) -> str | None:
    """`module.NAME` of a global that a function names (`module.function:NAME`); None for anything else."""
    function, _, name = where.partition(":")
    module = function.partition(".<locals>")[0].rpartition(".")[0]
    if not name or not module or name.startswith(("closure ", "default ")):
        return None
    return f"{module}.{name}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HEX_DIGITS]
