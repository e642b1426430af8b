"""Commands that have their name already and come with a later version."""

LATER = {
    "schedule": "today: a crontab line of your own that runs etf worker --once",
    "dashboard": "today: etf report fills and etf report holdings",
    "index mark": "today: etf index nav",
    "index event": "today: etf index create makes another index",
    "index fee": "today: etf index nav",
    "ledger export": "today: etf report fills --format csv",
    "report loss": "today: etf report fills",
    "report rebalance": "today: etf report fills",
    "report performance": "today: etf position show",
    "report costs": "today: etf report fills",
    "report gains": "today: etf position show",
    "report nav": "today: etf index nav",
    "report statement": "today: etf report holdings",
}
"""The command, as typed after `etf`, and what does its work until then."""
