"""An index as its author writes it: a TOML file, or weights on the command line."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from etf_trader.errors import UsageError
from etf_trader.index.methodology import (
    ASSET,
    LARGEST,
    MOST_CONSTITUENTS,
    TABLES,
    Methodology,
    read_methodology,
    require_whole,
)
from etf_trader.index.mistakes import refuse_mistakes
from etf_trader.market.currency import CURRENCIES, DEFAULT, meant
from etf_trader.money import BASKET_GRID, ONE, ZERO, divide_down, floor_to, plain, round_to, spoken

LOT_METHODS = ("fifo", "hifo", "average")

_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,15}")
_KEYS = ("symbol", "name", "quote", "routes", "start_value", "float", "lot_method", "weights", "basket", *TABLES)
_LEAST_WORTH = Decimal("0.01")
_MOST_WORTH = Decimal("1e12")
_LEAST_SHOWN = Decimal("1e-8")
_OPTIONS = {
    "symbol": "SYMBOL",
    "name": "--name",
    "routes": "--route",
    "start_value": "--start-value",
    "float": "--float",
}


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """An index before it has prices: weights (sum 1), or a basket of quantities per unit; one is empty.

    `routes` are the currencies whose books its orders may use; the quote is one of
    them. `rules` say what the weights are from time to time, where the file has
    any; of a universe both are empty until somebody determines the weights.
    """

    symbol: str
    name: str
    quote: str
    routes: tuple[str, ...]
    start_value: Decimal
    float_cash: Decimal
    lot_method: str
    weights: Mapping[str, Decimal]
    basket: Mapping[str, Decimal]
    rules: Methodology | None = None

    @property
    def assets(self) -> tuple[str, ...]:
        """The constituents, in the order written."""
        return tuple(self.weights or self.basket)

    @property
    def named(self) -> tuple[str, ...]:
        """The assets that the author names: the constituents, or those of a universe to choose from."""
        return self.assets or (self.rules.universe.assets if self.rules is not None else ())

    @property
    def rulebook(self) -> Methodology | None:
        """The rules it is brought back by: its own, or those that weights alone imply; a basket has none."""
        return Methodology(weights=dict(self.weights)) if self.rules is None and self.weights else self.rules

    def with_weights(self, weights: Mapping[str, Decimal]) -> "IndexDefinition":
        """Return the same index with the weights that were determined."""
        return replace(self, weights=dict(weights))

    def document(self) -> dict[str, Any]:
        """Return the definition as plain values, for the record; of a universe, without what follows from it."""
        found: dict[str, Any] = {
            "symbol": self.symbol,
            "name": self.name,
            "quote": self.quote,
            "routes": list(self.routes),
            "start_value": plain(self.start_value),
            "lot_method": self.lot_method,
            "weights": {asset: plain(weight) for asset, weight in self.weights.items()},
            "basket": {asset: plain(quantity) for asset, quantity in self.basket.items()},
        }
        return found if self.rules is None else found | self.rules.document()


@dataclass(frozen=True, slots=True)
class BasketQuantities:
    """Quantities of each constituent, and of cash, per index unit, on a grid of 1e-12."""

    quantities: Mapping[str, Decimal]
    cash: Decimal

    def value(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Return NAV per unit at `prices`."""
        return sum((q * prices[asset] for asset, q in self.quantities.items()), self.cash)


