"""A fork of Uniswap V2 as a venue: the same topics, told apart by its factory, and a fee of its own."""

from disruptor.handlers.uniswap_venues import UNISWAP_V2
from disruptor.handlers.venues import PoolLog, Venue, pool_message
from disruptor.message import u128

ForkSync = pool_message("ForkSync", 1020, {"reserve0": u128, "reserve1": u128})
FORK = Venue(
    kind=1020,
    name="fork",
    logs=(
        PoolLog(
            ForkSync, UNISWAP_V2.logs[0].topic, words=("uint112 reserve0", "uint112 reserve1"), settles=True
        ),
    ),
    creations=UNISWAP_V2.creations,
    factories=("0x" + "fc" * 20,),
    fee=2500,
)
