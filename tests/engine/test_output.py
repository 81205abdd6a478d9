"""Which format a path means, and files that appear only when they are whole."""

from __future__ import annotations

import numpy as np
import pytest

from disruptor.engine.output import FanOut, StagedFile, column_name, open_output, output_order, wide_integers
from disruptor.engine.output_jsonl import JsonlOutput
from disruptor.engine.output_parquet import ParquetDirectoryOutput, ParquetFileOutput
from disruptor.errors import InputError


def test_the_suffix_chooses_the_format(tmp_path):
    assert isinstance(open_output(str(tmp_path / "a.jsonl"), None), JsonlOutput)
    assert isinstance(open_output(str(tmp_path / "a.parquet"), ["DeFiSwapEvent"]), ParquetFileOutput)
    assert isinstance(open_output(str(tmp_path / "a"), None), ParquetDirectoryOutput)
    assert isinstance(open_output(str(tmp_path / "a.v1") + "/", None), ParquetDirectoryOutput)
    (tmp_path / "b.v2").mkdir()
    assert isinstance(open_output(str(tmp_path / "b.v2"), None), ParquetDirectoryOutput)


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"unknown format \.csv: use \.jsonl, \.parquet or a directory"):
        open_output(str(tmp_path / "a.csv"), None)


def test_a_staged_file_has_no_name_until_it_is_published(tmp_path):
    target = tmp_path / "a.jsonl"
    staged = StagedFile(target, force=False)
    staged.file.write(b"whole")
    staged.finish()
    assert not target.exists()
    staged.publish()
    assert target.read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_discarded_file_leaves_nothing(tmp_path):
    staged = StagedFile(tmp_path / "a.jsonl", force=False)
    staged.file.write(b"half")
    staged.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    target = tmp_path / "a.jsonl"
    target.write_text("precious")
    with pytest.raises(InputError, match="exists already: add --force"):
        StagedFile(target, force=False)
    staged = StagedFile(target, force=True)
    assert target.read_text() == "precious"
    staged.finish()
    staged.publish()
    assert target.read_text() == ""


def test_a_target_without_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="can't be written: No such file or directory"):
        StagedFile(tmp_path / "no" / "a.jsonl", force=False)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("limbs", [2, 4])
def test_wide_integers_match_python(signed, limbs):
    bits = 64 * limbs
    top = bits - 1 if signed else bits
    values = [0, 1, 2**63, 2**64 - 1, 2**64, 2**top - 1, 10**30]
    values += [-1, -(2**63), -(2**top), -(10**30)] if signed else []
    for chosen in (values, values[:2], []):
        raw = b"".join(v.to_bytes(limbs * 8, "little", signed=signed) for v in chosen)
        column = np.frombuffer(raw, dtype="<u8").reshape(-1, limbs)
        assert wide_integers(column, signed=signed) == chosen


def test_order_is_sequence_then_handler_then_ordinal():
    keys = [(0, 1, 5), (1, 0, 5), (0, 0, 5), (0, 9, 4)]  # ordinal, handler, sequence
    columns = tuple(np.array(column) for column in zip(*keys, strict=True))
    order = output_order([columns])
    assert [keys[i] for i in order] == sorted(keys, key=lambda k: k[::-1])


def test_rows_that_are_in_order_are_not_moved():
    columns = (np.zeros(3), np.zeros(3), np.array([1, 2, 3]))
    assert output_order([columns, tuple(c + 3 for c in columns)]) is None


def test_a_field_called_like_a_row_column_is_told_apart():
    assert [column_name(name) for name in ("sequence", "amount", "log_index")] == [
        "payload_sequence",
        "amount",
        "payload_log_index",
    ]


class _Spy:
    def __init__(self, fail=None):
        self.calls, self.fail = [], fail

    def __getattr__(self, name):
        def call(*_):
            self.calls.append(name)
            if name == self.fail:
                raise OSError(28, "No space left on device")

        return call


def test_fan_out_closes_all_sinks_when_the_block_ends_well():
    spies = [_Spy(), _Spy()]
    with FanOut(spies) as sink:
        sink.open([], lambda pool: None)
        sink.write(None, None)
        sink.end_batch()
    assert [spy.calls for spy in spies] == [["open", "write", "end_batch", "close"]] * 2


def test_fan_out_aborts_all_sinks_on_an_error():
    spies = [_Spy(fail="write"), _Spy()]
    with pytest.raises(OSError, match="No space"), FanOut(spies) as sink:
        sink.write(None, None)
    assert [spy.calls[-1] for spy in spies] == ["abort", "abort"]


def test_fan_out_aborts_when_closing_fails():
    spies = [_Spy(), _Spy(fail="close")]
    with pytest.raises(OSError, match="No space"), FanOut(spies):
        pass
    assert [spy.calls[-1] for spy in spies] == ["abort", "abort"]
