"""The paper exchange over the wire: Binance Spot's REST and WebSocket API on loopback."""
