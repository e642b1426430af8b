"""Commands that have their name already and come with a later version."""

LATER = {
    "dashboard": "today: etf report fills and etf report holdings",
    "backtest": "today: etf demo, or etf init --market recording",
    "report rebalance": "today: etf report fills",
    "report performance": "today: etf position show",
    "report nav": "today: etf index nav",
}
"""The command, as typed after `etf`, and what does its work until then."""
