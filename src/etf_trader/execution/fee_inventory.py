"""The fee inventory: what fees are paid with where the venue takes them in an asset of its own.

Such a fee is nobody's quantity: what was bought arrives whole. The venue takes
the asset from the account, so from whoever has it there. That is why it is kept
apart, and why no index may hold it meanwhile.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.database import Database
from etf_trader.errors import ConfigError, DataError, LedgerError
from etf_trader.execution.transfers import OWNER
from etf_trader.index.store import current_basket, index_by_id, list_indices
from etf_trader.ledger import accounts
from etf_trader.ledger.booking import fee_funding
from etf_trader.ledger.fill import Fill, Part
from etf_trader.ledger.late import allotted
from etf_trader.ledger.parties import Parties
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.market.currency import DEFAULT
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO, divide, plain
from etf_trader.orders.asset_order import AssetOrder, quote_of
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import asset_orders_of, list_index_orders, stored_plan
from etf_trader.venue.interface import FeeDiscount, Trade, Venue
from etf_trader.venue.money_in import how_to_stop_burning

COVER = Decimal("1.5")
"""A plan counts on the inventory that holds so many times the fees of all that is in flight."""

PLAN_KEY = "fees"
"""Where a plan object says what it counts on."""

PRICE_GRID = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class FeePrice:
    """What one of `asset` is worth, by currency."""

    asset: str
    mids: Mapping[str, Decimal]


def constituent_of(connection: Connection, account_id: int, asset: str) -> str | None:
    """Return the symbol of an index of the account that has `asset` in its basket or its books; None: none has."""
    ledger = Ledger(connection, account_id)
    for index in list_indices(connection, account_id):
        is_in = asset in current_basket(connection, index.id).quantities
        holds = ledger.balance(accounts.index(index.id), asset) or ledger.balance(
            accounts.index_float(index.id), asset
        )
        if (index.is_open and is_in) or holds:
            return index.symbol
    return None


async def require_apart(database: Database, venue: Venue, account: Account) -> FeeDiscount | None:
    """Return in what the venue takes its fees, having checked that no index holds that.

    Raises:
        ConfigError: one does: its holdings would pay for others.
    """
    discount = await venue.fee_discount()
    if discount is None:
        return None
    with database.read() as connection:
        index = constituent_of(connection, account.id, discount.asset)
    if index is not None:
        raise mixed(discount.asset, index, account)
    return discount


def mixed(asset: str, index: str, account: Account, *, verb: str = "holds") -> ConfigError:
    """Return what is wrong with paying fees in a constituent, or in what is to be one."""
    return ConfigError(
        f"this account pays its fees in {asset}, and {index} {verb} {asset}: it would pay for everybody's trades",
        where=f"account {account.uid}",
        hint=how_to_stop_burning(asset, account.environment),
    )


async def fee_price(venue: Venue, asset: str, currencies: Iterable[str]) -> FeePrice:
    """Return the mid of `asset` in each of these currencies, through the usual one where there is no market.

    Raises:
        DataError: there is no way between them, or no price.
    """
    wanted = set(currencies)
    rules = await venue.rules()
    needed = {symbol for name in wanted for symbol in _way(asset, name, rules)}
    books = await venue.books(sorted(needed), 5) if needed else {}
    mids = {symbol: book.mid for symbol, book in books.items()}
    return FeePrice(asset, {name: _worth(asset, name, rules, mids) for name in sorted(wanted)})


def _way(asset: str, currency: str, rules: Mapping[str, SymbolRule]) -> list[str]:
    """Return the markets through which `asset` is priced in a currency."""
    if asset == currency:
        return []
    for symbol in (asset + currency, currency + asset):
        if symbol in rules:
            return [symbol]
    if asset + DEFAULT in rules:
        for symbol in (currency + DEFAULT, DEFAULT + currency):
            if symbol in rules:
                return [asset + DEFAULT, symbol]
    raise DataError(f"{asset} has no price in {currency} at the venue", where=asset + currency)


def _worth(asset: str, currency: str, rules: Mapping[str, SymbolRule], mids: Mapping[str, Decimal]) -> Decimal:
    worth, present = ONE, asset
    for symbol in _way(asset, currency, rules):
        rule = rules[symbol]
        is_sold = rule.base == present
        worth = worth * mids[symbol] if is_sold else divide(worth, mids[symbol], PRICE_GRID)
        present = rule.quote if is_sold else rule.base
    return worth


def is_foreign(fill: Fill, asset: str) -> bool:
    """Whether a fill's fee was taken in neither base nor quote; `asset` is the base."""
    return bool(fill.fee) and fill.fee_asset not in (asset, quote_of(fill.symbol, asset))


def valued(parts: Sequence[Part], price: Decimal) -> list[Part]:
    """Return the parts of a fill with what each owes the inventory for its part of the fee."""
    return [part._replace(fee_value=part.fee * price) for part in parts]


