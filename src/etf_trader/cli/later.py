"""Commands that have their name already and come with a later version."""

LATER = {
    "dashboard": "today: etf report fills and etf report holdings",
}
"""The command, as typed after `etf`, and what does its work until then."""
