"""Business logic compiled by numba: pools, arbitrage, exact arithmetic. No clock, no I/O, no randomness."""
