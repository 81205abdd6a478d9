"""Which ticks are initialized: words of bits against a set of ticks."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.uniswap_oracle import MAX_TICK, Pool, Tick
from tests.support.uniswap_state import FLIP, NEXT, Tables

#: Compressed ticks around ends of words and of the range.
PLACES = st.sampled_from([-257, -256, -255, -1, 0, 1, 254, 255, 256, 511, 512]) | st.integers(-900, 900)


def words_of(places):
    found: dict[int, int] = {}
    for place in places:
        found[place // 256] = found.get(place // 256, 0) | 1 << place % 256
    return found


@given(st.lists(PLACES, max_size=30))
@example([0, 0])
@example([-256, -1, -256, 255, 256])
@example([MAX_TICK, -MAX_TICK, -MAX_TICK])
def test_flipped_bits_are_those_flipped_an_odd_number_of_times(flips):
    tables = Tables(3, 64)
    tables.act({"kind": FLIP, "pool": 1, "lower": place} for place in flips)
    odd = {place for place in flips if flips.count(place) % 2}
    assert tables.words_of(1) == words_of(odd), "a word without bits has no row"
    assert tables.words_of(0) == tables.words_of(2) == {}


def test_pools_have_words_of_their_own():
    tables = Tables(3, 64)
    tables.act({"kind": FLIP, "pool": pool, "lower": 7 * pool} for pool in range(3))
    assert [tables.words_of(pool) for pool in range(3)] == [{0: 1 << 7 * pool} for pool in range(3)]


def looked_up(spacing, places, ticks):
    tables = Tables(1, 64)
    tables.create(0, 0, spacing)
    tables.act({"kind": FLIP, "pool": 0, "lower": place} for place in places)
    ways = [(tick, down) for tick in ticks for down in (True, False)]
    lines = [{"kind": NEXT, "pool": 0, "lower": tick, "zero_for_one": down} for tick, down in ways]
    return ways, [(int(done["upper"]), bool(done["count"])) for done in tables.act(lines)]


@given(
    st.sampled_from([1, 2, 60, 200]),
    st.sets(PLACES, max_size=12),
    st.lists(st.tuples(PLACES, st.integers(-1, 1)), min_size=1, max_size=10),
)
@example(1, {-256, 255}, [(0, 0), (-1, 0), (255, 0), (256, 0), (-256, 0), (-257, 0)])
@example(60, {0}, [(0, -1), (0, 0), (0, 1), (-1, 0), (-1, 1)])
def test_next_initialized_tick_is_the_oracles(spacing, places, starts):
    pool = Pool(0, spacing, ticks={place * spacing: Tick(1, 1) for place in places})
    ways, found = looked_up(spacing, places, [place * spacing + offset for place, offset in starts])
    assert found == [pool.next_tick(tick, down) for tick, down in ways]


def test_a_search_stays_within_its_word():
    _, found = looked_up(10, {-300, 300}, [0])
    assert found == [(0, False), (2550, False)]
