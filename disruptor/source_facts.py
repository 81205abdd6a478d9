"""What identities need to know of a source file, remembered by the file's content.

Parsing a hundred files takes a second, which every start would pay. So the facts of a file (what it imports, its
functions as normalised text, its registered overloads) are kept on disk under the hash of its bytes: an edit is another
file. A store that can't be read or written costs time, never correctness.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import os
import pickle
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FORMAT = 1
_STORE_NAME = "source_facts.pickle"
_MOST_FILES = 2000
_REGISTERING = {"overload", "intrinsic", "lower_constant", "overload_method", "overload_attribute"}


@dataclass(frozen=True)
class FunctionFacts:
    """One function or lambda: its name, normalised text, and the names its decorators use."""

    name: str
    text: str
    decorators: tuple[str, ...]


@dataclass(frozen=True)
class ImportFacts:
    """One import: relative level, module ("" for none), imported names (none for `import module`)."""

    level: int
    module: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class SourceFacts:
    """Facts of one file.

    digest : SHA-256 of its bytes
    imports : what is imported when the module is
    functions : by first line, decorators included
    registered : names and texts of functions that register code with numba
    """

    digest: bytes
    imports: tuple[ImportFacts, ...]
    functions: dict[int, tuple[FunctionFacts, ...]]
    registered: tuple[tuple[str, str], ...]


class _Store:
    """Facts by content hash: in memory, and in one file in the folder of compiled code."""

    def __init__(self) -> None:
        #: Where facts are kept; `disruptor.compile_cache` sets it to its folder. None: in memory only.
        self.find_folder: Callable[[], Path] | None = None
        self._facts: dict[bytes, SourceFacts] = {}
        self._loaded = False
        self._grown = False

    def get(self, content: bytes) -> SourceFacts:
        """Facts of a file with this content."""
        self._load()
        digest = hashlib.sha256(content).digest()
        if digest not in self._facts:
            self._facts[digest] = _analyse(content, digest)
            self._grown = True
        return self._facts[digest]

    def _load(self) -> None:
        if self._loaded or self.find_folder is None:
            return
        self._loaded = True
        try:
            with open(self.find_folder() / _STORE_NAME, "rb") as file:
                version, facts = pickle.load(file)
            if version == (_FORMAT, ast_version()):
                self._facts = {**facts, **self._facts}
        except Exception:  # a damaged pickle raises almost anything, and costs only time
            self._grown = True

    def save(self) -> None:
        """Write what was learnt, by rename; failing to is no error."""
        if not self._grown or self.find_folder is None:
            return
        folder = self.find_folder()
        kept = dict(list(self._facts.items())[-_MOST_FILES:])
        try:
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{_STORE_NAME}.")
            with os.fdopen(handle, "wb") as file:
                pickle.dump(((_FORMAT, ast_version()), kept), file, pickle.HIGHEST_PROTOCOL)
            os.replace(temporary, folder / _STORE_NAME)
            self._grown = False
        except OSError:
            return


STORE = _Store()


def ast_version() -> str:
    """Facts depend on how this Python writes syntax back as text, and on this file."""
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return f"{platform.python_version()} {own}"


def facts_of(path: str) -> SourceFacts | None:
    """Facts of a Python source file; None where there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return _facts_at(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=2048)
def _facts_at(path: str, _mtime_ns: int, _size: int) -> SourceFacts | None:
    try:
        return STORE.get(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _analyse(content: bytes, digest: bytes) -> SourceFacts:
    tree = ast.parse(content)
    imports: list[ImportFacts] = []
    functions: dict[int, list[FunctionFacts]] = {}
    registered: list[tuple[str, str]] = []
    for node in _imports_at_start(tree):
        if isinstance(node, ast.Import):
            imports += [ImportFacts(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append(ImportFacts(node.level, node.module or "", tuple(a.name for a in node.names)))
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            decorators = getattr(node, "decorator_list", [])
            facts = FunctionFacts(getattr(node, "name", "<lambda>"), syntax_text(node), _names_in(decorators))
            functions.setdefault(min([node.lineno, *(d.lineno for d in decorators)]), []).append(facts)
            if isinstance(node, ast.FunctionDef) and any(_registers(d) for d in decorators):
                registered.append((node.name, facts.text))
    return SourceFacts(
        digest, tuple(imports), {line: tuple(found) for line, found in functions.items()}, tuple(registered)
    )


def _imports_at_start(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when the module is imported, nested blocks included.

    Imports inside functions and for type checkers only are left out: whether those modules are loaded differs from one
    run to the next, and compiled code can't come from them but as values, which are hashed as such.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _imports_at_start(node)


def _names_in(decorators: list[ast.expr]) -> tuple[str, ...]:
    return tuple(sorted({n.id for d in decorators for n in ast.walk(d) if isinstance(n, ast.Name)}))


def _registers(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return name in _REGISTERING


def syntax_text(node: ast.AST) -> str:
    """Syntax without comments, positions and docstrings."""
    bare = copy.deepcopy(node)
    for inner in ast.walk(bare):
        if isinstance(inner, ast.FunctionDef) and ast.get_docstring(inner, clean=False) is not None:
            inner.body = inner.body[1:] or [ast.Pass()]
    return ast.unparse(bare)
