"""The generated loop: one small module per handler set, which imports the handlers and is the only code cached on disk.

A loop that captured its handlers in a closure would never hit numba's cache, and calls through function pointers are
not inlined. So the loop is written out as text: one branch per input type, the handlers called by name. What is known
beforehand is in the text as constants: room needed, declared limits, who may receive what.

Within an event, handlers run in declared order. Handler k gets the input if it asked for it, then every output that
earlier handlers emitted for this event and that it asked for. A sliced handler's outputs reach the later handlers
slice by slice, so that room is only ever needed for one slice.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disruptor import compile_cache, identity
from disruptor.errors import DefinitionError
from disruptor.handler_set import HandlerSet, Stage
from disruptor.jit import JIT_DISABLED
from disruptor.message import DEFAULT_SLOT_SIZE, MessageType
from disruptor.status import AGAIN, IDLE, OK, RING_FULL, STOPPED, TABLE_FULL, TOO_MANY_SLICES

#: The loop's own cell: what goes in and what comes back with a reason.
CONTROL_DTYPE = np.dtype(
    [
        ("next", "<i8"),  # sequence to process next
        ("limit", "<i8"),  # first sequence not to process
        ("base", "<i8"),  # sequence of input slot 0 (0 for a ring)
        ("mask", "<i8"),  # input slot = (sequence - base) & mask
        ("max_batch", "<i8"),  # events between two publications of progress
        ("consumed", "<i8"),  # outputs that the consumer is done with
        ("stage", "<i8"),  # sliced handler to resume within event `next`, -1 none
        ("slices", "<i8"),  # slices that it has run so far
        ("handler", "<i8"),  # handler that returned an error, -1 none
        ("table", "<i8"),  # table that was full, -1 none
    ],
    align=True,
)
#: Events between two stages of what runs ahead of an event: time for a row to come from memory.
AHEAD = 8
#: A sliced handler that asks for more is stuck.
MAX_SLICES = 1 << 24


@dataclass(frozen=True)
class GeneratedLoop:
    """The compiled loop and the order of its arguments' parts."""

    function: Any
    label: str
    key: str


def generate(
    handlers: HandlerSet,
    *,
    checked: bool,
    slot_size: int = DEFAULT_SLOT_SIZE,
    ahead: bool = True,
    chained: bool = False,
) -> GeneratedLoop:
    """Write, import and return the loop of a handler set in one of its variants.

    checked : row indices are checked; ahead : rows are asked for in advance; chained : the loop takes one argument
        more, the arrays of a `disruptor.chain`, and keeps it (rows of digested tables are always checked then)
    """
    source = _Writer(handlers, checked, slot_size, ahead, chained).text()
    for h in handlers.handlers:
        if getattr(sys.modules.get(h.module), h.name, None) is not h:
            raise DefinitionError(
                f"handler {h.name}: {h.module}.{h.name} is another object by now; give each handler a name of its own"
            )
    closure = identity.close([*handlers.roots, *(stage for h in handlers.handlers for stage in h.ahead)])
    linked = ("disruptor.access", "disruptor.emit", "disruptor.atomics", "disruptor.table_code")
    for name in (*linked, *(("disruptor.chain",) if chained else ())):
        closure.modules[name] = importlib.import_module(name)
    extra = [source, *(t.schema() for t in handlers.tables)]
    extra += [m.schema_hash.to_bytes(8, "little").hex() for m in [*handlers.inputs, *handlers.outputs]]
    key = identity.cache_key(closure, extra)
    module = compile_cache.load_generated("loop", key, source)
    return GeneratedLoop(module.loop, f"loop of {len(handlers.handlers)} handlers", key)


