"""Binance Spot as a venue: REST and the user stream, in the words of `venue/interface.py`."""
