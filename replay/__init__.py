"""Recorded streams through the loop."""
