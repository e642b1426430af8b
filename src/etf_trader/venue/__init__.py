"""Exchanges behind one protocol."""

PAPER = "paper"
"""The environment of the embedded exchange."""
