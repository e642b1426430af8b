"""Exchanges behind one protocol."""

PAPER = "paper"
"""The environment of the embedded exchange."""

LIVE = "live"
"""The environment in which money is real."""
