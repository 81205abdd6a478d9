"""A first handler: counts the `Sync` events of every V2 pool in its own table, reports every fiftieth."""

from disruptor.access import row
from disruptor.emit import emit
from disruptor.handler import handler
from disruptor.handlers.messages import UniswapV2Sync
from disruptor.message import message, u32
from disruptor.table import Table

SyncMilestone = message("SyncMilestone", 1000, {"pool": u32, "syncs": u32})
sync_counts = Table("sync_counts", {"syncs": u32}, key="pools")


@handler(UniswapV2Sync, tables=[sync_counts], max_outputs=1)
def count_syncs(state, event, out):
    counted = row(state.sync_counts, event["pool"])
    counted["syncs"] += 1
    if counted["syncs"] % 50 == 0:
        milestone = emit(out, SyncMilestone)
        milestone["pool"], milestone["syncs"] = event["pool"], counted["syncs"]
