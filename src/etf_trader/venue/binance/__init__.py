"""Binance Spot as a venue: REST and the user stream, and order books kept from the market streams."""
