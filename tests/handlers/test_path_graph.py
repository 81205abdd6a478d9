"""The cycles that are entered, against all simple cycles of the token graph found by trying everything."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import CapacityError
from disruptor.handler_set import HandlerSet
from disruptor.handlers import messages as m
from disruptor.handlers import opportunities, tracking
from disruptor.handlers.path_graph import MAX_ENTRIES
from disruptor.handlers.path_legs import leg_capacities
from disruptor.handlers.pools import NO_FEE
from disruptor.processor import Processor
from disruptor.replay.path_setup import set_up_paths
from disruptor.replay.program import INPUTS
from tests.handlers.conftest import Event, fill
from tests.harness import SMALL

HANDLERS = (
    tracking.on_block_start,
    tracking.on_token_registered,
    tracking.on_pool_registered,
    opportunities.on_pool_registered,
)
Edge = tuple[int, int]
#: A cycle: the token it starts at, and (pool, token that comes out) for each hop.
Found = tuple[int, tuple[tuple[int, int], ...]]


def address_of(token: int) -> bytes:
    """Addresses in another order than numbers."""
    return bytes([token * 37 % 101]) + bytes(19)


class Graph:
    """A processor that only enters pools and cycles."""

    def __init__(self, *sets: str, paths: int = 4096) -> None:
        settings, _ = load_settings(None, [*SMALL, *sets])
        handlers = HandlerSet(HANDLERS, inputs=INPUTS)
        capacities = {
            "pools": 512,
            "tokens": 128,
            "pairs": 512,
            "paths": paths,
            "hops": 4,
            **leg_capacities(paths),
        }
        self.processor = Processor(handlers, capacities=capacities)
        set_up_paths(self.processor.state, settings, None)

    def feed(self, events: Sequence[Event]) -> None:
        first = self.processor.next_sequence
        slots = np.zeros((len(events), 192), np.uint8)
        for k, (message, fields) in enumerate(events):
            record = slots[k].view(message.slot_dtype())[0]
            record["sequence"], record["type_id"] = first + k, message.type_id
            for name, value in fields.items():
                fill(record, name, value)
        self.processor.process(slots, first, first + len(events), lambda _: None, base=first)

    def enter(self, edges: Sequence[Edge], fees: dict[int, int] | None = None) -> None:
        """Register tokens, then a pool for each edge; its first token is token0."""
        tokens = sorted(set(itertools.chain(*edges)))
        self.feed(
            [(m.TokenRegistered, {"token": t, "address": address_of(t)}) for t in range(max(tokens) + 1)]
        )
        self.feed(
            [
                (m.PoolRegistered, registration(pool, edge, (fees or {}).get(pool, 3000)))
                for pool, edge in enumerate(edges)
            ]
        )

    def cycles(self) -> list[Found]:
        state = self.processor.state
        count = int(state.rows("path_cursor")[0]["path_count"])
        return [read_path(row, state.rows("pools")) for row in state.rows("paths")[:count]]

    def listed(self, pools: int) -> dict[int, list[tuple[int, int]]]:
        """(path, hop) on each pool's list."""
        rows, heads = self.processor.state.rows("paths"), self.processor.state.rows("path_heads")
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for pool in range(pools):
            at = int(heads[pool]["first"])
            while at:
                path, hop = divmod(at - 1, 4)
                found[pool].append((path, hop))
                at = int(rows[path][f"next{hop}"])
        return found


def registration(pool: int, edge: Edge, fee: int) -> dict[str, Any]:
    tokens = {"token0": edge[0], "token1": edge[1]}
    addresses = {"token0_address": address_of(edge[0]), "token1_address": address_of(edge[1])}
    return {"pool": pool, "kind": m.KIND_UNISWAP_V2, "fee": fee, **tokens, **addresses}


def read_path(row: Any, pools: Any) -> Found:
    """A path's row; its hops must lead from token to token and back."""
    hops: list[tuple[int, int]] = []
    start, token = -1, -1
    for k in range(int(row["hops"])):
        pool = int(row[f"pool{k}"])
        ends = (int(pools[pool]["token0"]), int(pools[pool]["token1"]))
        into, out = ends if row["zero_for_one"] >> k & 1 else ends[::-1]
        assert token in (-1, into)
        start, token = into if k == 0 else start, out
        hops.append((pool, out))
    assert token == start
    return start, tuple(hops)


def undirected(found: Found) -> Found:
    """The lesser of a cycle's two directions."""
    start, hops = found
    outs = [start, *(out for _, out in hops)]
    back = tuple((hops[k][0], outs[k]) for k in reversed(range(len(hops))))
    return min(found, (start, back))


