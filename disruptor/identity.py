"""What code a handler set really is: the closure of everything its handlers reach, hashed twice.

*Cache key*: bytes of every file in the closure, values of every constant, flags and versions. Over-approximates on
purpose: a needless compile costs seconds, a stale one replays old answers (numba's own cache ignores edits in
imported modules). *Semantic identity*: syntax trees of the functions reached, without comments, docstrings and
positions, and the constants; it goes into journals and reports, so that reformatting a file changes nothing.

A function reaches what its code names: globals, closure cells, defaults, attributes of modules; and what its
decorators name, because a decorator may be handed the function that emits the machine code. `@overload` and
`@intrinsic` bodies are not named by their users, so every one in a reached module counts as reached. A declaration that
functions are looked up in (a venue) says itself what it reaches: `identity_parts()`, by name.

The cache key's files are found through `import` statements as well as through namespaces: `from sizes import LIMIT`
leaves only a number behind. Installed libraries are followed where code of theirs is reached, and not for being
imported: a handler file may import a plotting library for its own tests.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import platform
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

from disruptor.message import FieldType, MessageType
from disruptor.source_facts import SourceFacts, facts_of

#: Libraries that enter the key by version instead of by file.
LIBRARIES = ("numba", "numpy", "llvmlite")
_STANDARD_LIBRARY = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
_INSTALLED = tuple(sysconfig.get_path(name) for name in ("purelib", "platlib"))


@dataclass
class Closure:
    """Everything reached: functions by qualified name, modules by name, constants by where they were named."""

    functions: dict[str, types.FunctionType] = field(default_factory=dict)
    modules: dict[str, types.ModuleType] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    messages: dict[str, MessageType] = field(default_factory=dict)


def python_function(value: Any) -> types.FunctionType | None:
    """The plain function behind a dispatcher, an entry point or a handler; None for anything else."""
    for _ in range(4):
        if isinstance(value, types.FunctionType):
            return value
        inner = (getattr(value, name, None) for name in ("py_func", "function", "_defn"))
        value = next((v for v in inner if v is not None), None)
    return None


#: What each function names and is decorated by: kept while several closures are made of unchanged code.
Named = dict[types.FunctionType, tuple[list[tuple[str, Any]], list[types.FunctionType]]]


def close(roots: Iterable[Any], known: Named | None = None) -> Closure:
    """Walk from `roots` over everything their code names: functions, dispatchers, handlers, declarations with parts.

    known : filled and used, so that closures made one after the other with the same `known` share what they find
    """
    closure = Closure()
    known = {} if known is None else known
    pending: list[types.FunctionType] = []
    for k, root in enumerate(roots):
        _take(f"root {k}", root, closure, pending)
    seen: set[int] = set()
    while pending:
        function = pending.pop()
        if id(function) in seen or _library(function.__module__):
            continue
        seen.add(id(function))
        name = _free_name(f"{function.__module__}.{function.__qualname__}", closure)
        closure.functions[name] = function
        module = sys.modules.get(function.__module__)
        if module is not None:
            pending.extend(_enter_module(module, closure))
        if function not in known:
            known[function] = list(_named_values(function)), _decorating(function)
        values, decorating = known[function]
        for where, value in values:
            _take(f"{name}:{where}", value, closure, pending)
        pending.extend(decorating)
    return closure


def _free_name(name: str, closure: Closure) -> str:
    """Lambdas, and closures of one factory, share a qualified name: later ones get a number."""
    free, count = name, 1
    while free in closure.functions:
        count += 1
        free = f"{name}#{count}"
    return free


def _decorating(function: types.FunctionType) -> list[types.FunctionType]:
    """The functions that a function's decorators name."""
    facts = facts_of(function.__code__.co_filename)
    if facts is None:
        return []
    found = []
    for described in facts.functions.get(function.__code__.co_firstlineno, ()):
        values = (python_function(function.__globals__.get(name)) for name in described.decorators)
        found += [value for value in values if value is not None]
    return found


