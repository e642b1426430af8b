"""The simulated exchange: another party, with rules and a database of its own."""