def brute_force(edges: Sequence[Edge], most: int, base: Sequence[int], unusable: set[int]) -> set[Found]:
    """Every simple cycle of two to `most` pools, once."""

    def rank(token: int) -> tuple[int, bytes]:
        return base.index(token) if token in base else len(base), address_of(token)

    usable = [(p, e) for p, e in enumerate(edges) if p not in unusable and e[0] != e[1]]
    found = set()
    for hops in range(2, most + 1):
        for chosen in itertools.permutations(usable, hops):
            for start in chosen[0][1]:
                token, route = start, []
                for pool, ends in chosen:
                    if token not in ends:
                        break
                    token = ends[0] + ends[1] - token
                    route.append((pool, token))
                inner = {t for _, t in route}
                if len(route) < hops or token != start or len(inner) < hops:
                    continue
                if min(inner, key=rank) == start:
                    found.add(undirected((start, tuple(route))))
    return found


def random_edges(rng: random.Random, tokens: int, pools: int, hubs: int) -> list[Edge]:
    """Pools of two tokens in either order, most of them with a hub; some pairs have several."""
    edges: list[Edge] = []
    while len(edges) < pools:
        one = rng.randrange(hubs) if rng.random() < 0.7 else rng.randrange(tokens)
        other = rng.randrange(tokens)
        if one != other:
            edges.append(rng.choice([(one, other), (other, one)]))
    return edges


@pytest.mark.parametrize("most", [2, 3, 4])
def test_every_cycle_is_entered_once_from_its_first_ranking_token(most: int, seed: int) -> None:
    for k in range(4):
        rng = random.Random(f"{seed} {most} {k}")
        edges = random_edges(rng, 7, 14, 1 + k % 3)
        base = rng.sample(range(7), k)
        named = ", ".join(f'"0x{address_of(t).hex()}"' for t in base)
        graph = Graph(f"arbitrage.max_hops={most}", f"arbitrage.base_tokens=[{named}]")
        unusable = set(rng.sample(range(14), 2))
        graph.enter(edges, dict.fromkeys(unusable, NO_FEE))
        found = graph.cycles()
        expected = brute_force(edges, most, base, unusable)
        assert len(found) == len(expected)
        assert {undirected(one) for one in found} == expected
        lists = graph.listed(len(edges))
        for pool in range(len(edges)):
            hops = [(n, h) for n, (_, r) in enumerate(found) for h, (p, _) in enumerate(r) if p == pool]
            assert sorted(lists[pool]) == hops


def test_more_cycles_than_one_slice_takes() -> None:
    parallel = 9
    square = [(0, 1), (1, 2), (2, 3)]
    edges = [edge for edge in square for _ in range(parallel)] + [(0, 3)]
    graph = Graph()
    graph.enter(edges)
    longest = [one for one in graph.cycles() if len(one[1]) == 4]
    assert len(longest) == parallel**3 > 10 * MAX_ENTRIES
    assert len(set(map(undirected, longest))) == len(longest)
    assert len(graph.cycles()) == len(longest) + 3 * parallel * (parallel - 1) // 2


def test_a_pool_of_one_token_and_one_that_is_announced_again_close_no_cycle() -> None:
    graph = Graph()
    graph.enter([(0, 1), (0, 1), (1, 1), (0, 0), (1, 2), (2, 0)])
    before = graph.cycles()
    assert len(before) == 3
    graph.feed([(m.PoolRegistered, registration(5, (2, 0), 3000))])
    graph.feed([(m.PoolRegistered, registration(5, (2, 1), 3000))])
    assert graph.cycles() == before


def test_pools_of_a_new_cycle_are_looked_at_although_nothing_happened_to_them() -> None:
    graph = Graph()
    graph.enter([(0, 1), (1, 2), (0, 1)])
    cursor, heads = graph.processor.state.rows("path_cursor")[0], graph.processor.state.rows("path_heads")
    marked, at = set(), int(cursor["first_marked"])
    while at:
        marked.add(at - 1)
        at = int(heads[at - 1]["next_marked"])
    assert marked == {0, 2}


@pytest.mark.parametrize("room", [7 * 13 - 1, 7 * 13])
def test_every_row_is_used_before_one_cycle_too_many_is_an_error_with_counts(room: int) -> None:
    """14 pools of a pair close 91 cycles."""
    graph = Graph(paths=room)
    if room == 91:
        graph.enter([(0, 1)] * 14)
    else:
        with pytest.raises(
            CapacityError, match=r"table paths is full \(90 rows\).*raise capacity.paths"
        ) as failed:
            graph.enter([(0, 1)] * 14)
        assert failed.value.capacity == room
    assert len(graph.cycles()) == room > MAX_ENTRIES
