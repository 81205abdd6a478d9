"""Benchmarks, and the tools that make streams for them."""
