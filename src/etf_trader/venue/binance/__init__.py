"""Binance Spot as a venue."""