def read_definition(path: Path) -> IndexDefinition:
    """Read an index file.

    Raises:
        UsageError: it cannot be read, or a value in it cannot be; names the key and the remedy.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {(error.strerror or str(error)).lower()}", where=str(path)
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        hint = (
            "a key may stand only once" if "overwrite" in str(error) else "see docs/index-files.md for an example"
        )
        raise UsageError(f"{path} is not valid TOML: {error}", where=str(path), hint=hint) from error
    except InvalidOperation as error:
        raise UsageError(f"{path} holds a number that cannot be read", where=str(path)) from error
    found = definition_from(document, where=str(path))
    return found if found.rules is None else replace(found, rules=found.rules.beside(path))


def definition_from(
    document: Mapping[str, Any], *, where: str, options: Mapping[str, str] | None = None
) -> IndexDefinition:
    """Check the values of an index file.

    Args:
        where: What errors name: the file.
        options: What they name instead, by key: the option that the value came from.

    Raises:
        UsageError: with what is wrong, where, and what to write instead.
    """
    at = dict.fromkeys(_KEYS, where) | dict(options or {})
    for key in document:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            raise UsageError(f"unknown key {key!r} in the index file", where=where, hint=_meant(near))
    symbol = _text(document, "symbol", at["symbol"])
    if not _SYMBOL.fullmatch(symbol):
        raise UsageError(
            f"{symbol!r} cannot be an index symbol",
            where=at["symbol"],
            hint="1 to 16 capital letters and digits, a letter first, for example TOP8",
        )
    method = document.get("lot_method", "fifo")
    if method not in LOT_METHODS:
        raise UsageError(f"lot_method is {_shown(method)}", where=where, hint=f"one of {', '.join(LOT_METHODS)}")
    quote = _currency(_text(document, "quote", where, default=DEFAULT), "the quote", where)
    routes = _routes(document.get("routes", [quote]), quote, at["routes"])
    weights, basket = _holdings(document, quote, where)
    rules = _rules(document, weights, where)
    named = [*weights, *basket, *(rules.universe.assets if rules is not None else ())]
    if both := [asset for asset in named if asset in routes]:
        raise UsageError(f"{both[0]} is a route and cannot be a constituent", where=where)
    start_value = _amount(
        document.get("start_value", Decimal(1000)), "start_value", at["start_value"], least_above=ZERO
    )
    if not basket:
        _check_worth(start_value, f"start_value is {plain(start_value)}", quote, at["start_value"])
    return IndexDefinition(
        symbol=symbol,
        name=_text(document, "name", at["name"], default=symbol),
        quote=quote,
        routes=routes,
        start_value=start_value,
        float_cash=_amount(document.get("float", ZERO), "float", at["float"]),
        lot_method=method,
        weights=weights,
        basket=basket,
        rules=rules,
    )


def _holdings(
    document: Mapping[str, Any], quote: str, where: str
) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return the weights and the basket of an index file; at most one of them is there."""
    weights, basket = document.get("weights", {}), document.get("basket", {})
    for name, table in (("weights", weights), ("basket", basket)):
        if not isinstance(table, Mapping):
            raise UsageError(f"[{name}] must be a table of asset = number", where=where)
    if bool(weights) + bool(basket) + ("universe" in document) != 1:
        said = "both [weights] and [basket]" if weights and basket else "neither [weights] nor [basket]"
        if "universe" in document:
            said = f"[{'weights' if weights else 'basket'}] beside [universe]"
        raise UsageError(
            f"the index has {said}",
            where=where,
            hint="give exactly one of [weights], [basket] and [universe]",
        )
    constituents = _constituents(weights or basket, "weight" if weights else "quantity", quote, where)
    if weights:
        require_whole(constituents, where)
    if basket:
        _check_grid(constituents, where)
    return (constituents, {}) if weights else ({}, constituents)


def _rules(document: Mapping[str, Any], weights: Mapping[str, Decimal], where: str) -> Methodology | None:
    """Return the rulebook of an index file that has one."""
    tables = {key: document[key] for key in TABLES if key in document}
    if not tables:
        return None
    if "basket" in document:
        raise UsageError(
            f"[{next(iter(tables))}] beside [basket]: a basket has no weights to be brought back to",
            where=where,
            hint="give [weights] or [universe] instead",
        )
    found = read_methodology(tables | ({"weights": dict(weights)} if weights else {}), where)
    refuse_mistakes(found, where)
    return found


def definition_from_options(
    symbol: str,
    weights: Iterable[str],
    *,
    name: str | None,
    routes: Sequence[str] = (),
    start_value: Decimal,
    float_cash: Decimal,
) -> IndexDefinition:
    """Build a definition from `--weight BTC=0.5` and `--route USDC` options; without routes, the quote's alone.

    Raises:
        UsageError: a weight or a route cannot be, or an asset is named twice.
    """
    table: dict[str, Decimal] = {}
    for text in weights:
        asset, separator, number = text.partition("=")
        asset = asset.strip().upper()
        if not separator:
            raise UsageError(
                f"--weight {text!r} is not of the form ASSET=WEIGHT", hint="for example --weight BTC=0.5"
            )
        if asset in table:
            raise UsageError(f"{asset} is named twice", where="--weight", hint="add its weights and name it once")
        table[asset] = number_from(number, f"the weight of {asset}", "--weight")
    if not table:
        raise UsageError(
            "the index has no constituents", hint="--weight BTC=0.5 --weight ETH=0.5, or --file index.toml"
        )
    document: dict[str, Any] = {
        "symbol": symbol,
        "start_value": start_value,
        "float": float_cash,
        "weights": table,
    }
    document |= ({"name": name} if name else {}) | ({"routes": list(routes)} if routes else {})
    return definition_from(document, where="--weight", options=_OPTIONS)


def number_from(text: str, what: str, where: str | None = None) -> Decimal:
    """Read an exact, finite number.

    Raises:
        UsageError: it is none; names `what` and `where`.
    """
    try:
        value = Decimal(text.strip().replace("_", ""))
    except InvalidOperation as error:
        raise UsageError(f"{what} is {text!r}, not a number", where=where, hint="write it like 12.5") from error
    if not value.is_finite():
        raise UsageError(f"{what} is {text.strip()}: it must be a finite number", where=where)
    if abs(value) >= LARGEST or (value and value.adjusted() < -18) or -value.as_tuple().exponent > 30:  # type: ignore[operator]
        raise UsageError(f"{what} is {text.strip()}: no amount of money is so large or so fine", where=where)
    return value


