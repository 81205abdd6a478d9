"""Integers that arithmetic on wide words gets wrong."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

#: Where words begin and end, and the ends of signed and unsigned types.
BOUNDARIES = sorted(
    {edge + e for edge in (2**32, 2**63, 2**64, 2**127, 2**128, 2**192, 2**255) for e in (-1, 0, 1)}
    | {0, 1, 2, 3, 2**256 - 2, 2**256 - 1}
)
_WORDS = st.sampled_from([0, 1, 2**63, 2**64 - 2, 2**64 - 1]) | st.integers(0, 2**64 - 1)


def of_words(words: Sequence[int]) -> int:
    """The integer of these 64-bit words, least significant first."""
    return sum(word << 64 * k for k, word in enumerate(words))


#: Of any width up to 256 bits; next to boundaries; and with words of zeros and of ones, where carries and estimates of
#: quotient words go wrong.
NUMBERS: st.SearchStrategy[int] = (
    st.sampled_from(BOUNDARIES)
    | st.builds(lambda value, shift: value >> shift, st.integers(0, 2**256 - 1), st.integers(0, 256))
    | st.lists(_WORDS, min_size=1, max_size=4).map(of_words)
)
