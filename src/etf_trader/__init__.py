"""Run crypto index funds on Binance from the command line."""

__version__ = "0.1.0"
