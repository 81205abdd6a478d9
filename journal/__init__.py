"""The durable event log: segments, frames, verification."""
