"""A JSON document read part by part: what is not as it should be is told with its place."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TypeVar

from etf_trader.market.book import Level

_NUMBER = re.compile(r"(?!-0$)-?(0|[1-9][0-9]{0,59})(\.[0-9]{0,59}[1-9])?")  # as `plain` writes it
Item = TypeVar("Item")


class Malformed(ValueError):
    """What was handed in does not have the form of a plan: `where` and `what` say why."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where} {what}")
        self.where, self.what = where, what


class Impossible(Malformed):
    """It has the form of a plan, and says what cannot be: a crossed book, a step of 0."""


class Reader:
    """One value of a JSON document, with its place in it."""

    def __init__(self, value: object, where: str) -> None:
        self.value, self.where = value, where

    def __getitem__(self, name: str) -> "Reader":
        if not isinstance(self.value, dict):
            raise Malformed(self.where, "is not an object")
        if name not in self.value:
            raise Malformed(f"{self.where}.{name}", "is missing")
        return Reader(self.value[name], f"{self.where}.{name}")

    def has(self, name: str) -> bool:
        """Return whether an object has a member of this name."""
        return isinstance(self.value, dict) and name in self.value

    def items(self) -> Iterator[tuple[str, "Reader"]]:
        """Yield the members of an object."""
        if not isinstance(self.value, dict):
            raise Malformed(self.where, "is not an object")
        for name in self.value:
            yield name, self[name]

    def list(self) -> list["Reader"]:
        """Return the entries of a list."""
        if not isinstance(self.value, list):
            raise Malformed(self.where, "is not a list")
        return [Reader(entry, f"{self.where}[{place}]") for place, entry in enumerate(self.value)]

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.value, str):
            raise Malformed(self.where, "is not a text")
        return self.value

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise Malformed(self.where, "is neither true nor false")
        return self.value

    def count(self) -> int:
        """Return a whole number that is not negative."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not 0 <= self.value < 10**9:
            raise Malformed(self.where, "is not a whole number")
        return self.value

    def number(self) -> Decimal:
        """Return a decimal, which must be written as `plain` writes it."""
        text = self.text()
        if not _NUMBER.fullmatch(text):
            raise Malformed(self.where, f"is {text[:40]!r}, which is not a number as plans write it")
        return Decimal(text)

    def maybe(self, read: Callable[["Reader"], Item]) -> Item | None:
        """Return what `read` makes of it; None for null."""
        return None if self.value is None else read(self)

    def pair(self) -> tuple[Decimal, Decimal]:
        """Return two numbers."""
        entries = self.list()
        if len(entries) != 2:
            raise Malformed(self.where, "is not a pair of numbers")
        return entries[0].number(), entries[1].number()

    def levels(self) -> tuple[Level, ...]:
        """Return a list of levels, [price, quantity] each; there may be a hundred thousand of them."""
        if not isinstance(self.value, list):
            raise Malformed(self.where, "is not a list")
        found = []
        for place, entry in enumerate(self.value):
            match entry:
                case [str(price), str(quantity)] if _NUMBER.fullmatch(price) and _NUMBER.fullmatch(quantity):
                    found.append(Level(Decimal(price), Decimal(quantity)))
                case _:
                    raise Malformed(f"{self.where}[{place}]", "is not a price and a quantity as plans write them")
        return tuple(found)

    def numbers(self) -> dict[str, Decimal]:
        """Return the members of an object, all of them numbers."""
        return {name: each.number() for name, each in self.items()}
