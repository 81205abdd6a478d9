"""`@handler`: business logic for one message type, atomic per event.

A handler is a function `(state, event, out)`. It reads `event["field"]`, reaches tables as `state.<table>` through
`disruptor.access`, and emits through `disruptor.emit`. It returns nothing, `OK`, or an error status; a sliced handler
(`slices=True`) may return `AGAIN` and is then called again for the same event.

It declares the most it can emit and insert, so that the loop checks room for a whole event before it begins: an event
is handled in full or not at all.
"""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from disruptor.errors import DefinitionError
from disruptor.jit import jit
from disruptor.message import MessageType
from disruptor.table import Table


class Handler:
    """A declared handler; see `handler`. Calling it runs the plain Python function."""

    def __init__(
        self,
        function: Callable[..., Any],
        message: MessageType,
        tables: Sequence[Table],
        max_outputs: int,
        max_inserts: Mapping[Table, int],
        slices: bool,
        ahead: Sequence[Callable[..., Any]] = (),
    ) -> None:
        if not isinstance(function, types.FunctionType):
            raise DefinitionError(
                f"@handler: needs a plain function, not {function!r}; it is compiled for you"
            )
        self.function, self.message, self.tables = function, message, tuple(tables)
        self.max_outputs, self.max_inserts, self.slices = max_outputs, dict(max_inserts), slices
        self.ahead = tuple(ahead)
        self.name = function.__name__
        self.module = function.__module__
        self.kernel = jit(function)
        self.returns_status, self._may_return_nothing = _returns(function)
        self.__doc__ = function.__doc__
        self._check()

    def _check(self) -> None:
        where = f"handler {self.name}"
        if len(inspect.signature(self.function).parameters) != 3:
            raise DefinitionError(f"{where}: must take exactly (state, event, out)")
        for stage in self.ahead:
            plain = getattr(stage, "py_func", stage)
            if not callable(plain) or len(inspect.signature(plain).parameters) != 2:
                raise DefinitionError(f"{where}: what runs ahead must take exactly (state, event)")
        if self.returns_status and self._may_return_nothing:
            raise DefinitionError(
                f"{where}: returns a status on one path and nothing on another; return OK there"
            )
        if self.slices and not self.returns_status:
            raise DefinitionError(f"{where}: a sliced handler must return a status, AGAIN or OK")
        if self.max_outputs < 0 or any(n < 1 for n in self.max_inserts.values()):
            raise DefinitionError(f"{where}: max_outputs must be >= 0 and every max_inserts >= 1")
        for table in self.max_inserts:
            if table not in self.tables:
                raise DefinitionError(f"{where}: inserts into {table.name}, which is not among its tables")

    def __call__(self, state: Any, event: Any, out: Any) -> Any:
        """Run the plain Python function (tests and debugging)."""
        return self.function(state, event, out)

    def __repr__(self) -> str:
        return f"<handler {self.name} on {self.message.name}>"


def handler(
    message: MessageType,
    *,
    tables: Sequence[Table] = (),
    max_outputs: int = 0,
    max_inserts: int | Mapping[Table, int] = 0,
    slices: bool = False,
    ahead: Sequence[Callable[..., Any]] = (),
) -> Callable[[Callable[..., Any]], Handler]:
    """Declare a handler for one message type.

    Parameters
    ----------
    message : the type it handles; inputs, or outputs of earlier handlers
    tables : tables it may write; each belongs to one module, all others are read-only for it
    max_outputs : the most outputs it emits for one event (for one slice, if sliced)
    max_inserts : the most rows it inserts for one event: a number for each of its hashed tables and dense
        domains, or a mapping
    slices : it may return AGAIN to be called again for the same event, with room checked anew
    ahead : kernels `(state, event)` that ask for rows before the event is handled (`prefetch`), farthest first: the
        last one runs some events ahead, the one before it twice as many. They change nothing, and what they read may
        be from before the events in between

    Raises
    ------
    DefinitionError : a declaration that can't work.
    """

    if not isinstance(message, MessageType):
        raise DefinitionError(f"@handler: the first argument must be a message type, not {message!r}")

    def declare(function: Callable[..., Any]) -> Handler:
        if isinstance(max_inserts, Mapping):
            inserts = dict(max_inserts)
        else:
            inserts = {t: max_inserts for t in tables if max_inserts and t.key is not None}
        return Handler(function, message, tables, max_outputs, inserts, slices, ahead)

    return declare


def handler_for(
    message: MessageType, function: Callable[..., Any], module: types.ModuleType, **declaration: Any
) -> Handler:
    """Declare a function as the handler of a message that is known only once users' modules are loaded.

    It becomes `<function>_<message>` of `module`, whose tables it may write, and where generated loops import it from.
    The same again for the same message.
    """
    name = f"{function.__name__}_{message.name}"
    found = getattr(module, name, None)
    if isinstance(found, Handler) and found.message is message:
        return found
    assert isinstance(function, types.FunctionType), function
    own = types.FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    own.__module__, own.__doc__ = module.__name__, function.__doc__
    made = handler(message, **declaration)(own)
    setattr(module, name, made)
    return made


def _returns(function: types.FunctionType) -> tuple[bool, bool]:
    """Whether some path returns a value, and whether some path returns nothing: numba can't mix the two."""
    value = nothing = False
    before = None
    for step in dis.get_instructions(function):
        if step.opname in ("RETURN_VALUE", "RETURN_CONST"):
            source = step if step.opname == "RETURN_CONST" else before
            is_none = source is not None and source.opname.endswith("_CONST") and source.argval is None
            value, nothing = value or not is_none, nothing or is_none
        before = step
    return value, nothing
