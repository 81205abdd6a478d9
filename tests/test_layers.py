"""Which folder may import which, read from the syntax of every file.

The linter's contracts say the same from the other side; the last test holds them against this table.
"""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Folder -> the folders of ours that it may import besides itself. "core" is `disruptor/` without its links.
LAYERS: dict[str, set[str]] = {
    "core": set(),
    "journal": {"core"},
    "handlers": {"core"},
    "config": {"core"},
    "feeds": {"core", "handlers"},
    "replay": {"core", "journal", "handlers", "feeds"},
    "engine": {"core", "journal", "handlers", "feeds", "replay", "config"},
}
#: What the core and the handlers may import from outside. llvmlite is numba's own, for intrinsics; hugepages
#: knows the pools of pages.
CORE_PACKAGES = {"numpy", "numba", "llvmlite", "hugepages"}
HANDLER_PACKAGES = {"numpy", "numba", "llvmlite"}


def modules(folder: str) -> list[Path]:
    """The Python files of one folder; the core's links to the other folders are left out."""
    start = ROOT / ("disruptor" if folder == "core" else folder)
    return [path for path in sorted(start.rglob("*.py")) if folder != "core" or path.parent == start]


def imported(source: str) -> set[str]:
    """Dotted names that a source imports: `from a.b import c` counts as a.b and as a.b.c."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def folder_of(name: str) -> str | None:
    """The folder of ours that a dotted name lies in, or None for others' modules."""
    head, *rest = name.split(".")
    if head != "disruptor":
        return None
    return rest[0] if rest and rest[0] in LAYERS else "core"


def forbidden(folder: str, source: str) -> set[str]:
    """Imports in `source` that the table does not allow to a module of `folder`."""
    allowed = LAYERS[folder] | {folder}
    return {name for name in imported(source) if (folder_of(name) or folder) not in allowed}


@pytest.mark.parametrize("folder", LAYERS)
def test_folder_imports_only_what_the_table_allows(folder: str) -> None:
    found = modules(folder)
    assert found, f"{folder} has no modules"
    broken = {
        str(path.relative_to(ROOT)): names for path in found if (names := forbidden(folder, path.read_text()))
    }
    assert not broken


def test_the_check_sees_each_form_of_import() -> None:
    assert forbidden("journal", "import disruptor.feeds.columns") == {"disruptor.feeds.columns"}
    assert "disruptor.engine" in forbidden("core", "def late():\n    from disruptor import engine")
    assert (
        forbidden("feeds", "from disruptor.handlers.messages import HASH\nfrom disruptor.jit import jit")
        == set()
    )


@pytest.mark.parametrize(("folder", "packages"), [("core", CORE_PACKAGES), ("handlers", HANDLER_PACKAGES)])
def test_mechanics_and_handlers_know_few_packages(folder: str, packages: set[str]) -> None:
    known = packages | set(sys.stdlib_module_names) | {"disruptor"}
    for path in modules(folder):
        strangers = {name.split(".")[0] for name in imported(path.read_text())} - known
        assert not strangers, path.relative_to(ROOT)


def test_linter_contracts_say_the_same() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    contracts = {}
    for section in parser.sections():
        if section.startswith("importlinter:contract:"):
            (protected,) = parser[section]["protected_modules"].split()
            contracts[protected] = set(parser[section]["allowed_importers"].split())
    expected = {
        f"disruptor.{folder}": {f"disruptor.{other}" for other, may in LAYERS.items() if folder in may}
        for folder in LAYERS
        if folder != "core"
    }
    assert contracts == expected
