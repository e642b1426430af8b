"""Exchanges behind one protocol."""
