"""What code a handler set really is: the closure of everything its handlers reach, hashed twice.

*Cache key*: bytes of every file in the closure, values of every constant, flags and versions. Over-approximates on
purpose: a needless compile costs seconds, a stale one replays old answers (numba's own cache ignores edits in
imported modules). *Semantic identity*: syntax trees of the functions reached, without comments, docstrings and
positions, and the constants; it goes into journals and reports, so that reformatting a file changes nothing.

A function reaches what its code names: globals, closure cells, defaults, attributes of modules. `@overload` and
`@intrinsic` bodies are not named by their users, so every one in a reached module counts as reached.
"""

from __future__ import annotations

import ast
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

#: Libraries that enter the key by version instead of by file.
LIBRARIES = ("numba", "numpy", "llvmlite")
_REGISTERING = {"overload", "intrinsic", "lower_constant", "overload_method", "overload_attribute"}


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
        value = getattr(value, "py_func", None) or getattr(value, "function", None)
    return None


def close(roots: Iterable[Any]) -> Closure:
    """Walk from `roots` (functions, dispatchers, handlers) over everything their code names."""
    closure = Closure()
    pending = [f for f in map(python_function, roots) if f is not None]
    while pending:
        function = pending.pop()
        name = f"{function.__module__}.{function.__qualname__}"
        if name in closure.functions or _library(function.__module__):
            continue
        closure.functions[name] = function
        module = sys.modules.get(function.__module__)
        if module is not None:
            pending.extend(_enter_module(module, closure))
        for where, value in _named_values(function):
            _take(f"{name}:{where}", value, closure, pending)
    return closure


def _take(where: str, value: Any, closure: Closure, pending: list[types.FunctionType]) -> None:
    function = python_function(value)
    if function is not None:
        pending.append(function)
    elif isinstance(value, MessageType):
        closure.messages[value.name] = value
        closure.constants[where] = f"message {value.schema_hash:016x}"
    elif isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        closure.constants[where] = f"namedtuple {value.__qualname__}{value._fields}"
    else:
        text = _constant_text(value)
        if text is not None:
            closure.constants[where] = text


def _constant_text(value: Any) -> str | None:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.dtype.str} {value.shape} {digest}"
    if isinstance(value, (bool, int, float, complex, str, bytes, np.generic, np.dtype, FieldType, type(None))):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, (tuple, frozenset)):
        parts = [_constant_text(v) for v in (value if isinstance(value, tuple) else sorted(value, key=repr))]
        return f"{type(value).__name__} {parts}"
    return None


