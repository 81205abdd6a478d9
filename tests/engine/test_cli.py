"""The command line: what reaches the engine, what is printed where, and what a command exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from disruptor import __version__
from disruptor.engine.cli import app
from disruptor.engine.cli_options import block_time, speed_factor
from disruptor.errors import CorruptFrameError, InputError
from disruptor.handlers.messages import ArbitrageOpportunity, DeFiSwapEvent, OpportunityClosed
from disruptor.replay.request import OutputContext, ProgressUpdate
from tests.support.reported import WETH, Told, opportunities, pool_address

ANSWER = {
    "chain_id": 1,
    "events": 9298,
    "outputs": {"DeFiSwapEvent": 2, "ArbitrageOpportunity": 1},
    "opportunities": 1,
    "seconds": 0.5,
    "events_per_second": 18596.0,
    "compile_seconds": 0.0,
    "first_sequence": 0,
    "last_sequence": 9297,
    "state_digest": "5" * 32,
    "output_digest": "a" * 32,
    "code_identity": "c0de",
    "pages": {"ring": "2MiB"},
    "warnings": {"removed_unknown": 3},
    "swaps_audited": 1234,
    "swaps_mismatched": 1,
    "swaps_not_checkable": 5,
    "paths": 40,
    "paths_screened": 600,
    "paths_solved": 70,
}


class _Result:
    def to_json(self):
        return dict(ANSWER)


class _Engine:
    """Stands for the runner: records the request, and plays two swaps and one opportunity into the sink."""

    def __init__(self):
        self.request = self.error = self.warm = None

    def run(self, request, sink, progress):
        self.request, self.sink = request, sink
        if sink is not None:
            sink.open([DeFiSwapEvent, ArbitrageOpportunity, OpportunityClosed], pool_address)
            slots = np.zeros(2, dtype=DeFiSwapEvent.slot_dtype())
            slots["sequence"] = np.arange(2) * 2
            sink.write(slots, _context(DeFiSwapEvent, 2))
            sink.write(*opportunities([Told(sequence=0, pools=(1, 2), spread=12.5, profit=9)]))
            sink.end_batch()
        if progress is not None:
            progress(ProgressUpdate(1, 1, "bytes", 1))
        if self.error is not None:
            raise self.error
        return _Result()

    def warm_up(self, settings, handlers):
        self.warm = (settings, handlers)
        return {"compile_seconds": 1.25, "loops": 2}


def _context(kind, count):
    return OutputContext(
        message=kind,
        block=np.full(count, 7, dtype=np.uint64),
        tx_hash=np.zeros((count, 32), dtype=np.uint8),
        has_tx=np.zeros(count, dtype=np.bool_),
        log_index=np.full(count, -1, dtype=np.int64),
    )


@pytest.fixture
def engine(monkeypatch):
    """The runner replaced under the name by which the commands import it."""
    fake = _Engine()
    module = types.ModuleType("disruptor.replay.run")
    module.run = fake.run
    monkeypatch.setitem(sys.modules, "disruptor.replay.run", module)
    module = types.ModuleType("disruptor.replay.warmup")
    module.warm_up = fake.warm_up
    monkeypatch.setitem(sys.modules, "disruptor.replay.warmup", module)
    return fake


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Run a command in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, list(words))


def _one_error(result, code=2):
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert 1 <= len(lines) <= 2
    return lines[0]


def test_replay_hands_every_option_on(engine, invoke):
    words = (
        "replay a b --profile scan --set max_batch=7 --set chain_id=5 --handlers h.py --pools p --pools q "
        "--blocks x --from-block 1 --to-block 2 --from-seq 3 --to-seq 4 --write-journal j --sort --strict "
        "--state-out s.jsonl --opportunities-out p.jsonl --out o.jsonl --record r.json --check c.json "
        "--from-time 1970-01-01T00:01:00Z --to-time 61 --allow-code-change --speed 2.5 --pause-at 8 --step "
        "--until events>5 "
        "--types DeFiSwapEvent,ArbitrageOpportunity --json"
    )
    result = invoke(*words.split())
    assert result.exit_code == 0, result.output
    request = engine.request
    assert request.sources == ("a", "b")
    assert (request.settings.max_batch, request.settings.chain_id) == (7, 5)
    assert request.settings.normalised_swaps is False
    assert (request.handlers, request.pools, request.blocks) == (("h.py",), ("p", "q"), ("x",))
    assert (request.from_block, request.to_block, request.from_seq, request.to_seq) == (1, 2, 3, 4)
    assert (request.from_time, request.to_time) == (60, 61)
    assert (request.speed, request.until, request.step, request.pause_at) == (2.5, "events>5", True, 8)
    assert (request.record, request.check, request.allow_code_change) == ("r.json", "c.json", True)
    assert (request.write_journal, request.state_out) == ("j", "s.jsonl")
    assert request.opportunities_out == "p.jsonl"
    assert request.sort and request.strict
    assert request.types == ("DeFiSwapEvent", "ArbitrageOpportunity")


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "inf", ""])
def test_a_speed_is_a_word_or_a_number_above_0(invoke, engine, text):
    assert "expected max, original, or a number" in _one_error(invoke("replay", "a", f"--speed={text}"))
    assert (speed_factor("max"), speed_factor("original"), speed_factor("1e3")) == (None, 1.0, 1000.0)


def test_why_a_run_ended_is_told(engine, invoke, monkeypatch):
    monkeypatch.setitem(ANSWER, "stopped", {"until": "events >= 5", "sequence": 41})
    assert "stopped after sequence 41: events >= 5 holds" in invoke("replay", "a").stdout
    monkeypatch.setitem(ANSWER, "stopped", {"step": "quit", "sequence": 7})
    assert "stopped after sequence 7: told to" in invoke("replay", "a").stdout


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1700000000", 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14 22:13:20", 1_700_000_000),
        ("2023-11-15T00:13:20.9+02:00", 1_700_000_000),
        ("2023-11-14", 1_699_920_000),
    ],
)
def test_times_are_seconds_or_iso_8601(text, seconds):
    assert block_time("--to-time", text) == seconds


@pytest.mark.parametrize("text", ["", "now", "-5", "1969-12-31T00:00:00Z", "²", "1" * 13, "2024-13-01", "١٢"])
def test_other_times_are_refused(invoke, engine, text):
    assert "expected Unix seconds" in _one_error(invoke("replay", "a", f"--from-time={text}"))
    assert engine.request is None


def test_a_run_that_is_not_as_recorded_exits_with_1(engine, invoke, monkeypatch):
    checked = {"against": ["--check c.json"], "differences": {"events": [1, 2]}}
    monkeypatch.setitem(ANSWER, "checked", checked)
    monkeypatch.setitem(
        ANSWER, "identity", {"changed": ["table a is new"], "environment": {"cpu": ["a", None]}}
    )
    result = invoke("replay", "a", "--check", "c.json")
    assert result.exit_code == 1
    for part in (
        "DIFFERS: events: 1 when recorded, 2 now",
        "allowed: table a is new",
        "cpu: a when recorded",
    ):
        assert part in result.stdout
    assert invoke("replay", "a", "--check", "c.json", "--json").exit_code == 1
    checked["differences"].clear()
    result = invoke("replay", "a", "--check", "c.json")
    assert result.exit_code == 0 and "as recorded: --check c.json" in result.stdout


def test_replay_defaults(engine, invoke):
    assert invoke("replay", "a").exit_code == 0
    request = engine.request
    assert request.settings.normalised_swaps and request.settings.arbitrage.enabled
    assert engine.sink is None and request.types is None
    assert not (request.sort or request.strict or request.handlers or request.pools or request.blocks)


def test_json_is_exactly_one_object_on_stdout(engine, invoke):
    result = invoke("replay", "a", "--json")
    assert json.loads(result.stdout) == ANSWER
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


def test_the_summary_tells_counts_digests_and_warnings(engine, invoke):
    text = invoke("replay", "a").stdout
    for part in (
        "9,298 events",
        "DeFiSwapEvent 2",
        "1 arbitrage opening",
        "1,234 swaps matched, 1 mismatched, 5 not checkable; 40 paths, 600 screened, 70 solved",
        "5" * 32,
        "a" * 32,
        "removed_unknown 3",
    ):
        assert part in text
    assert len(text.splitlines()) == 7


def test_out_is_written_when_the_run_ends_well(engine, invoke):
    assert invoke("replay", "a", "--out", "o.jsonl").exit_code == 0
    rows = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert [(row["sequence"], row["type"]) for row in rows] == [
        (0, "DeFiSwapEvent"),
        (0, "ArbitrageOpportunity"),
        (2, "DeFiSwapEvent"),
    ]
    assert invoke("replay", "a", "--out", "d").exit_code == 0
    assert sorted(path.name for path in Path("d").iterdir()) == [
        "ArbitrageOpportunity.parquet",
        "DeFiSwapEvent.parquet",
        "OpportunityClosed.parquet",
    ]


@pytest.mark.parametrize(
    "error", [InputError("bad line"), KeyboardInterrupt(), OSError(28, "No space"), ValueError()]
)
@pytest.mark.parametrize("out", ["o.jsonl", "d"])
def test_nothing_half_written_stays(engine, invoke, error, out):
    engine.error = error
    assert invoke("replay", "a", "--out", out).exit_code != 0
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.jsonl line 3: not JSON"), 2, "error: a.jsonl line 3: not JSON"),
        (CorruptFrameError("segment 1 at 64: bad checksum"), 1, "error: segment 1 at 64: bad checksum"),
        (FileNotFoundError(2, "No such file or directory", "x"), 2, "error: x: No such file or directory"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("oh"), 70, "internal error: ZeroDivisionError: oh"),
        (InputError("two\nlines"), 2, "error: two lines"),
    ],
)
def test_an_error_is_a_line_and_an_exit_code(engine, invoke, error, code, line):
    engine.error = error
    result = invoke("replay", "a")
    assert _one_error(result, code) == line
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [("--debug", "replay", "a"), ("replay", "a", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(engine, invoke, words):
    engine.error = InputError("bad line")
    result = invoke(*words)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.rstrip().endswith("error: bad line")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("replay", "Missing argument 'SOURCE"),
        ("replay a --bogus", "No such option"),
        ("replya a", "Did you mean 'replay'"),
        ("replay a --from-block x", "--from-block"),
        ("replay a --from-block -1", "--from-block"),
        ("replay a --from-block 5 --to-block 4", "--from-block 5 is above --to-block 4"),
        ("replay a --from-seq 5 --to-seq 4", "--from-seq 5 is above --to-seq 4"),
        ("replay a --set arbitrage.evalute=log", "did you mean arbitrage.evaluate?"),
        ("replay a --profile nope", "no such profile or file"),
        ("replay a --types X", "--types: chooses what --out writes"),
        ("replay a --out o.jsonl --types ,", "--types: expected names"),
        ("replay a --out o.jsonl --types DeFiSwapEvnt", "did you mean DeFiSwapEvent?"),
        ("replay a --out o.csv", "unknown format .csv"),
        ("replay a --out o.parquet", "choose one with --types, or name a directory"),
        ("replay a --state-out no/s.jsonl", "--state-out no/s.jsonl: expected a file in a folder"),
        ("scan a --state-out no/s.jsonl", "--state-out no/s.jsonl: expected a file in a folder"),
        ("replay a --opportunities-out no/p", "--opportunities-out no/p: expected a file in a folder"),
        ("scan a --opportunities-out .", "--opportunities-out .: expected a file in a folder"),
        (
            "replay a --opportunities-out p --set arbitrage.enabled=no",
            "arbitrage.enabled: expected true with --opportunities-out",
        ),
        ("scan a --top 0", "--top"),
        ("scan a --sort-by size", "--sort-by"),
        ("scan a --token WETH", "--token 'WETH': no such symbol"),
        ("scan a --pool 0x12", "expected an address"),
        ("scan a --set arbitrage.enabled=no", "arbitrage.enabled: expected true for scan"),
        ("import a", "Missing option '--journal'"),
        ("config", "Missing command"),
        ("journal verify", "Missing argument 'DIR'"),
    ],
)
def test_bad_usage_is_one_or_two_lines_and_exit_code_2(engine, invoke, words, part):
    assert part in _one_error(invoke(*words.split()))


def test_an_existing_output_is_kept_unless_forced(engine, invoke):
    target = Path("kept.jsonl")
    target.write_text("precious")
    assert "exists already: add --force" in _one_error(invoke("replay", "a", "--out", str(target)))
    assert target.read_text() == "precious"
    assert invoke("replay", "a", "--out", "kept.jsonl", "--force").exit_code == 0
    assert Path("kept.jsonl").read_text() != "precious"


@pytest.mark.parametrize("command", ["replay", "scan"])
def test_earlier_files_of_the_end_are_replaced(engine, invoke, command):
    Path("end.jsonl").write_text("earlier")
    assert invoke(command, "a", "--state-out", "end.jsonl").exit_code == 0
    assert engine.request.state_out == "end.jsonl"
    assert invoke(command, "a", "--opportunities-out", "end.jsonl").exit_code == 0
    assert engine.request.opportunities_out == "end.jsonl"


def test_scan_prints_the_table(engine, invoke):
    result = invoke("scan", "a")
    assert result.exit_code == 0, result.output
    assert engine.request.types == ("ArbitrageOpportunity", "OpportunityClosed")
    assert engine.request.settings.normalised_swaps is False
    for part in (
        "12.50",
        "0x" + pool_address(1).hex() + " v3 0.05%",
        "0x" + pool_address(2).hex() + " v2 0.3%",
        "1 of 1 openings shown, by spread",
        "overlapping ones are never summed",
        "9 raw 0x0101…0101 before costs of 0 raw 0x0101…0101: 1 taken, 0 left out",
        "9,298 events",
    ):
        assert part in result.stdout


def test_scan_json_is_one_object_with_the_best(engine, invoke):
    result = invoke("scan", "a", "--json", "--min-bps", "12")
    answer = json.loads(result.stdout)
    assert [row["spread_bps"] for row in answer.pop("best")] == [12.5]
    assert [total["profit"] for total in answer.pop("totals")] == ["9"]
    assert answer == ANSWER
    answer = json.loads(invoke("scan", "a", "--json", "--min-bps", "13").stdout)
    assert answer["best"] == answer["totals"] == []


def test_scan_knows_symbols_from_a_token_list(engine, invoke, monkeypatch):
    module = types.ModuleType("disruptor.feeds.token_list")
    module.load_tokens = lambda path: {WETH: ("ONE", 18)} if path == "t.json" else {}
    monkeypatch.setitem(sys.modules, "disruptor.feeds.token_list", module)
    result = invoke("scan", "a", "--tokens", "t.json", "--token", "one", "--sort-by", "profit")
    assert "ONE > 0x0202…0202 > ONE" in result.stdout
    assert "no opportunities" in invoke("scan", "a", "--pool", "0x" + "77" * 20).stdout


def test_scan_also_writes_out(engine, invoke):
    assert invoke("scan", "a", "--out", "o.jsonl", "--types", "DeFiSwapEvent").exit_code == 0
    assert engine.request.types is None
    rows = [json.loads(line)["type"] for line in Path("o.jsonl").read_text().splitlines()]
    assert rows == ["DeFiSwapEvent"] * 2


def test_import_hands_every_option_on(invoke, monkeypatch):
    calls = []

    def import_logs(sources, journal, **options):
        calls.append((sources, journal, options))
        return {"logs": 12345, "journal": journal, "warnings": {}}

    module = types.ModuleType("disruptor.replay.importer")
    module.import_logs = import_logs
    monkeypatch.setitem(sys.modules, "disruptor.replay.importer", module)
    words = "import a b --journal j --pools p --blocks x --sort --strict --restart --set chain_id=9 --json"
    result = invoke(*words.split(), "--handlers", "h.py")
    assert json.loads(result.stdout) == {"logs": 12345, "journal": "j", "warnings": {}}
    sources, journal, options = calls[0]
    assert (sources, journal, options.pop("settings").chain_id) == (["a", "b"], "j", 9)
    assert options == {
        "handlers": ["h.py"],
        "pools": ["p"],
        "blocks": ["x"],
        "sort": True,
        "strict": True,
        "restart": True,
        "progress": None,
    }
    assert invoke("import", "a", "--journal", "j").stdout.splitlines() == [
        "logs: 12,345",
        "journal: j",
        "warnings: none",
    ]


def test_warmup_compiles_with_settings_and_handlers(engine, invoke):
    result = invoke("warmup", "--handlers", "h.py", "--set", "enable_bounds_checking=yes", "--json")
    assert json.loads(result.stdout) == {"compile_seconds": 1.25, "loops": 2}
    profiles, handlers = engine.warm
    assert [s.enable_bounds_checking for s in profiles] == [True, True, True]
    assert [(s.arbitrage.enabled, s.normalised_swaps) for s in profiles] == [
        (True, True),
        (True, False),
        (False, False),
    ]
    assert handlers == ("h.py",)


def test_warmup_of_one_profile_compiles_that(engine, invoke):
    assert invoke("warmup", "--profile", "scan", "--json").exit_code == 0
    assert [s.normalised_swaps for s in engine.warm[0]] == [False]


def test_config_show_tells_values_and_origins(invoke):
    lines = {}
    for line in invoke("config", "show", "--set", "max_batch=7").stdout.splitlines():
        path, value, origin = line.split(maxsplit=2)
        lines[path] = (value, origin)
    assert lines["max_batch"] == ("7", "--set")
    assert lines["memory_pool_size"] == ("4GiB", "default")
    assert lines["arbitrage.evaluate"][1].startswith("profile replay (replay.yaml:")


def test_config_show_json_tells_what_changes_results(invoke):
    answer = json.loads(invoke("config", "show", "--profile", "scan", "--json").stdout)
    assert answer["normalised_swaps"]["value"] is False
    assert answer["normalised_swaps"]["changes_results"] is True
    assert answer["max_batch"]["changes_results"] is False


def test_journal_verify_exits_1_when_something_is_wrong(invoke, monkeypatch):
    from disruptor.journal import verify as verification

    good = verification.VerifyReport("j", segments=2)
    bad = verification.VerifyReport("j", problems=["segment 1 at 64: bad checksum"])
    monkeypatch.setattr(verification, "verify", lambda directory: good)
    assert json.loads(invoke("journal", "verify", "j", "--json").stdout)["ok"] is True
    monkeypatch.setattr(verification, "verify", lambda directory: bad)
    result = invoke("journal", "verify", "j")
    assert result.exit_code == 1
    assert "problems: segment 1 at 64: bad checksum" in result.stdout


def test_version_and_help(invoke):
    assert invoke("--version").stdout == f"disruptor {__version__}\n"
    for words in ((), ("--help",)):
        result = invoke(*words)
        assert result.exit_code == 0
        assert all(
            name in result.stdout for name in ("import", "replay", "scan", "warmup", "config", "journal")
        )


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from disruptor.engine.cli import app; app(['--help'], standalone_mode=False); "
        "heavy = {'numpy', 'numba', 'pyarrow', 'llvmlite', 'yaml'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_ends_the_command_quietly():
    read_end, write_end = os.pipe()
    os.close(read_end)
    code = "import sys; sys.argv[1:] = ['config', 'show']; from disruptor.engine.cli import main; main()"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")