def _take(where: str, value: Any, closure: Closure, pending: list[types.FunctionType]) -> None:
    function = python_function(value)
    if function is not None:
        pending.append(function)
    elif callable(getattr(value, "identity_parts", None)):
        for name, part in value.identity_parts().items():
            _take(f"{where}.{name}", part, closure, pending)
    elif isinstance(value, MessageType):
        closure.messages[value.name] = value
        closure.constants[where] = f"message {value.schema_hash:016x}"
    elif isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        closure.constants[where] = f"namedtuple {value.__qualname__}{value._fields}"
    elif isinstance(value, type) and issubclass(value, enum.Enum):
        closure.constants[where] = f"enum {value.__qualname__} {[(m.name, repr(m.value)) for m in value]}"
    elif isinstance(value, (tuple, list)) and any(_constant_text(v) is None for v in value):
        for at, part in enumerate(value):
            _take(f"{where}[{at}]", part, closure, pending)
    else:
        text = _constant_text(value)
        if text is not None:
            closure.constants[where] = text


def _constant_text(value: Any) -> str | None:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.dtype.str} {value.shape} {digest}"
    if isinstance(
        value, (bool, int, float, complex, str, bytes, np.generic, np.dtype, FieldType, type(None))
    ):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, (tuple, list, set, frozenset)):
        parts = [
            _constant_text(v)
            for v in (value if isinstance(value, (tuple, list)) else sorted(value, key=repr))
        ]
        return None if None in parts else f"{type(value).__name__} {parts}"
    if isinstance(value, dict):
        return _constant_text(tuple(value.items()))
    return None


