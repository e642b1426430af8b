"""Brings an index back to its rulebook."""
