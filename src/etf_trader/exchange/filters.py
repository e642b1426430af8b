"""The filters that a new order must pass, by its type, and how many orders may be open.

Each check names the first filter that fails. What they need to know of the
market and of the account's other orders is asked for only where a filter needs it.

Source:
    Binance Spot API: filters.md, errors.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from etf_trader.exchange.matching import BUY, CONDITIONAL, Order, Range
from etf_trader.exchange.parameters import MARKET, STOP_LOSS, STOP_LOSS_LIMIT, WITHOUT_LIMIT, Terms
from etf_trader.exchange.refusal import filter_failure, rejected, unsupported
from etf_trader.exchange.rules import TRADING, SymbolRules, check_digits, within
from etf_trader.money import ZERO

Reference = Callable[[int], Decimal | None]
"""Gives the reference price over so many minutes; None where there is none."""

_NOTHING = "Price * QTY is zero or less."


def check_open(rules: SymbolRules, kind: str, status: str | None = None) -> None:
    """Check that the symbol trades, and by orders of this type.

    Args:
        rules: The symbol's.
        kind: The type of the order.
        status: The symbol's, where it is another than the market says.

    Raises:
        ExchangeError: -2010, -1116.
    """
    if (status or rules.status) != TRADING:
        raise rejected("Market is closed.")
    rules.check_type(kind)


def check(rules: SymbolRules, side: str, kind: str, terms: Terms, reference: Reference) -> None:
    """Check a new order against every filter that looks at the order alone.

    Raises:
        ExchangeError: -1111, -1013 or -2010, naming the first thing that fails.
    """
    _check_allowed(rules, terms)
    _check_stop(rules, side, kind, terms)
    if kind not in WITHOUT_LIMIT:
        if terms.price * terms.quantity <= 0 and not rules.min_price and not rules.min_quantity:
            raise rejected(_NOTHING)
        banded = reference(rules.band_minutes) if rules.band_filter is not None else None
        rules.check(side, terms.price, terms.quantity, banded)
        if terms.price <= 0:
            raise rejected(_NOTHING)
        _check_iceberg(rules, terms)
    elif terms.quote_quantity is None:
        check_digits("quantity", terms.quantity, rules.quantity_digits)
        if terms.quantity <= 0 or not rules.lot.holds(terms.quantity):
            raise filter_failure("LOT_SIZE")
        if kind == MARKET and not rules.market_lot.holds(terms.quantity):
            raise filter_failure("MARKET_LOT_SIZE")
        average = reference(rules.notional_minutes) if rules.notional_filter else None
        check_market_notional(rules, None if average is None else average * terms.quantity)
    else:
        check_digits("quoteOrderQty", terms.quote_quantity, rules.price_digits)
        check_market_notional(rules, terms.quote_quantity)


def check_market_notional(rules: SymbolRules, notional: Decimal | None) -> None:
    """Check the value of an order without a limit, as far as the filter applies to such orders.

    Raises:
        ExchangeError: -1013.
    """
    if rules.notional_filter is None or notional is None:
        return
    least = rules.min_notional if rules.min_to_market else ZERO
    most = rules.max_notional if rules.max_to_market else ZERO
    if not within(notional, least, most):
        raise filter_failure(rules.notional_filter)


def check_counts(rules: SymbolRules, kind: str, terms: Terms, open_here: Sequence[Order]) -> None:
    """Check that the account may have one more such order open in the symbol, beside those in `open_here`.

    Raises:
        ExchangeError: -1013.
    """
    if rules.max_orders is not None and len(open_here) >= rules.max_orders:
        raise filter_failure("MAX_NUM_ORDERS")
    algo = sum(order.is_waiting for order in open_here)
    if kind in CONDITIONAL and rules.max_algo_orders is not None and algo >= rules.max_algo_orders:
        raise filter_failure("MAX_NUM_ALGO_ORDERS")
    icebergs = sum(order.iceberg_quantity is not None for order in open_here)
    is_iceberg = terms.iceberg_quantity is not None
    if is_iceberg and rules.max_iceberg_orders is not None and icebergs >= rules.max_iceberg_orders:
        raise filter_failure("MAX_NUM_ICEBERG_ORDERS")


def check_exchange_counts(
    entries: Iterable[Mapping[str, Any]], kind: str, terms: Terms, counted: Callable[[], tuple[int, int, int]]
) -> None:
    """Check that the account may have one more such order open on the whole exchange.

    Args:
        entries: The exchange's own filters.
        kind: The type of the new order.
        terms: What it says.
        counted: Gives how many the account has open: all, conditional ones, icebergs.

    Raises:
        ExchangeError: -1013.
    """
    for entry in entries:
        name = entry["filterType"]
        if name == "EXCHANGE_MAX_NUM_ORDERS" and counted()[0] >= int(entry["maxNumOrders"]):
            raise filter_failure(name)
        if (
            name == "EXCHANGE_MAX_NUM_ALGO_ORDERS"
            and kind in CONDITIONAL
            and counted()[1] >= int(entry["maxNumAlgoOrders"])
        ):
            raise filter_failure(name)
        if (
            name == "EXCHANGE_MAX_NUM_ICEBERG_ORDERS"
            and terms.iceberg_quantity is not None
            and counted()[2] >= int(entry["maxNumIcebergOrders"])
        ):
            raise filter_failure(name)


def check_position(rules: SymbolRules, held: Decimal, buying: Decimal, quantity: Decimal) -> None:
    """Check that a buy of `quantity` keeps the position within its bound.

    Args:
        rules: The symbol's.
        held: What the account has of the base, free and locked.
        buying: What its open buys may still bring.
        quantity: The new order's.

    Raises:
        ExchangeError: -1013.
    """
    if rules.max_position is not None and held + buying + quantity > rules.max_position:
        raise filter_failure("MAX_POSITION")


def execution_range(rules: SymbolRules, side: str, reference: Reference) -> Range | None:
    """Return the prices at which a taker may trade now; None where the symbol has no such rule."""
    if not rules.execution_range:
        return None
    price = reference(rules.reference_minutes)
    if price is None:
        return None
    down, up = rules.execution_range[side]
    return Range(price * down, price * up)


def check_liquidity(rules: SymbolRules, takeable: Decimal, wanted: Decimal) -> None:
    """Check that the book has the least quantity of an order told in quote.

    Raises:
        ExchangeError: -2010, or -1013 where the order itself is too small or too large.
    """
    if not wanted and not takeable:
        raise rejected("Order book liquidity is less than symbol minimum quantity.")
    for name, lot in (("LOT_SIZE", rules.lot), ("MARKET_LOT_SIZE", rules.market_lot)):
        if takeable < lot.least <= wanted:
            raise rejected(f"Order book liquidity is less than {name} filter minimum quantity.")
        if not lot.holds(wanted):
            raise filter_failure(name)


def _check_allowed(rules: SymbolRules, terms: Terms) -> None:
    asked = {
        "icebergAllowed": (terms.iceberg_quantity, "Iceberg orders are not supported for this symbol."),
        "quoteOrderQtyMarketAllowed": (
            terms.quote_quantity,
            "Quote order qty market orders are not support for this symbol.",
        ),
        "allowTrailingStop": (terms.trailing_delta, "Trailing stop orders are not supported for this symbol."),
    }
    for flag, (value, text) in asked.items():
        if value is not None and not rules.allows.get(flag, True):
            raise unsupported(text)


def _check_stop(rules: SymbolRules, side: str, kind: str, terms: Terms) -> None:
    if terms.stop_price is not None:
        check_digits("stopPrice", terms.stop_price, rules.price_digits)
        rules.check_price(terms.stop_price)
    if terms.trailing_delta is not None and rules.trailing is not None:
        is_above = (side == BUY) == (kind in (STOP_LOSS, STOP_LOSS_LIMIT))
        least, most = rules.trailing[:2] if is_above else rules.trailing[2:]
        if not least <= terms.trailing_delta <= most:
            raise filter_failure("TRAILING_DELTA")


def _check_iceberg(rules: SymbolRules, terms: Terms) -> None:
    part = terms.iceberg_quantity
    if part is None:
        return
    check_digits("icebergQty", part, rules.quantity_digits)
    if part > terms.quantity:
        raise rejected("IcebergQty exceeds QTY.")
    if not rules.lot.holds(part):
        raise filter_failure("LOT_SIZE")
    parts, rest = divmod(terms.quantity, part)
    if rules.iceberg_parts is not None and parts + (1 if rest else 0) > rules.iceberg_parts:
        raise filter_failure("ICEBERG_PARTS")
