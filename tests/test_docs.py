"""The documents say what the code does: messages, settings, options, layers, modules, commands."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from disruptor.config.factories import MAINNET_V2_FEES
from disruptor.config.loader import profile_names
from disruptor.config.schema import Settings, flatten, specs
from disruptor.engine import cli_errors
from disruptor.engine.cli import app
from disruptor.engine.cli_config import value_text
from disruptor.errors import DisruptorError
from disruptor.feeds import pools_file
from disruptor.feeds.encode_state import COUNTER_NAMES
from disruptor.handlers import messages, quoting
from disruptor.handlers.messages import BUILT_IN
from disruptor.message import HEADER_FIELDS
from disruptor.replay.run import ReplayResult

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted(DOCS.rglob("*.md"))]
FOLDERS = ("disruptor", "journal", "handlers", "feeds", "replay", "engine", "config", "bench")
COMMANDS = (
    *("import", "run", "replay", "scan", "quote", "state", "diff", "snapshot", "warmup", "config show"),
    *(f"journal {name}" for name in ("verify", "describe", "stats", "dump")),
    *(
        f"journal {name}"
        for name in ("repair", "prove", "check", "follow", "to-parquet", "from-parquet", "compact", "purge")
    ),
)
#: Options of every command, described once for all.
SHARED = {"--help", "--debug"}


def sections(page: Path, level: int = 2) -> dict[str, str]:
    """Text below each heading of one level, by heading."""
    parts = re.split(rf"(?m)^{'#' * level} (.+)$", page.read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str, first_column: str) -> list[list[str]]:
    """Cells of the first table whose first column has this title; none where there is no such table."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if inside and not cells:
            break
        if inside and not set("".join(cells)) <= {"-"}:
            found.append(cells)
        inside = inside or (bool(cells) and cells[0] == first_column)
    return found


def code(cell: str) -> str:
    assert cell.startswith("`") and cell.endswith("`"), cell
    return cell[1:-1]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def command(name: str) -> Any:
    found: Any = get_command(app)
    for word in name.split():
        found = found.commands[word]
    return found


def options(name: str) -> dict[str, Any]:
    return {p.opts[0]: p for p in command(name).params if p.opts[0].startswith("--")}


def command_lines(page: Path) -> list[list[str]]:
    """Every `disruptor …` line of a page's indented or fenced code, continued lines joined."""
    joined = page.read_text().replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("disruptor ") and "SOURCE" not in line]


# --- messages ---


@pytest.mark.parametrize("message", BUILT_IN, ids=lambda m: m.name)
def test_message_table_is_the_layout(message: Any) -> None:
    section = sections(DOCS / "messages.md", 3)[message.name]
    counted = "counted" if message.counted else "not counted"
    assert f"Type id {message.type_id}, {message.size} bytes, {counted}." in section
    documented = [(int(at), code(name), kind) for at, name, kind, _ in rows(section, "offset")]
    assert documented == [(message.offsets[n], n, kind.name) for n, kind in message.fields.items()]


def test_messages_page_knows_no_other_message() -> None:
    assert set(sections(DOCS / "messages.md", 3)) == {m.name for m in BUILT_IN}


def test_message_header_table_is_the_header() -> None:
    names = {"<i8": "i64", "<u2": "u16", "<u4": "u32"}
    found = [
        (code(name), kind)
        for _, name, kind, _ in rows(sections(DOCS / "messages.md")["Slot header"], "offset")
    ]
    assert found == [(name, names[kind]) for name, kind in HEADER_FIELDS]


def test_message_flags_are_the_codes() -> None:
    found = {
        code(name): int(value) for name, value, *_ in rows(sections(DOCS / "messages.md")["Flags"], "flag")
    }
    assert found == {n: v for n, v in vars(messages).items() if n.startswith("FLAG_")}


# --- settings ---


def test_settings_table_is_the_schema() -> None:
    found = {code(path): (default, changes) for path, default, changes, _ in rows(_all_settings(), "setting")}
    defaults = flatten(Settings())
    expected = {
        path: (value_text(path, defaults[path]) if path in defaults else "", "yes" if spec.semantic else "no")
        for path, spec in specs().items()
    }
    assert found == expected


