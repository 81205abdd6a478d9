"""Rules of the house that fail the build: sizes, imports, docstrings, leftovers, links."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("journal", "handlers", "replay", "feeds", "engine", "config")
SHIPPED = ("disruptor", *FOLDERS, "bench", "examples")
SKIPPED = {"__pycache__", "build", "dist", "out", ".coverage"}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".cfg", ".txt", ".sh", ""}
#: The one module that may take a compiling decorator from numba.
COMPILER = "disruptor/jit.py"
DECORATORS = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "jit_module"}
#: Modules through which a handler could see a clock, a file or chance.
IMPURE = {
    "asyncio",
    "datetime",
    "io",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70


def files() -> Iterator[Path]:
    """Every text file of the project; caches, hidden folders (but .ci) and linked folders are left out."""
    for folder, names, found in os.walk(ROOT):
        names[:] = [
            n
            for n in names
            if n == ".ci" or not (n.startswith(".") or n in SKIPPED or n.endswith(".egg-info"))
            if not Path(folder, n).is_symlink()
        ]
        kept = (Path(folder, n) for n in sorted(found) if n not in SKIPPED)
        yield from (path for path in kept if path.suffix in TEXT)


def sources() -> list[Path]:
    """The Python files that ship, tests excluded."""
    return [p for p in files() if p.suffix == ".py" and name(p).split("/")[0] in SHIPPED]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return _span(node) - (_span(first) if docstring else 0)


def _span(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def compiled_by_numba(tree: ast.AST) -> set[str]:
    """Names of numba's compiling decorators that a module takes, by import or as an attribute."""
    taken: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
            taken |= {alias.name for alias in node.names} & DECORATORS
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("numba", "nb")
        ):
            taken |= {node.attr} & DECORATORS
    return taken


def impure_uses(tree: ast.AST) -> set[str]:
    """Clocks, files and chance that a module could reach."""
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used |= {alias.name.split(".")[0] for alias in node.names} & IMPURE
        elif isinstance(node, ast.ImportFrom):
            used |= {(node.module or "").split(".")[0]} & IMPURE
        elif isinstance(node, ast.Attribute) and node.attr == "random":
            used.add("numpy.random")
    return used


def test_there_is_something_to_check() -> None:
    assert len(sources()) > 10
    assert {"Makefile", ".ci/run", "pyproject.toml", "tests/test_tidy.py"} <= {name(p) for p in files()}


def test_nobody_else_compiles() -> None:
    offenders = {name(p): t for p in sources() if (t := compiled_by_numba(ast.parse(p.read_text())))}
    offenders.pop(COMPILER, None)
    assert not offenders, f"take `jit` from {COMPILER} instead"


@pytest.mark.parametrize("source", ["from numba import njit", "import numba\nf = numba.jit(print)"])
def test_the_check_sees_a_second_compiler(source: str) -> None:
    assert compiled_by_numba(ast.parse(source))


def test_files_are_of_readable_size() -> None:
    sizes = {name(p): len(p.read_text().splitlines()) for p in sources()}
    assert not {n: lines for n, lines in sizes.items() if lines > MAX_FILE_LINES}, "which noun is missing?"


def test_functions_are_of_readable_size() -> None:
    long = {
        f"{name(p)}:{node.lineno} {node.name}": code_lines(node)
        for p in sources()
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and code_lines(node) > MAX_FUNCTION_LINES
    }
    assert not long


def test_modules_open_with_a_docstring() -> None:
    assert not [name(p) for p in sources() if not ast.get_docstring(ast.parse(p.read_text()))]


def test_handlers_have_no_clock_no_files_no_chance() -> None:
    folder = ROOT / "handlers"
    assert not {name(p): u for p in folder.rglob("*.py") if (u := impure_uses(ast.parse(p.read_text())))}
    assert impure_uses(ast.parse("from time import time\nimport numpy as np\nnp.random.seed(1)")) == {
        "time",
        "numpy.random",
    }


def test_nothing_names_a_machine_or_leaves_a_note() -> None:
    # Put together here, so that this file does not contain what it looks for.
    needles = ["/" + "work/", "/" + "root/", "TO" + "DO", "FIX" + "ME"]
    found = {f"{name(p)}: {n}" for p in files() for n in needles if n in p.read_text(errors="replace")}
    assert not found


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_is_linked_into_the_package(folder: str) -> None:
    link = ROOT / "disruptor" / folder
    assert link.is_symlink()
    assert os.readlink(link) == f"../{folder}"
    assert (link / "__init__.py").is_file()
