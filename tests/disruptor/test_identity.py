"""Identities: what must change the cache key, what must change the semantic identity, and what must not.

A package is written to a folder, imported, and asked for both; a file is edited and it is imported afresh:

    entry.py ──► middle.py ──► far.py          entry.on_tick calls middle.scaled, which uses far.FACTOR
        └──► registered.py                     an @overload, and a decorator that is handed an emitter
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from disruptor import identity

FILES = {
    "entry.py": '''
import probed.names.deep
from disruptor.jit import jit
from probed.middle import TABLE, make, pick, scaled
from probed import registered

add = make(3)
sub = make(4)
double, triple = lambda x: x * 2, lambda x: x * 3


@jit
def on_tick(state, event, out):
    """Does one thing."""
    # A comment.
    chosen = pick[0](event) + double(event) + triple(event) + TABLE[0]
    wide = registered.widened(event)
    return scaled(event) + add(event) + sub(event) + wide + probed.names.deep.lift(chosen)
''',
    "middle.py": """
from probed.far import FACTOR, SHIFTS
import numpy as np

TABLE = np.array([1, 2, 3])


def scaled(x, by=7) -> int:
    return x * FACTOR + by


def shifted(x):
    return x + SHIFTS["one"]


pick = (shifted,)


def make(n):
    def added(x):
        return x + n

    return added
""",
    "far.py": "FACTOR = 10\nSHIFTS = {'one': 1}\n\n\ndef unrelated():\n    return 1\n",
    "registered.py": """
from numba.extending import overload
from probed.hidden import LIMIT
from probed_rules import RULES


def _emit_one(builder):
    return 1


def lowered(emitter):
    def register(function):
        return function

    return register


@lowered(_emit_one)
def widened(x):
    return clamp(x)


def clamp(x):
    return x


@overload(clamp)
def _clamp(x):
    step = RULES.step
    return lambda x: min(x, LIMIT) + step
""",
    "hidden.py": "LIMIT = 5\n",
    "../probed_rules.py": "from types import SimpleNamespace\n\nRULES = SimpleNamespace(step=3)\n",
    "names/__init__.py": "",
    "names/deep.py": "from probed.names.deepest import OFFSET\n\n\ndef lift(x):\n    return x + OFFSET\n",
    "names/deepest.py": "OFFSET = 2\n",
    "unreached.py": "VALUE = 1\n",
    "__init__.py": "",
}


class Package:
    """The files above in a folder; `identities` imports them afresh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "probed"
        for name, text in FILES.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))
        # A time of its own, for edits that keep the length within one tick of the clock.
        stamp = path.stat().st_mtime_ns + 1_000_000_000
        os.utime(path, ns=(stamp, stamp))

    def closure(self) -> identity.Closure:
        forget()
        importlib.invalidate_caches()
        return identity.close([importlib.import_module("probed.entry").on_tick])

    def identities(self) -> tuple[str, str]:
        """Cache key and semantic identity."""
        closure = self.closure()
        return identity.cache_key(closure), identity.semantic_identity(closure)


def forget() -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] in ("probed", "probed_rules")]:
        del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Package(tmp_path)
    forget()


MEANING = {
    "handler": ("entry.py", "x * 2", "x * 5"),
    "second lambda of a line": ("entry.py", "x * 3", "x * 5"),
    "argument of a factory": ("entry.py", "sub = make(4)", "sub = make(5)"),
    "helper one import away": ("middle.py", "x * FACTOR + by", "x * FACTOR - by"),
    "default": ("middle.py", "by=7", "by=8"),
    "array": ("middle.py", "[1, 2, 3]", "[1, 2, 4]"),
    "function in a tuple": ("middle.py", 'x + SHIFTS["one"]', 'x - SHIFTS["one"]'),
    "closure": ("middle.py", "return x + n", "return x - n"),
    "constant two imports away": ("far.py", "FACTOR = 10", "FACTOR = 11"),
    "dict two imports away": ("far.py", "'one': 1", "'one': 2"),
    "body of an overload": ("registered.py", "min(x, LIMIT)", "max(x, LIMIT)"),
    "constant that only an overload names": ("hidden.py", "LIMIT = 5", "LIMIT = 6"),
    "emitter handed to a decorator": ("registered.py", "return 1", "return 2"),
    "module in a package by attribute": ("names/deep.py", "x + OFFSET", "x - OFFSET"),
    "constant behind that": ("names/deepest.py", "OFFSET = 2", "OFFSET = 3"),
}
WORDING = {
    "comment": ("entry.py", "# A comment.", "# Another comment, of another length."),
    "docstring": ("entry.py", '"""Does one thing."""', '"""Does the same thing."""'),
    "no docstring": ("entry.py", '    """Does one thing."""\n', ""),
    "new docstring over an annotation": ("middle.py", "-> int:\n", '-> int:\n    """Scales."""\n'),
    "layout": ("middle.py", "x * FACTOR + by", "(x\n            * FACTOR + by)"),
    "blank lines": ("middle.py", "import numpy as np\n", "import numpy as np\n\n\n\n"),
    "function that nobody calls": ("far.py", "return 1", "return 2"),
}