def test_settings_page_lists_profiles_and_factories() -> None:
    page = DOCS / "settings.md"
    assert sorted(code(name) for name, _ in rows(page.read_text(), "profile")) == profile_names()
    assert {code(f): int(fee) for f, fee in rows(page.read_text(), "factory")} == MAINNET_V2_FEES


def _all_settings() -> str:
    return sections(DOCS / "settings.md")["All settings"]


# --- command line ---


@pytest.mark.parametrize("name", COMMANDS)
def test_option_table_is_the_commands(name: str) -> None:
    section = sections(DOCS / "cli.md")[f"disruptor {name}"]
    found = dict([*code(cell).split(maxsplit=1), ""][:2] for cell, _ in rows(section, "option"))
    known = {o: p for o, p in options(name).items() if o not in SHARED}
    assert set(found) == set(known)
    for option, parameter in known.items():
        assert bool(found[option]) != bool(getattr(parameter, "is_flag", False)), option
        if parameter.metavar:
            assert found[option] == parameter.metavar, option


def test_every_command_is_on_the_page() -> None:
    root = command("")
    names = {
        f"{name} {sub}" if hasattr(found, "commands") else name
        for name, found in root.commands.items()
        for sub in getattr(found, "commands", [""])
    }
    assert names == set(COMMANDS)


def test_exit_codes_are_the_programs() -> None:
    found = {int(n) for n, _ in rows(sections(DOCS / "cli.md")["Exit codes"], "code")}
    own = {cli_errors.BAD_INPUT, cli_errors.BUG, cli_errors.INTERRUPTED, cli_errors.READER_GONE}
    errors = {e.exit_code for e in (DisruptorError, *DisruptorError.__subclasses__())}
    assert found == {0} | own | errors


def test_warning_kinds_are_the_ones_counted() -> None:
    found = {code(kind) for kind, *_ in rows(sections(DOCS / "cli.md")["Warnings"], "kind")}
    skipped = (pools_file.TOKENS_UNKNOWN, pools_file.KIND_UNSUPPORTED, pools_file.STATE_INCOMPLETE)
    told = re.compile(r'(?:found|warnings)\["(\w+)"\] =|"(\w+)": self\._counters\(')
    added = {
        one or other
        for module in ("events", "run")
        for one, other in told.findall((ROOT / "replay" / f"{module}.py").read_text())
    }
    assert len(added) >= 3
    assert found == set(COUNTER_NAMES) - {"ignored_logs"} | {f"pools_file_{s}" for s in skipped} | added


def test_reasons_of_refused_quotes_are_on_the_page() -> None:
    table = rows(sections(DOCS / "cli.md")["disruptor quote"], "error")
    found = [name for cell, _ in table for name in codes(cell)]
    assert len(found) == len(set(found))
    # A pair's own check of K can't fail: what is asked of it is what its library answers.
    assert set(found) == set(quoting.REASONS.values()) - {"K"}


def test_json_keys_of_replay_are_on_the_page() -> None:
    section = sections(DOCS / "cli.md")["disruptor replay"]
    found = [name for cell, _ in rows(section, "key") for name in codes(cell)]
    blank = {f.name: {} if str(f.type).startswith("dict") else 1 for f in fields(ReplayResult)}
    assert found == list(ReplayResult(**blank).to_json())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_on_pages_use_options_and_files_that_exist(page: Path) -> None:
    for _, *words in command_lines(page):
        two = " ".join(words[:2])
        name = two if two in COMMANDS else words[0]
        if name.startswith("-"):
            continue
        assert name in COMMANDS, words
        known = set(options(name)) | SHARED
        assert {w for w in words if w.startswith("--")} <= known, words
        for word in words:
            assert not word.startswith("examples/") or list(ROOT.glob(word)), word


def test_the_readme_shows_the_commands_that_matter() -> None:
    names = {words[1] for words in command_lines(ROOT / "README.md")}
    assert {"import", "replay", "scan"} <= names


# --- architecture ---