def affordable(
    connection: Connection, fill: Fill, parts: Sequence[Part], parties: Mapping[int, Parties], asset: str
) -> tuple[Fill, list[Part]]:
    """Return the fill and its parts as they can be booked: no order pays the inventory more than it has to spare.

    A fee that nobody planned for may find an order that has spent all its cash, or
    needs it for what is in flight; the rest is the owner's, whose inventory it is.
    """
    ledger, quote = Ledger(connection, fill.account_id), quote_of(fill.symbol, asset)
    booked = []
    for part in parts:
        owner = parties[part.index_order_id]
        left = ledger.balance(owner.order, quote) - fill.side.sign * part.value
        left -= _promised(connection, fill, part, quote)
        booked.append(part._replace(fee_value=min(part.fee_value or ZERO, max(left, ZERO))))
    return replace(fill, fee_value=sum((part.fee_value or ZERO for part in booked), ZERO)), booked


def _promised(connection: Connection, fill: Fill, part: Part, quote: str) -> Decimal:
    """Return what an index order may still pay, at the most, for what it buys in flight beside this."""
    total = ZERO
    for order in asset_orders_of(connection, part.index_order_id):
        intent = order.intent
        if order.status.is_final or intent.side is not Side.BUY or intent.quote != quote:
            continue
        wanted = sum((each.quantity for each in order.shares if each.index_order_id == part.index_order_id), ZERO)
        wanted -= allotted(connection, order.id).get(part.index_order_id, ZERO)
        if order.id == fill.asset_order_id:
            wanted -= part.quantity
        total += max(wanted, ZERO) * intent.price
    return total


def supply(ledger: Ledger, fill: Fill, price: Decimal) -> None:
    """See to it that the inventory has what the venue took: what it lacks comes out of the owner's treasury.

    Raises:
        LedgerError: that does not hold so much either.
    """
    asset = fill.fee_asset
    lacks = fill.fee - ledger.balance(accounts.FEE_INVENTORY, asset)
    if lacks <= 0:
        return
    held = ledger.balance(accounts.treasury(OWNER), asset)
    if held < lacks:
        raise LedgerError(
            f"the venue took {plain(fill.fee)} {asset} for trade {fill.trade_id}; the fee inventory and the "
            f"treasury of {OWNER} hold {plain(fill.fee - lacks + held)}",
            where=fill.symbol,
            hint=f"etf treasury fees N --asset {asset} --holder NAME gives the inventory whose it was",
        )
    ledger.post(fee_funding(OWNER, asset, lacks, lacks * price, key=f"supply:{fill.key}", at=fill.at))


@dataclass(frozen=True, slots=True)
class InFlight:
    """What orders would still trade at their arrival prices, by quote."""

    values: Mapping[str, Decimal]

    def beside(self, other: "InFlight") -> "InFlight":
        """Return both together."""
        names = self.values.keys() | other.values.keys()
        return InFlight({name: self.values.get(name, ZERO) + other.values.get(name, ZERO) for name in names})

    def fees(self, rate: Decimal, price: FeePrice) -> Decimal:
        """Return what fees of `rate` of it come to, in the asset of `price`."""
        return sum((divide(value * rate, price.mids[quote]) for quote, value in self.values.items()), ZERO)


def in_flight(connection: Connection, account_id: int) -> InFlight:
    """Return what all open orders of the account would still trade."""
    values: dict[str, Decimal] = {}
    for order in list_index_orders(connection, account_id=account_id, statuses=[IndexOrderStatus.OPEN]):
        quote = index_by_id(connection, order.index_id).quote
        values[quote] = values.get(quote, ZERO) + order.remaining * order.arrival_nav
    return InFlight(values)


async def is_covered(
    database: Database, venue: Venue, account: Account, discount: FeeDiscount, rate: Decimal, tried: InFlight
) -> bool:
    """Whether the inventory holds the fees of all that is in flight, and half as much again.

    Args:
        rate: The dearest fee of a market, as it is without the discount.
        tried: What is only tried, and counts as if it were in flight.
    """
    with database.read() as connection:
        coming = in_flight(connection, account.id).beside(tried)
        held = Ledger(connection, account.id).balance(accounts.FEE_INVENTORY, discount.asset)
    price = await fee_price(venue, discount.asset, coming.values)
    return held >= COVER * coming.fees(rate * discount.part, price)


async def prices_for(
    database: Database, venue: Venue, order: AssetOrder, trades: Iterable[Trade]
) -> dict[str, Decimal]:
    """Return what one of each asset is worth that these trades paid fees in beside base and quote, in the quote.

    As the plan said; where it did not know that fees would be paid so, as it is now.
    """
    intent = order.intent
    foreign = {each.fee_asset for each in trades if each.fee} - {intent.asset, intent.quote}
    if not foreign:
        return {}
    with database.read() as connection:
        said = json.loads(stored_plan(connection, order.plan_id).document).get(PLAN_KEY, {})
    planned = {said["asset"]: said["mids"]} if said else {}
    found = {}
    for asset in sorted(foreign):
        if (text := planned.get(asset, {}).get(intent.quote)) is not None:
            found[asset] = Decimal(text)
        else:
            found[asset] = (await fee_price(venue, asset, [intent.quote])).mids[intent.quote]
    return found
