"""`--state-out` is a pools file: what it says, fed to the rest of the stream, gives the same end."""

from __future__ import annotations

from pathlib import Path

import pytest

from disruptor.errors import InputError
from tests.harness import EXAMPLE, Row, replay, write_lines
from tests.model import place, read_lines
from tests.support.streams import read_lines as packed_lines
from tests.support.streams import stream_path, unpack

QUIET = ("arbitrage.enabled=false", "normalised_swaps=false")
V2 = {"pool", "kind", "token0", "token1", "fee", "factory", "block", "complete", "reserve0", "reserve1"}
V3 = (V2 - {"reserve0", "reserve1"}) | {"sqrt_price_x96", "tick", "liquidity", "ticks"}


OBSERVATIONS = ("observation_index", "observation_cardinality", "observation_cardinality_next")


def comparable(pools: dict[str, Row]) -> dict[str, Row]:
    """Without what a state that was written can't tell: the run's last block; the time of the last observation."""
    return {p: {**line, "block": 0} | dict.fromkeys(OBSERVATIONS) for p, line in pools.items()}


@pytest.mark.slow
@pytest.mark.parametrize("half", [70, 300])
@pytest.mark.compiled
def test_state_and_the_rest_of_the_stream_end_where_the_whole_ends(
    half: int, tmp_path: Path, lane: str
) -> None:
    last = 80 if lane == "nojit" else 744
    if lane == "nojit" and half > last:
        half = 66
    whole = replay(EXAMPLE, *QUIET, keep=False, to_block=last).pools
    first = replay(EXAMPLE, *QUIET, keep=False, to_block=half).pools
    assert first != whole
    pools = write_lines(tmp_path / "pools.jsonl", first.values())
    rest = [log for log in read_lines(EXAMPLE) if half < place(log)[0] <= last]
    found = replay(write_lines(tmp_path / "rest.jsonl", rest), *QUIET, keep=False, pools=(str(pools),))
    assert comparable(found.pools) == comparable(whole)
    # Events that the state already holds are skipped, so the whole stream over it ends there too.
    again = replay(EXAMPLE, *QUIET, keep=False, pools=(str(pools),), to_block=last)
    assert comparable(again.pools) == comparable(whole)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("half", [150, 408])
def test_fees_go_on_from_a_state_that_was_written(half: int, tmp_path: Path) -> None:
    """Growths wrap, ticks are crossed, protocol fees are switched and collected on both sides of the cut."""
    stream = stream_path("v3_swaps", "logs.jsonl")
    headers = {"blocks": (str(stream_path("v3_swaps", "blocks.jsonl")),), "keep": False}
    whole = replay(stream, *QUIET, **headers).pools
    first = replay(stream, *QUIET, **headers, to_block=half).pools
    for line in [*whole.values(), *first.values()]:
        assert line["verified"] and line["fee_growth_outside_x128"].keys() == line["ticks"].keys()
    pools = write_lines(tmp_path / "pools.jsonl", first.values())
    logs = (log for log in packed_lines("v3_swaps", "logs.jsonl") if place(log)[0] > half)
    rest = replay(write_lines(tmp_path / "rest.jsonl", logs), *QUIET, **headers, pools=(str(pools),)).pools
    assert rest == {pool: line | dict.fromkeys(OBSERVATIONS) for pool, line in whole.items()}
    moved = ("fee_growth_global0_x128", "fee_growth_outside_x128", "protocol_fees1")
    assert all(any(first[p][name] != line[name] for p, line in whole.items()) for name in moved)


@pytest.mark.slow
@pytest.mark.compiled
def test_fees_that_were_not_given_in_full_stay_unknown(tmp_path: Path) -> None:
    stream = stream_path("v3_swaps", "logs.jsonl")
    first = replay(stream, *QUIET, keep=False, to_block=408).pools
    lacking = [{**line, "protocol_fees1": None} for line in first.values()]
    pools = write_lines(tmp_path / "pools.jsonl", lacking)
    found = replay(stream, *QUIET, keep=False, pools=(str(pools),))
    assert found.result.swaps_audited > 0 and found.result.swaps_mismatched == 0
    for line in found.pools.values():
        assert line["complete"] and line["verified"] and line["fee_growth_outside_x128"] is None
        assert line["fee_growth_global0_x128"] is line["protocol_fees0"] is None


@pytest.mark.slow
@pytest.mark.compiled
def test_a_pool_that_a_swap_refuted_stays_barred_in_the_next_run(tmp_path: Path) -> None:
    folder = unpack("adversarial", tmp_path)
    logs, half = folder / "logs.jsonl", 270
    whole = replay(logs, *QUIET, keep=False, pools=(str(folder / "pools.jsonl"),)).pools
    first = replay(logs, *QUIET, keep=False, pools=(str(folder / "pools.jsonl"),), to_block=half).pools
    pools = write_lines(tmp_path / "given.jsonl", first.values())
    found = replay(logs, *QUIET, keep=False, pools=(str(pools),)).pools
    refuted = {pool for pool, line in first.items() if not line["verified"]}
    assert {first[pool]["kind"] for pool in refuted} == {"uniswap_v2", "uniswap_v3"}
    for pool, line in found.items():
        assert line["verified"] == whole[pool]["verified"]
        if not line["verified"]:
            assert line["unverified_at"] == (None if pool in refuted else whole[pool]["unverified_at"])


@pytest.mark.slow
def test_lines_have_the_promised_fields_as_promised(lane: str) -> None:
    pools = replay(EXAMPLE, *QUIET, keep=False, to_block=64).pools
    for line in pools.values():
        names = V2 if line["kind"] == "uniswap_v2" else V3
        assert names <= line.keys()
        for name in {"reserve0", "reserve1", "sqrt_price_x96", "liquidity"} & line.keys():
            assert isinstance(line[name], str) and line[name].isdecimal()
        for name in ("pool", "token0", "token1", "factory"):
            assert line[name] == line[name].lower() and len(line[name]) == 42
        for tick, (gross, net) in line.get("ticks", {}).items():
            assert int(tick) % line["tick_spacing"] == 0 and int(gross) >= abs(int(net))
    assert {line["kind"] for line in pools.values()} == {"uniswap_v2", "uniswap_v3"}


def test_a_file_that_can_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    from disruptor.replay.state_out import write_state

    with pytest.raises(InputError, match=r"--state-out .*missing"):
        write_state(None, str(tmp_path / "missing" / "pools.jsonl"))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
