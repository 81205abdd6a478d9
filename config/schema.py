"""The settings: names, types, defaults, valid ranges, and which of them change results.

Every setting is one field of an immutable struct, annotated with a `Spec`: the parser of its text, whether
it is *semantic* (a run with another value may give other outputs or another state: such settings belong to
a journal's and a run's identity), and one line of explanation. The rest (memory, pages, waiting, batching,
capacities) decides how a run is carried out and must never show in a digest.

A setting has a path: `arbitrage.evaluate`, `capacity.pools`, `factories.0x….fee`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from disruptor.config.factories import MAINNET_V2_FEES
from disruptor.config.parsers import (
    Choice,
    Parser,
    address,
    addresses,
    boolean,
    byte_size,
    cpu_cores,
    integer,
    numa_node,
    number_from_zero,
    optional,
    page_size,
)

#: One below the largest u32, which means "no id".
_ID_COUNT_MAX = (1 << 32) - 2
_RING_MAX = 1 << 28
_RING_SLOTS = integer(64, _RING_MAX, power_of_two=True)
_FEE = integer(0, 999_999)
_CHAIN_ID = optional(integer(1, (1 << 63) - 1))
#: A path and hop share a 32-bit number.
_PATHS_MAX = (1 << 30) - 2
_FUNDING = Choice("flash_swap", "own", "loan_bps")
_BOUNDARY = Choice("block", "transaction", "log")
_HUGE_PAGES = Choice("require", "prefer", "off")
_WAIT = Choice("busy_spin", "pausing", "yielding", "sleeping", "blocking")
_MEMORY = byte_size(1 << 20, 1 << 46)
_FACTORIES = "factories"


class Spec(NamedTuple):
    """What is known about one setting beside its value."""

    parse: Parser
    help: str
    semantic: bool = False


class Capacity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rows each table has room for. Too few stop a run with an error, never with another result."""

    pools: Annotated[int, Spec(integer(1, _ID_COUNT_MAX), "pools known at once")] = 131_072
    tokens: Annotated[int, Spec(integer(1, _ID_COUNT_MAX), "tokens known at once")] = 131_072
    pairs: Annotated[int, Spec(integer(1, _ID_COUNT_MAX), "token pairs known at once")] = 131_072
    ticks: Annotated[int, Spec(integer(1, _ID_COUNT_MAX), "initialized ticks of all V3 pools")] = 524_288
    tick_bitmap: Annotated[int, Spec(integer(1, _ID_COUNT_MAX), "words of 256 ticks with liquidity")] = (
        131_072
    )
    paths: Annotated[int, Spec(integer(1, _PATHS_MAX), "cycles of pools searched for arbitrage")] = 262_144


class Arbitrage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The search for arbitrage: cycles of two to four pools."""

    enabled: Annotated[bool, Spec(boolean, "search for arbitrage", semantic=True)] = True
    evaluate: Annotated[str, Spec(_BOUNDARY, "boundary at which cycles are solved", semantic=True)] = "block"
    max_hops: Annotated[int, Spec(integer(2, 4), "pools in the longest cycle", semantic=True)] = 4
    min_bps: Annotated[
        float, Spec(number_from_zero, "smallest spread reported, basis points net of fees", semantic=True)
    ] = 0.0
    block_time: Annotated[
        float,
        Spec(number_from_zero, "seconds between blocks; an opportunity expires with the next", semantic=True),
    ] = 12.0
    base_tokens: Annotated[
        tuple[str, ...],
        Spec(addresses(64), "tokens to count profit in, best first; then by address", semantic=True),
    ] = ()
    max_amount_in: Annotated[
        int, Spec(integer(0, (1 << 128) - 1), "most to put in, raw units; 0 for any amount", semantic=True)
    ] = 0
    funding: Annotated[
        str, Spec(_FUNDING, "whose money: borrowed within the swaps, one's own, or a loan", semantic=True)
    ] = "flash_swap"
    loan_bps: Annotated[
        float, Spec(number_from_zero, "cost of a loan in basis points, for funding=loan_bps", semantic=True)
    ] = 0.0
    gas: Annotated[bool, Spec(boolean, "count the cost of gas; off: gross", semantic=True)] = True
    priority_fee: Annotated[
        int, Spec(integer(0, 1 << 60), "wei per gas on top of the base fee", semantic=True)
    ] = 0
    native_token: Annotated[
        str | None,
        Spec(optional(address), "wrapped native token; null: the chain's, if known", semantic=True),
    ] = None
    native_pools: Annotated[
        tuple[str, ...],
        Spec(addresses(63), "pools of the native token that convert gas into other tokens", semantic=True),
    ] = ()


class Factory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known about all pools of one Uniswap V2 fork."""

    fee: Annotated[int, Spec(_FEE, "swap fee in millionths", semantic=True)]