class _Writer:
    """Builds the module's text."""

    def __init__(
        self, handlers: HandlerSet, checked: bool, slot_size: int, ahead: bool, chained: bool = False
    ) -> None:
        self.set, self.checked, self.slot_size, self.chained = handlers, checked, slot_size, chained
        self.ahead = ahead and not JIT_DISABLED
        self.lines: list[str] = []
        self.depth = 0
        self.modules = list(dict.fromkeys(h.module for h in handlers.handlers))

    def text(self) -> str:
        self._imports()
        self._signature()
        self._unpack()
        self._outer_loop()
        return "\n".join(self.lines) + "\n"

    def put(self, *lines: str) -> None:
        self.lines.extend("    " * self.depth + line if line else "" for line in lines)

    def _imports(self) -> None:
        self.put(
            '"""Generated: the loop of one handler set. Edits are overwritten."""',
            "",
            "from numba import njit",
            "",
        )
        self.put("from disruptor.access import meta_of")
        self.put("from disruptor.atomics import load_acquire, store_release")
        if self.chained:
            self.put("from disruptor.chain import end_event, fold_outputs")
        self.put("from disruptor.emit import cell_of, fault_of, output_at, type_at")
        self.put("from disruptor.handler_set import state_layout")
        self.put("from disruptor.references import OutputLayout, bind_output, bind_state")
        for k, h in enumerate(self.set.handlers):
            _ensure_importable(h.module)
            self.put(f"from {h.module} import {h.name} as _handler{k}")
        for k, e in enumerate(self.set.extensions):
            _ensure_importable(e.module)
            self.put(f"from {e.module} import {e.name} as _extension{k}")
        count = len(self.set.handlers)
        self.put("", f"_handlers = [{', '.join(f'_handler{k}' for k in range(count))}]")
        for k in range(count):
            self.put(f"_h{k} = _handler{k}.kernel", f"_m{k} = _handler{k}.message")
        extensions = "".join(f"_extension{k}, " for k in range(len(self.set.extensions)))
        for k, h in enumerate(self.set.handlers):
            for s in range(len(h.ahead) if self.ahead else 0):
                self.put(f"_a{k}_{s} = _handler{k}.ahead[{s}]")
        seen = f"checked={self.checked}, extensions=({extensions}){', noted=True' if self.chained else ''}"
        self.put(f"_layout_ahead = state_layout(_handlers, '', {seen})")
        for number, module in enumerate(self.modules):
            self.put(f"_layout{number} = state_layout(_handlers, {module!r}, {seen})")
        self.put(f"_outputs = OutputLayout({self.slot_size})", "", "")

    def _signature(self) -> None:
        self.put('@njit(nogil=True, error_model="numpy", fastmath=False, _nrt=False, cache=True)')
        last = ", chain" if self.chained else ""
        self.put(f"def loop(control, cells, counts, headers, inputs, tables, outputs{last}):")
        self.depth = 1

    def _unpack(self) -> None:
        self.put("c = control[0]", "cursor, progress, word, ordinals = cells")
        self.put(_unpacking([f"in_{m.name}" for m in self.set.inputs], "inputs"))
        self.put("out = bind_output(_outputs, outputs)", "cell = cell_of(out)")
        self.put("out_mask = cell['mask']", "out_capacity = out_mask + 1")
        for number in range(len(self.modules)):
            self.put(f"state{number} = bind_state(_layout{number}, tables)")
        self.put("state_ahead = bind_state(_layout_ahead, tables)")
        for t in self.set.tables:
            if any(t in h.max_inserts for h in self.set.handlers):
                self.put(f"meta_{t.name} = meta_of(state0.{t.name})")

    def _outer_loop(self) -> None:
        self.put("sequence = c['next']", "base = c['base']", "mask = c['mask']", "limit = c['limit']")
        self.put(f"status = {OK}", "failed = -1", "full = -1", f"reason = {IDLE}", "first = cell['next']")
        self.put("while True:")
        self.depth = 2
        self.put("if load_acquire(word, 0) != 0:", f"    reason = {STOPPED}", "    break")
        self.put("available = min(load_acquire(cursor, 0) + 1, limit, sequence + c['max_batch'])")
        self.put("if sequence >= available:", "    break")
        self.put("while sequence < available:")
        self.depth = 3
        self.put("i = (sequence - base) & mask", "type_id = headers[i]['type_id']")
        self._run_ahead()
        for number, message in enumerate(self.set.inputs):
            self._branch(number, message)
        self.put("else:" if self.set.inputs else "if True:", "    counts[0] += 1")
        if self.chained:
            self.put("end_event(chain, sequence)")
        self.put("sequence += 1")
        self.depth = 2
        if self.chained:  # before anything may leave the ring
            self.put("fold_outputs(chain, cell['next'])")
        self.put("store_release(progress, 0, sequence - 1)")
        self.put(f"if status != {OK}:", "    reason = status", "    break")
        self.depth = 1
        self.put("if failed >= 0:", "    cell['next'] = first  # a failed event's outputs never leave")
        self.put("c['next'] = sequence", "c['handler'] = failed", "c['table'] = full", "return reason")

    def _run_ahead(self) -> None:
        """Ask for the rows of coming events: the farther the event, the earlier the stage."""
        depth = max((len(h.ahead) for h in self.set.handlers if self.ahead), default=0)
        for stage in range(depth, 0, -1):
            self.put(f"if sequence + {stage * AHEAD} < available:")
            self.depth += 1
            self.put(f"j = (sequence + {stage * AHEAD} - base) & mask", "kind = headers[j]['type_id']")
            word = "if"
            for message in self.set.inputs:
                calls = [
                    f"    _a{k}_{len(h.ahead) - stage}(state_ahead, in_{message.name}[j])"
                    for k, h in enumerate(self.set.handlers)
                    if h.message.type_id == message.type_id and len(h.ahead) >= stage
                ]
                if calls:
                    self.put(f"{word} kind == {message.type_id}:  # {message.name}", *calls)
                    word = "elif"
            self.depth -= 1

    def _branch(self, number: int, message: MessageType) -> None:
        stages = self.set.stages(message)
        sliced = any(self.set.handlers[s.number].slices for s in stages)
        self.put(f"{'if' if number == 0 else 'elif'} type_id == {message.type_id}:  # {message.name}")
        self.depth += 1
        if sliced:
            self.put("resume = c['stage']")
        else:
            self._room(stages)
        emitting = self.set.outputs_needed(stages) > 0
        if sliced:
            self.put("if resume < 0:")
            self.depth += 1
            self._room(stages)
        if emitting:
            self.put("cell['sequence'] = sequence", "cell['event_time_ns'] = headers[i]['event_time_ns']")
            for s in stages:
                self.put(f"ordinals[{s.number}] = 0")
        self.put(f"counts[{number + 1}] += 1")
        if sliced:
            self.depth -= 1
        if stages:
            self.put("first = cell['next']", f"event = in_{message.name}[i]")
        for at, stage in enumerate(stages):
            self._stage(stage, stages[at + 1 :], sliced)
        if sliced:
            self.put("c['stage'] = -1", "c['slices'] = 0")
        self.depth -= 1

    def _room(self, stages: list[Stage]) -> None:
        needed = self.set.outputs_needed(stages)
        if needed:
            self.put(f"if cell['next'] + {needed} - c['consumed'] > out_capacity:")
            self.put(f"    status = {RING_FULL}", "    break")
        for table, count in self.set.inserts_needed(stages).items():
            used = "count" if table.hashed else "high"
            self.put(f"if meta_{table.name}['{used}'] + {count} > meta_{table.name}['capacity']:")
            self.put(f"    status = {TABLE_FULL}", f"    full = {self.set.tables.index(table)}", "    break")

    def _stage(self, stage: Stage, later: list[Stage], guarded: bool) -> None:
        h = self.set.handlers[stage.number]
        opened = 0
        if guarded:
            self.put(f"if resume <= {stage.number}:")
            self.depth += 1
            opened = 1
        if stage.on_input and h.slices:
            self._sliced_call(stage, later)
        elif stage.on_input:
            self._call(stage, "event")
        if stage.on_outputs:
            self._cascade(stage, "first")
        self.depth -= opened

    def _sliced_call(self, stage: Stage, later: list[Stage]) -> None:
        receivers = [s for s in later if s.on_outputs]
        self.put(f"more = {AGAIN}", f"while more == {AGAIN}:")
        self.depth += 1
        self._room_for_slice([stage, *receivers], stage)
        self._call(stage, "event", sliced=True)
        for receiver in receivers:
            self._cascade(receiver, "first")
        self.put("first = cell['next']", "c['slices'] += 1")
        self.put(f"if more == {AGAIN} and c['slices'] >= {MAX_SLICES}:")
        self.put(f"    status = {TOO_MANY_SLICES}", f"    failed = {stage.number}", "    break")
        self.depth -= 1
        self.put(f"if status != {OK}:", "    break")
        if later:
            # The slices may have used the room that the event began with.
            self._room_again(later, later[0].number)

    def _room_for_slice(self, stages: list[Stage], stage: Stage) -> None:
        alone = [Stage(stage.number, True, False), *(Stage(s.number, False, True) for s in stages[1:])]
        self._room_again(alone, stage.number)

    def _room_again(self, stages: list[Stage], resume: int) -> None:
        """Check room in the middle of an event, which is resumed at handler `resume` if there is none."""
        before = len(self.lines)
        self._room(stages)
        for at in range(before, len(self.lines)):
            if self.lines[at].strip() == "break":
                indent = self.lines[at][: -len("break")]
                self.lines[at] = f"{indent}c['stage'] = {resume}\n{indent}break"

    def _cascade(self, stage: Stage, start: str) -> None:
        """Give a handler every output from `start` on that it asked for; leaves the event on an error."""
        h = self.set.handlers[stage.number]
        self.put(f"at = {start}", "end = cell['next']", "while at < end:")
        self.depth += 1
        self.put("j = at & out_mask", f"if type_at(out, j) == {h.message.type_id}:")
        self.depth += 1
        self._call(stage, f"output_at(out, j, _m{stage.number})")
        self.depth -= 1
        self.put("at += 1")
        self.depth -= 1
        self.put(f"if status != {OK}:", "    break")

    def _call(self, stage: Stage, event: str, *, sliced: bool = False) -> None:
        h = self.set.handlers[stage.number]
        k = stage.number
        if h.max_outputs:
            self.put(f"cell['handler'] = {k}", f"cell['ordinal'] = ordinals[{k}]")
            self.put(f"cell['limit'] = cell['next'] + {h.max_outputs}")
        for table, count in h.max_inserts.items():
            self.put(f"meta_{table.name}['inserts_left'] = {count}")
        call = f"_h{k}(state{self.modules.index(h.module)}, {event}, out)"
        if sliced:
            self.put(f"more = {call}", f"if more != {AGAIN}:", "    status = more")
        elif h.returns_status:
            self.put(f"status = {call}")
        else:
            self.put(call)
        if h.max_outputs:
            self.put(f"ordinals[{k}] = cell['ordinal']")
        for table in h.max_inserts:
            self.put(f"meta_{table.name}['inserts_left'] = 0")
        self.put("if fault_of(out) != 0:", "    status = fault_of(out)")
        self.put(f"if status != {OK}:", f"    failed = {k}", "    break")


def _unpacking(names: list[str], source: str) -> str:
    if not names:
        return f"_ = {source}"
    return f"({', '.join(names)},) = {source}"


def _ensure_importable(name: str) -> None:
    """A generated module imports handlers by module name, so that name must be the real module."""
    if name not in sys.modules:
        importlib.import_module(name)


def load_user_module(path: str) -> types.ModuleType:
    """Import a user's handler file under a name that hashes its path; its folder is importable for its own imports."""
    file = Path(path).resolve()
    name = "disruptor_user_" + hashlib.sha256(str(file).encode()).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    return compile_cache.import_file(name, file)