def _named_values(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    scope = function.__globals__
    names = set(_names(function.__code__))
    for name in sorted(names & scope.keys()):
        value = scope[name]
        if isinstance(value, types.ModuleType):
            yield from _module_values(name, value, names)
        else:
            yield name, value
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f"closure {name}", cell.cell_contents
    for i, value in enumerate(function.__defaults__ or ()):
        yield f"default {i}", value
    for name, value in sorted((function.__kwdefaults__ or {}).items()):
        yield f"default {name}", value


def _module_values(prefix: str, module: types.ModuleType, names: set[str]) -> Iterator[tuple[str, Any]]:
    """What of a module (and of modules in it: `package.module.CONSTANT`) the code can mean by these names."""
    pending, seen = [(prefix, module)], {module.__name__}
    while pending:
        where, inner = pending.pop()
        if _library(inner.__name__):
            continue
        for attribute in sorted(names & vars(inner).keys()):
            value = getattr(inner, attribute)
            if not isinstance(value, types.ModuleType):
                yield f"{where}.{attribute}", value
            elif value.__name__ not in seen:
                seen.add(value.__name__)
                pending.append((f"{where}.{attribute}", value))


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _enter_module(module: types.ModuleType, closure: Closure) -> list[types.FunctionType]:
    """Note a module; return its `@overload` and `@intrinsic` bodies that are module functions."""
    if module.__name__ in closure.modules:
        return []
    closure.modules[module.__name__] = module
    facts = _module_facts(module)
    if facts is None:
        return []
    found = []
    for name, text in facts.registered:
        value = python_function(vars(module).get(name))
        if value is not None:
            found.append(value)
        closure.constants[f"{module.__name__}.{name} (registered)"] = text
    return found


def _module_facts(module: types.ModuleType) -> SourceFacts | None:
    path = getattr(module, "__file__", None)
    return facts_of(path) if path and path.endswith(".py") else None


def _library(name: str) -> bool:
    """Whether a module is Python's own or enters by version. A user's file may be called like one of Python's."""
    root = name.partition(".")[0]
    if root in LIBRARIES:
        return True
    path = getattr(sys.modules.get(name), "__file__", None)
    return root in sys.stdlib_module_names and (path is None or path.startswith(_STANDARD_LIBRARY))


def _installed(name: str) -> bool:
    """Whether a module was installed as a distribution, rather than being a user's own file."""
    path = getattr(sys.modules.get(name), "__file__", None) or ""
    return path.startswith(_INSTALLED)


def _source_text(function: types.FunctionType) -> str | None:
    """Normalised syntax of a function; of several on its line those of its name. None where there is no file."""
    code = function.__code__
    facts = facts_of(code.co_filename)
    if facts is None:
        return None
    found = facts.functions.get(code.co_firstlineno, ())
    return "\n".join(f.text for f in found if f.name == code.co_name) or None


def semantic_items(closure: Closure) -> Iterator[tuple[str, str, str]]:
    """All that is semantic of a closure: (`function` or `constant`, portable name, text), in no particular order."""
    for name, function in closure.functions.items():
        yield "function", _portable(name), _source_text(function) or _code_text(function.__code__)
    for name, text in closure.constants.items():
        yield "constant", _portable(name), text


def semantic_identity(closure: Closure, extra: Iterable[str] = ()) -> str:
    """Hex SHA-256 over the syntax of all functions reached, the constants, and `extra` (schemas, settings)."""
    digest = hashlib.sha256(b"disruptor semantic identity 2")
    marks = {"constant": "C", "function": "F"}
    items = ((marks[kind], f"\0{marks[kind]}{name}\0{text}") for kind, name, text in semantic_items(closure))
    # Sorted as text, functions first: a user's file stands under a name that its folder decides.
    for _, item in sorted(items, key=lambda found: (found[0] == "C", found[1])):
        digest.update(item.encode())
    for item in extra:
        digest.update(f"\0X{item}".encode())
    return digest.hexdigest()


def _portable(name: str) -> str:
    """A user's file is loaded under a name that hashes its bytes; that part is not semantic."""
    head, _, tail = name.partition(".")
    return f"user.{tail}" if head.startswith("disruptor_user_") else name


def _code_text(code: types.CodeType) -> str:
    """Bytecode, names and constants, those of inner functions included; the same in every process."""
    return f"{code.co_code.hex()} {code.co_names} {[_stable_text(c) for c in code.co_consts]}"


def _stable_text(constant: Any) -> str:
    if isinstance(constant, types.CodeType):
        return _code_text(constant)
    if isinstance(constant, frozenset):
        return f"frozenset {sorted(map(repr, constant))}"
    return repr(constant)


def cache_key(closure: Closure, extra: Iterable[str] = ()) -> str:
    """Hex key of a compiled module: file bytes of the import closure, code, constants, versions, CPU and `extra`.

    The code is that in memory, which is what gets compiled. With the files' bytes alone, an edit between import and
    first call would keep the old code under the new file's key, for every later process to find.
    """
    digest = hashlib.sha256(b"disruptor cache key 1")
    for name in sorted(_import_closure(closure.modules.values())):
        facts = _module_facts(sys.modules[name])
        path = getattr(sys.modules[name], "__file__", None)
        if facts is not None:
            digest.update(f"\0M{name}\0".encode() + facts.digest)
        elif path and Path(path).is_file():
            digest.update(f"\0M{name}\0".encode() + hashlib.sha256(Path(path).read_bytes()).digest())
    for name, function in sorted(closure.functions.items()):
        digest.update(f"\0F{name}\0{_code_text(function.__code__)}".encode())
    for name, text in sorted(closure.constants.items()):
        digest.update(f"\0C{name}\0{text}".encode())
    for item in (*environment(), *extra):
        digest.update(f"\0E{item}".encode())
    return digest.hexdigest()[:32]


def _import_closure(roots: Iterable[types.ModuleType]) -> set[str]:
    """Names of all modules that the roots' namespaces and imports lead to, libraries apart."""
    seen: set[str] = set()
    pending = [m.__name__ for m in roots]
    reached = {name.partition(".")[0] for name in pending}
    while pending:
        name = pending.pop()
        module = sys.modules.get(name)
        if module is None or name in seen or _library(name):
            continue
        if _installed(name) and name.partition(".")[0] not in reached:
            continue
        seen.add(name)
        pending.extend(_imported(module))
        for attribute, value in list(vars(module).items()):
            if isinstance(value, types.ModuleType) and value.__name__ == f"{name}.{attribute}":
                continue  # a package has an attribute for each submodule that anybody has loaded
            owner = (
                value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
            )
            if isinstance(owner, str):
                pending.append(owner)
    return seen


def _imported(module: types.ModuleType) -> set[str]:
    """Names that the imports a module runs when it is imported can mean as modules."""
    facts = _module_facts(module)
    if facts is None:
        return set()
    package = (module.__package__ or "").split(".")
    found: set[str] = set()
    for fact in facts.imports:
        parents = package[: len(package) + 1 - fact.level] if fact.level else []
        base = ".".join([*parents, *([fact.module] if fact.module else [])])
        found |= {base, *(f"{base}.{name}" for name in fact.names)}
    return found


@functools.lru_cache(maxsize=1)
def environment() -> tuple[str, ...]:
    """Versions and CPU that compiled code depends on. Recorded and warned about, never part of what is semantic."""
    from llvmlite import binding

    config: Any = numba.config
    return (
        f"python {platform.python_version()} {sysconfig.get_config_var('SOABI')}",
        f"numba {numba.__version__}",
        f"numpy {np.__version__}",
        f"llvmlite {llvmlite.__version__}",
        f"cpu {binding.get_host_cpu_name()}",
        f"boundscheck {config.BOUNDSCHECK}",
        f"opt {config.OPT}",
    )