def basket_of(definition: IndexDefinition, mids: Mapping[str, Decimal]) -> BasketQuantities:
    """Turn weights into quantities at `mids`, rounded down at 12 decimals; the remainder is basket cash.

    A reserve of the rulebook is left in cash.

    Raises:
        UsageError: a weight is so small that nothing of its asset is left, or a unit is worth next to nothing.
    """
    if definition.basket:
        basket = BasketQuantities(dict(definition.basket), ZERO)
        worth = basket.value(mids)
        shown = spoken(round_to(worth, _LEAST_SHOWN)) if worth >= _LEAST_SHOWN else plain(worth)
        _check_worth(worth, f"a unit of this basket is worth {shown}", definition.quote, "[basket]")
        return basket
    invested = definition.start_value * (ONE - (definition.rules.rebalance.reserve if definition.rules else ZERO))
    quantities = {
        asset: divide_down(weight * invested, mids[asset], BASKET_GRID)
        for asset, weight in definition.weights.items()
    }
    for asset, quantity in quantities.items():
        if quantity == 0:
            raise UsageError(f"the weight of {asset} is too small: a unit would hold none of it", where=asset)
    spent = sum((quantity * mids[asset] for asset, quantity in quantities.items()), ZERO)
    return BasketQuantities(quantities, floor_to(definition.start_value - spent, BASKET_GRID))


def _currency(name: str, what: str, where: str) -> str:
    if name.upper() not in CURRENCIES:
        raise UsageError(f"{what} is {name!r}, not a currency", where=where, hint=meant(name, CURRENCIES))
    return name.upper()


def _routes(value: Any, quote: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise UsageError("routes must be a list of currencies", where=where, hint=f'routes = ["{quote}", "USDC"]')
    routes = tuple(_currency(name.strip(), "a route", where) for name in value)
    if twice := [name for name in routes if routes.count(name) > 1]:
        raise UsageError(f"the route {twice[0]} is named twice", where=where, hint="name each once")
    if quote not in routes:
        raise UsageError(f"the quote {quote} is not among the routes", where=where, hint=f"name {quote} too")
    return routes


def _constituents(table: Mapping[str, Any], what: str, quote: str, where: str) -> dict[str, Decimal]:
    if len(table) > MOST_CONSTITUENTS:
        raise UsageError(f"{len(table)} constituents; an index has 1 to {MOST_CONSTITUENTS}", where=where)
    constituents: dict[str, Decimal] = {}
    for name, number in table.items():
        asset = str(name).upper()
        if not ASSET.fullmatch(asset):
            raise UsageError(f"{name!r} is not the symbol of an asset", where=where)
        if asset in constituents:
            raise UsageError(f"{asset} is named twice", where=where, hint="name each constituent once")
        if asset == quote:
            raise UsageError(f"{asset} is the quote asset and cannot be a constituent", where=where)
        value = _amount(number, f"the {what} of {asset}", where, least_above=ZERO)
        constituents[asset] = value
    return constituents


def _check_grid(constituents: Mapping[str, Decimal], where: str) -> None:
    for asset, quantity in constituents.items():
        if floor_to(quantity, BASKET_GRID) != quantity:
            raise UsageError(f"the quantity of {asset} has more than 12 decimals", where=where, hint="round it")


def _amount(value: Any, what: str, where: str, least_above: Decimal | None = None) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise UsageError(f"{what} is {_shown(value)}, not a number", where=where)
    number = number_from(value if isinstance(value, str) else _shown(value), what, where)
    if least_above is not None and number <= least_above:
        raise UsageError(f"{what} is {plain(number)}: it must be above {plain(least_above)}", where=where)
    if number < 0:
        raise UsageError(f"{what} is {plain(number)}: it must not be negative", where=where)
    return number


def _text(document: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if value is None:
        raise UsageError(f"the index file has no {key}", where=where, hint=f'add {key} = "..."')
    if not isinstance(value, str) or not value.strip() or len(value) > 200 or not value.isprintable():
        raise UsageError(f"{key} is {_shown(value)}: it must be a short text", where=where)
    return value.strip()


def _shown(value: Any) -> str:
    """Return a value of an index file as it is typed there."""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal) and not value.is_finite():
        return str(value).lower().replace("infinity", "inf")
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return str(value)


def _check_worth(worth: Decimal, told: str, quote: str, where: str) -> None:
    """Refuse units so cheap that cents do not tell them apart, or so dear that sums lose their meaning."""
    if not _LEAST_WORTH <= worth <= _MOST_WORTH:
        raise UsageError(
            f"{told}: a unit must be worth {plain(_LEAST_WORTH)} to {spoken(_MOST_WORTH)} {quote}", where=where
        )


def _meant(near: list[str]) -> str:
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(_KEYS)}"