def _named_values(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    scope = function.__globals__
    names = set(_names(function.__code__))
    for name in sorted(names & scope.keys()):
        value = scope[name]
        if isinstance(value, types.ModuleType):
            if not _library(value.__name__):
                for attribute in sorted(names & vars(value).keys()):
                    yield f"{name}.{attribute}", getattr(value, attribute)
        else:
            yield name, value
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f"closure {name}", cell.cell_contents
    for i, value in enumerate(function.__defaults__ or ()):
        yield f"default {i}", value


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
    path = getattr(module, "__file__", None)
    if not path or not path.endswith(".py"):
        return []
    found = []
    for node in _file_syntax(path, _stamp(path)).body:
        if isinstance(node, ast.FunctionDef) and any(_registers(d) for d in node.decorator_list):
            value = python_function(vars(module).get(node.name))
            if value is not None:
                found.append(value)
            closure.constants[f"{module.__name__}.{node.name} (registered)"] = _syntax_text(node)
    return found


def _registers(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return name in _REGISTERING


def _library(name: str) -> bool:
    root = name.partition(".")[0]
    return root in LIBRARIES or root in sys.stdlib_module_names


def _stamp(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=512)
def _file_syntax(path: str, stamp: tuple[int, int]) -> ast.Module:
    return ast.parse(Path(path).read_bytes())


@functools.lru_cache(maxsize=512)
def _function_index(path: str, stamp: tuple[int, int]) -> dict[int, str]:
    """First line (of decorators too) of each function in a file -> its normalised syntax."""
    index: dict[int, str] = {}
    for node in ast.walk(_file_syntax(path, stamp)):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            decorators = getattr(node, "decorator_list", [])
            index[min([node.lineno, *(d.lineno for d in decorators)])] = _syntax_text(node)
    return index


def _syntax_text(node: ast.AST) -> str:
    """Syntax without positions and docstrings, the same on every Python version."""
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
        node = ast.FunctionDef(
            name=node.name,
            args=node.args,
            body=node.body[1:] or [ast.Pass()],
            decorator_list=node.decorator_list,
            returns=None,
            type_params=[],
        )
        ast.fix_missing_locations(node)
    return ast.unparse(node)


def semantic_identity(closure: Closure, extra: Iterable[str] = ()) -> str:
    """Hex SHA-256 over the syntax of all functions reached, the constants, and `extra` (schemas, settings)."""
    digest = hashlib.sha256(b"disruptor semantic identity 1")
    for name, function in sorted(closure.functions.items()):
        path = function.__code__.co_filename
        text = None
        if Path(path).is_file():
            text = _function_index(path, _stamp(path)).get(function.__code__.co_firstlineno)
        digest.update(f"\0F{_portable(name)}\0{text or _code_text(function.__code__)}".encode())
    for name, text in sorted(closure.constants.items()):
        digest.update(f"\0C{_portable(name)}\0{text}".encode())
    for item in extra:
        digest.update(f"\0X{item}".encode())
    return digest.hexdigest()


def _portable(name: str) -> str:
    """A user's file is loaded under a name that hashes its bytes; that part is not semantic."""
    head, _, tail = name.partition(".")
    return f"user.{tail}" if head.startswith("disruptor_user_") else name


def _code_text(code: types.CodeType) -> str:
    """For functions without a source file (made by exec): their bytecode."""
    return f"{code.co_code.hex()} {code.co_names} {[c for c in code.co_consts if not isinstance(c, types.CodeType)]}"


def cache_key(closure: Closure, extra: Iterable[str] = ()) -> str:
    """Hex key of a compiled module: file bytes of the import closure, constants, versions, CPU and `extra`."""
    digest = hashlib.sha256(b"disruptor cache key 1")
    for name in sorted(_import_closure(closure.modules.values())):
        path = getattr(sys.modules[name], "__file__", None)
        if path and Path(path).is_file():
            digest.update(f"\0M{name}\0".encode() + hashlib.sha256(Path(path).read_bytes()).digest())
    for name, text in sorted(closure.constants.items()):
        digest.update(f"\0C{name}\0{text}".encode())
    for item in (*environment(), *extra):
        digest.update(f"\0E{item}".encode())
    return digest.hexdigest()[:32]


def _import_closure(roots: Iterable[types.ModuleType]) -> set[str]:
    """Names of all modules that the roots' namespaces lead to, libraries and packages' own `__init__` apart."""
    seen: set[str] = set()
    pending = [m.__name__ for m in roots]
    while pending:
        name = pending.pop()
        module = sys.modules.get(name)
        if module is None or name in seen or _library(name):
            continue
        seen.add(name)
        for value in list(vars(module).values()):
            if isinstance(value, types.ModuleType):
                pending.append(value.__name__)
            else:
                owner = getattr(value, "__module__", None)
                if isinstance(owner, str):
                    pending.append(owner)
    return seen


@functools.lru_cache(maxsize=1)
def environment() -> tuple[str, ...]:
    """Versions and CPU that compiled code depends on. Recorded and warned about, never part of the semantic identity."""
    from llvmlite import binding

    return (
        f"python {platform.python_version()} {sysconfig.get_config_var('SOABI')}",
        f"numba {numba.__version__}",
        f"numpy {np.__version__}",
        f"llvmlite {llvmlite.__version__}",
        f"cpu {binding.get_host_cpu_name()}",
        f"boundscheck {numba.config.BOUNDSCHECK}",
        f"opt {numba.config.OPT}",
    )
