"""Typed settings, their loader, and the YAML profiles."""