def test_layers_table_is_the_linters() -> None:
    table = rows(sections(DOCS / "architecture.md")["Layers"], "folder")
    may = {code(folder).rstrip("/"): set(codes(imports)) for folder, _, imports in table}
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    contracts = [parser[s] for s in parser.sections() if s.startswith("importlinter:contract:")]
    for contract in contracts:
        folder = contract["protected_modules"].split(".")[1].strip()
        allowed = {name.split(".")[1] for name in contract["allowed_importers"].split()}
        assert {who for who, imports in may.items() if folder in imports} == allowed, folder
    assert len(contracts) + 1 == len(may)


@pytest.mark.parametrize("folder", FOLDERS)
def test_code_map_has_a_line_for_each_module(folder: str) -> None:
    named = re.findall(rf"(?m)^\| `{folder}/(\w+\.py)` \|", (DOCS / "architecture.md").read_text())
    present = [p.name for p in (ROOT / folder).glob("*.py") if p.name != "__init__.py"]
    assert sorted(named) == sorted(present), "docs/architecture.md: one line a module in the code map"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_pages_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"\b((?:docs|examples|bench)/[\w./-]+\.(?:md|py|json|zst))", text))
    missing = {name for name in named if not list(ROOT.glob(name))}
    missing -= {name for name in named if list(ROOT.glob(f"{name.removesuffix('.md')}*"))}
    missing |= {name for name in re.findall(r"\]\(([^)#:]+)\)", text) if not (page.parent / name).exists()}
    assert not missing


def test_links_to_decisions_resolve() -> None:
    numbers = {n for page in PAGES for n in re.findall(r"docs/adr/(\d{4})", page.read_text())}
    assert numbers <= {p.name[:4] for p in (DOCS / "adr").glob("*.md")}


# --- what came out ---


@pytest.mark.slow
@pytest.mark.compiled
def test_the_readmes_import_gives_the_keys_on_the_page(tmp_path: Path) -> None:
    words = next(w for w in command_lines(ROOT / "README.md") if w[1] == "import")[1:]
    journal = words[words.index("--journal") + 1]
    words = [str(tmp_path / w) if w == journal else _path(w) for w in words]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    section = sections(DOCS / "cli.md")["disruptor import"]
    documented = [name for cell, _ in rows(section, "key") for name in codes(cell)]
    assert sorted(json.loads(result.stdout)) == sorted(documented)


@pytest.mark.slow
@pytest.mark.compiled
def test_the_readme_shows_what_replay_prints() -> None:
    shown, printed = _run_from_readme("replay")
    # How fast it was, how memory was had and how the code was written differ; what came out does not.
    same = [line for line in shown if line.startswith(("outputs:", "state digest", "output digest"))]
    assert len(same) == 3
    for line in same:
        assert line in printed
    counted = re.search(r"[\d,]+ events \(sequences \d+ to \d+\)", "\n".join(shown))
    assert counted and counted[0] in "\n".join(printed)


@pytest.mark.slow
@pytest.mark.compiled
def test_the_readme_shows_what_the_demo_prints() -> None:
    # The same compiled loop as above: the swaps of the full replay change nothing that a scan shows.
    shown, printed = _run_from_readme("scan", "--set", "normalised_swaps=true")
    table = [line for line in shown if line.startswith("│")]
    openings = re.search(r"of [\d,]+ openings shown", "\n".join(shown))
    assert len(table) >= 2 and openings
    assert all(line in printed for line in table)
    assert openings[0] in "\n".join(printed)


def _run_from_readme(name: str, *extra: str) -> tuple[list[str], list[str]]:
    """What the README shows below its command, and what the command prints."""
    page = (ROOT / "README.md").read_text()
    words = next(w for w in command_lines(ROOT / "README.md") if w[1] == name)
    words = [_path(w) for w in words[1:]]
    result = CliRunner().invoke(app, [*words, *extra])
    assert result.exit_code == 0, result.output
    below = page.split(f"disruptor {name} ", 1)[1]
    return [line.strip() for line in below.splitlines()], [
        line.strip() for line in result.stdout.splitlines()
    ]


def _path(word: str) -> str:
    return str(ROOT / word) if word.startswith("examples/") else word
