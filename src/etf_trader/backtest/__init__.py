"""The rulebook of an index on past prices: the same decisions, plans and books, on a clock that jumps."""
