"""The kernel that answers queries, as compiled for the venues of a handler set.

Without venues of users' own it is `quote_kernels.answer_queries`. With them a module is generated that imports them, as
the loop of a handler set is (`disruptor.codegen`), so that it is found in the cache again until any of their code is
edited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from disruptor import compile_cache, identity
from disruptor.compile_cache import Entry
from disruptor.handler_set import Extension
from disruptor.handlers.quote_kernels import answer_each, answer_queries, quote_layout
from disruptor.references import StateLayout, bind_state


def queries_kernel(extensions: Sequence[Extension]) -> Callable[..., None]:
    """`answer_queries` for handler sets with these venues; its tables are those of `layout_of(extensions)`."""
    return _Answers(extensions) if extensions else answer_queries


def layout_of(extensions: Sequence[Extension]) -> StateLayout:
    """The state that queries are answered from."""
    return quote_layout([extension.value for extension in extensions])


class _Answers(Entry):
    """An entry that knows users' venues."""

    def __init__(self, extensions: Sequence[Extension]) -> None:
        self.extensions, self.layout = tuple(extensions), layout_of(extensions)

        def answer_queries_of_venues(tables: Any, *rest: Any) -> None:
            answer_each(bind_state(self.layout, tables), *rest)

        super().__init__(answer_queries_of_venues, None)

    def _load(self) -> Any:
        names = [f"_venue{k}" for k in range(len(self.extensions))]
        imports = zip(self.extensions, names, strict=True)
        lines = [
            '"""Generated: answers to queries over users\' venues."""',
            "from numba import njit",
            "from disruptor.handlers.quote_kernels import answer_each, quote_layout",
            "from disruptor.references import bind_state",
            *(f"from {e.module} import {e.name} as {name}" for e, name in imports),
            f"_layout = quote_layout([{', '.join(names)}])",
            "",
            "",
            '@njit(nogil=True, error_model="numpy", fastmath=False, _nrt=False, cache=True)',
            "def answer_queries(tables, queries, ids, answers, kept):",
            "    answer_each(bind_state(_layout, tables), queries, ids, answers, kept)",
        ]
        source = "\n".join(lines) + "\n"
        closure = identity.close([answer_each, *(e.value for e in self.extensions)])
        key = identity.cache_key(closure, [source, self.layout.key()])
        return compile_cache.load_generated("answers", key, source).answer_queries