def _known_factories() -> dict[str, Factory]:
    return {factory: Factory(fee=fee) for factory, fee in MAINNET_V2_FEES.items()}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The effective settings of one run; `load_settings` makes them."""

    chain_id: Annotated[int | None, Spec(_CHAIN_ID, "chain of the recorded logs", semantic=True)] = None
    normalised_swaps: Annotated[bool, Spec(boolean, "emit each swap as DeFiSwapEvent", semantic=True)] = True
    default_v2_fee: Annotated[int, Spec(_FEE, "millionths, of unlisted V2 factories", semantic=True)] = 3000
    enable_bounds_checking: Annotated[bool, Spec(boolean, "check every row access of handlers")] = False
    cache_prefetch: Annotated[bool, Spec(boolean, "ask for the rows of coming events ahead of time")] = True
    enable_simd: Annotated[bool, Spec(boolean, "screen many arbitrage cycles at once, as vectors")] = True
    cpu_cores: Annotated[tuple[int, ...], Spec(cpu_cores, "CPUs to pin to; [] pins nothing")] = ()
    memory_pool_size: Annotated[int, Spec(_MEMORY, "most that rings and state tables may take")] = 4 << 30
    numa_node: Annotated[int | None, Spec(optional(numa_node), "node to take memory from")] = None
    huge_pages: Annotated[str, Spec(_HUGE_PAGES, "whether memory is in huge pages")] = "prefer"
    huge_page_size: Annotated[int, Spec(page_size, "2MiB or 1GiB")] = 2 << 20
    mlock: Annotated[bool, Spec(boolean, "lock memory so that it is never swapped out")] = False
    wait_strategy: Annotated[str, Spec(_WAIT, "what to do while there is nothing to read")] = "sleeping"
    max_batch: Annotated[int, Spec(integer(1, _RING_MAX), "most events handled at one go")] = 4096
    ring_slots: Annotated[int, Spec(_RING_SLOTS, "slots of the input ring")] = 65_536
    output_slots: Annotated[int, Spec(_RING_SLOTS, "slots of the output ring")] = 65_536
    capacity: Capacity = Capacity()
    arbitrage: Arbitrage = Arbitrage()
    factories: dict[str, Factory] = msgspec.field(default_factory=_known_factories)

    def semantic(self) -> dict[str, Any]:
        """The settings that change results, by path: part of a run's identity."""
        known = specs()
        return {path: value for path, value in flatten(self).items() if known[spec_path(path)].semantic}

    def factory_fees(self) -> dict[bytes, int]:
        """Swap fee in millionths by the 20 bytes of the factory's address."""
        return {bytes.fromhex(factory[2:]): known.fee for factory, known in self.factories.items()}


def flatten(settings: msgspec.Struct, prefix: str = "") -> dict[str, Any]:
    """Every setting by its path, in a fixed order.

    >>> flatten(Settings())["arbitrage.evaluate"]
    'block'
    """
    flat: dict[str, Any] = {}
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, msgspec.Struct):
            flat |= flatten(value, f"{prefix}{name}.")
        elif name == _FACTORIES:
            for factory in sorted(value):
                flat |= flatten(value[factory], f"{prefix}{name}.{factory}.")
        else:
            flat[prefix + name] = value
    return flat


def unflatten(flat: dict[str, Any]) -> Settings:
    """The inverse of `flatten`: settings from values by path; missing paths keep their defaults.

    >>> unflatten({"capacity.pools": 7}).capacity.pools
    7
    """
    top = {path: value for path, value in flat.items() if "." not in path}
    groups: dict[str, dict[str, Any]] = {"capacity": {}, "arbitrage": {}}
    factories: dict[str, Factory] = _known_factories()
    for path, value in flat.items():
        group, _, rest = path.partition(".")
        if group in groups:
            groups[group][rest] = value
        elif group == _FACTORIES:
            factories[rest.partition(".")[0]] = Factory(fee=value)
    return Settings(
        **top,
        capacity=Capacity(**groups["capacity"]),
        arbitrage=Arbitrage(**groups["arbitrage"]),
        factories=factories,
    )


def specs() -> dict[str, Spec]:
    """The spec of every setting by its path; the address of a factory is written `*`."""
    return dict(_specs_of(Settings, ""))


def spec_path(path: str) -> str:
    """The path under which `specs` knows a setting.

    >>> spec_path("factories.0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f.fee")
    'factories.*.fee'
    """
    parts = path.split(".")
    return ".".join([_FACTORIES, "*", *parts[2:]]) if parts[0] == _FACTORIES and len(parts) > 2 else path


def _specs_of(struct: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, Spec]]:
    """Walk a struct class depth first."""
    for name, hint in get_type_hints(struct, include_extras=True).items():
        if get_origin(hint) is Annotated:
            yield prefix + name, get_args(hint)[1]
        elif name == _FACTORIES:
            yield from _specs_of(Factory, f"{name}.*.")
        else:
            yield from _specs_of(hint, f"{prefix}{name}.")