@pytest.mark.parametrize("edit", MEANING.values(), ids=MEANING)
def test_edit_of_meaning_changes_both_identities(package: Package, edit: tuple[str, str, str]) -> None:
    key, meaning = package.identities()
    package.edit(*edit)
    new_key, new_meaning = package.identities()
    assert new_key != key, "a stale module would be found"
    assert new_meaning != meaning, "a replay would not notice"


@pytest.mark.parametrize("edit", WORDING.values(), ids=WORDING)
def test_edit_of_wording_changes_the_cache_key_alone(package: Package, edit: tuple[str, str, str]) -> None:
    key, meaning = package.identities()
    package.edit(*edit)
    new_key, new_meaning = package.identities()
    assert new_key != key
    assert new_meaning == meaning


@pytest.mark.parametrize("edit", MEANING.values(), ids=MEANING)
def test_code_that_was_imported_before_an_edit_has_a_key_of_its_own(
    package: Package, edit: tuple[str, str, str]
) -> None:
    """Else what a long run compiles at its end would be found by the next one under the edited file's key."""
    loaded = package.closure()
    package.edit(*edit)
    late = identity.cache_key(loaded)
    assert late != package.identities()[0]


def test_object_of_a_foreign_class_counts_by_the_file_it_is_imported_from(package: Package) -> None:
    """It has no value that could be hashed, and nothing in the namespace says where it came from."""
    key = package.identities()[0]
    package.edit("../probed_rules.py", "step=3", "step=4")
    assert package.identities()[0] != key


def test_nothing_changes_without_an_edit(package: Package) -> None:
    before = package.identities()
    package.edit("unreached.py", "VALUE = 1", "VALUE = 2")
    assert package.identities() == before


def test_extra_parts_enter_both(package: Package) -> None:
    closure = package.closure()
    for hashed in (identity.cache_key, identity.semantic_identity):
        assert (
            len(
                {hashed(closure), hashed(closure, ["a"]), hashed(closure, ["b"]), hashed(closure, ["a", "b"])}
            )
            == 4
        )


def test_closure_names_what_is_reached_and_not_what_is_only_there(package: Package) -> None:
    functions = package.closure().functions
    own = {name.removeprefix("probed.") for name in functions if name.startswith("probed.")}
    assert own == {
        "entry.on_tick",
        "entry.<lambda>",
        "entry.<lambda>#2",
        "middle.scaled",
        "middle.shifted",
        "middle.make.<locals>.added",
        "middle.make.<locals>.added#2",
        "names.deep.lift",
        "registered._clamp",
        "registered._emit_one",
        "registered.clamp",
        "registered.lowered",
        "registered.widened",
    }


def test_users_file_of_a_standard_librarys_name_is_still_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "this", raising=False)
    (tmp_path / "this.py").write_text("def step(state, event, out):\n    return 1\n")
    step = importlib.import_module("this").step
    assert list(identity.close([step]).functions) == ["this.step"]
    monkeypatch.delitem(sys.modules, "this")


def test_library_that_is_imported_but_not_reached_stays_out(package: Package) -> None:
    package.edit("hidden.py", "LIMIT = 5\n", "import hypothesis\nimport pytest\n\nLIMIT = 5\n")
    closure = package.closure()
    names = identity._import_closure(closure.modules.values())
    assert "probed.hidden" in names
    assert {name.partition(".")[0] for name in names} == {"probed", "probed_rules", "disruptor"}


def portable_text(folder: Path, load: Callable[[str], Any]) -> str:
    """Semantic identity of two users' files in a folder."""
    folder.mkdir()
    (folder / "a.py").write_text("def step(x):\n    return x + 1\n")
    (folder / "b.py").write_text("def step(x):\n    return x - 1\n")
    return identity.semantic_identity(
        identity.close([load(str(folder / "a.py")).step, load(str(folder / "b.py")).step])
    )


def test_where_users_files_lie_is_not_semantic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several folders, because names that hash a path are in order by chance every other time."""
    from disruptor.codegen import load_user_module

    monkeypatch.setattr(sys, "path", [*sys.path])
    assert len({portable_text(tmp_path / f"folder{k}", load_user_module) for k in range(6)}) == 1


ASK = """
from disruptor.handler_set import HandlerSet
from disruptor.handlers import opportunities, swaps, tracking
found = HandlerSet([*tracking.TRACKING, *swaps.SWAPS, *opportunities.opportunity_handlers("block")])
print(found.semantic_identity(["setting a=1"]))
"""


@pytest.mark.slow
def test_built_in_handlers_are_the_same_with_the_jit_on_and_off() -> None:
    found = []
    for off in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": off}
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        found.append(done.stdout.strip())
    assert len(found[0]) == 64 and found[0] == found[1]


def test_the_key_does_not_depend_on_what_else_of_a_package_is_loaded(tmp_path, monkeypatch):
    package = tmp_path / "roomy_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("FACTOR = 3\n")
    (package / "other.py").write_text("UNUSED = 1\n")
    (package / "kernel.py").write_text(
        "from roomy_package import helper\n\ndef scaled(x):\n    return x * helper.FACTOR\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    kernel = importlib.import_module("roomy_package.kernel")
    before = identity.cache_key(identity.close([kernel.scaled]), [])
    importlib.import_module("roomy_package.other")
    assert identity.cache_key(identity.close([kernel.scaled]), []) == before
