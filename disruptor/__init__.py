"""Disruptor for DeFi: one order, one compiled loop, the same bytes every time."""

__version__ = "0.1.0"
