"""What the orders of a position filled, what it cost, and where the loss came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.execution.loss import fee_in_quote, fill_loss
from etf_trader.execution.state import arrival_value, cash_of, fills_with_orders, settlements_of
from etf_trader.index.store import index_by_id, position_by_id, symbols_of
from etf_trader.ledger import accounts
from etf_trader.ledger.fill import INTERNAL, Fill
from etf_trader.ledger.repository import Ledger, chain_head, holder_name, list_accounts
from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, average_price, bps, percentage
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.plan import LOSS_PARTS, NO_LOSS, LossParts, total_loss
from etf_trader.orders.store import asset_orders_of, list_index_orders
from etf_trader.reports.period import ALWAYS, Period


@dataclass(frozen=True, slots=True)
class FillLine:
    """One fill with its loss: `quantity` gross in base, `value` in the quote of its symbol, `fee` in `fee_asset`.

    `fee_value` and the loss are in the index's quote. `venue` is "internal" for
    a trade with another order of ours.
    """

    order: int
    at: datetime
    venue: str
    symbol: str
    asset: str
    side: str
    quantity: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    fee_asset: str
    fee_value: Decimal
    is_maker: bool
    trade_id: int
    venue_order_id: int
    client_order_id: str
    loss: Decimal
    delay: Decimal
    spread: Decimal
    depth: Decimal


@dataclass(frozen=True, slots=True)
class ConstituentLine:
    """One constituent over several fills.

    `ordered` and `filled` are gross base quantities sent and executed; `value`
    is price x quantity of what filled, `arrival_value` the same at arrival;
    prices in another currency count at what that was worth at arrival;
    `cost` is what was paid, fees in base included (sell: received, fees
    deducted; of a position: paid less received); `rounding` is the loss on what
    went to the float. `loss_bps` is of `arrival_value`.
    """

    asset: str
    symbol: str
    ordered: Decimal
    filled: Decimal
    fill_percentage: Decimal
    average_price: Decimal | None
    value: Decimal
    arrival_value: Decimal
    cost: Decimal
    fees: Decimal
    loss: Decimal
    loss_bps: Decimal
    delay: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One index order: `cash` is paid (sell: received) in all, `arrival_value` what its units were worth.

    For an order that is open or stuck, `held_value` is what it holds beyond its
    units, at arrival. Buy: loss = cash - arrival_value - held_value. Sell: loss =
    arrival_value - held_value - cash.
    """

    order: int
    side: str
    status: str
    stopped_by: tuple[str, ...]
    accepted_at: datetime
    ended_at: datetime | None
    ordered: Decimal
    filled: Decimal
    fill_percentage: Decimal
    limit_price: Decimal | None
    max_loss_bps: Decimal | None
    arrival_nav: Decimal
    average_price: Decimal | None
    cash: Decimal
    arrival_value: Decimal
    held_value: Decimal
    fees: Decimal
    loss: Decimal
    loss_bps: Decimal
    delay: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal
    missed: Decimal | None
    loss_vs_index_price: Decimal | None
    constituents: tuple[ConstituentLine, ...]


@dataclass(frozen=True, slots=True)
class FillsReport:
    """A position with its orders; every total is the exact sum of its lines."""

    position: int
    index: str
    holder: str
    quote: str
    units: Decimal
    cost: Decimal
    ordered: Decimal
    filled: Decimal
    fill_percentage: Decimal
    average_price: Decimal | None
    paid: Decimal
    received: Decimal
    fees: Decimal
    loss: Decimal
    loss_bps: Decimal
    delay: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal
    missed: Decimal | None
    loss_vs_index_price: Decimal | None
    stopped_by: tuple[str, ...]
    head: str
    orders: tuple[OrderLine, ...]
    constituents: tuple[ConstituentLine, ...]
    fills: tuple[FillLine, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """An order with everything a line needs."""

    order: IndexOrder
    symbols: Mapping[str, str]
    cash: Decimal
    held: Mapping[str, Decimal]
    pairs: Sequence[tuple[Fill, AssetOrder]]
    sent: Mapping[str, Decimal]
    arrival_value: Decimal
    rounding: Mapping[str, Decimal]


def fills_report(
    connection: Connection,
    position_id: int,
    nav_now: Decimal | None,
    order_id: int | None = None,
    period: Period = ALWAYS,
) -> FillsReport:
    """Return the report of a position, or of one of its orders.

    Args:
        nav_now: NAV per unit now, for what was missed; None when there is no price.
        period: The orders that were accepted in it, each with all of its fills.

    Raises:
        NotFound: there is no such position.
    """
    position = position_by_id(connection, position_id)
    index = index_by_id(connection, position.index_id)
    orders = [
        order
        for order in list_index_orders(connection, position_id=position_id)
        if order_id in (None, order.id) and period.holds(order.accepted_at)
    ]
    symbols = symbols_of(connection, index.id)
    works = [_work(connection, order, symbols) for order in orders]
    (environment,) = (each.environment for each in list_accounts(connection) if each.id == index.account_id)
    lines = tuple(_order_line(work, nav_now) for work in works)
    loss = total_loss(_parts(line) for line in lines)
    ordered = sum((line.ordered for line in lines), ZERO)
    filled = sum((line.filled for line in lines), ZERO)
    bought = [line for line in lines if line.side == Side.BUY]
    paid = sum((line.cash for line in bought), ZERO)
    bought_units = sum((line.filled for line in bought), ZERO)
    missed = [line.missed for line in lines]
    against = [line.loss_vs_index_price for line in lines if line.loss_vs_index_price is not None]
    return FillsReport(
        position=position.id,
        index=index.symbol,
        holder=holder_name(connection, position.holder_id),
        quote=index.quote,
        units=position.units,
        cost=position.cost,
        ordered=ordered,
        filled=filled,
        fill_percentage=percentage(filled, ordered),
        average_price=average_price(paid, bought_units),
        paid=paid,
        received=sum((line.cash for line in lines if line.side == Side.SELL), ZERO),
        fees=sum((line.fees for line in lines), ZERO),
        loss=loss.total,
        loss_bps=bps(loss.total, sum((line.arrival_value for line in lines), ZERO)),
        delay=loss.delay,
        spread=loss.spread,
        depth=loss.depth,
        fee=loss.fee,
        rounding=loss.rounding,
        missed=sum((each for each in missed if each is not None), ZERO) if None not in missed else None,
        loss_vs_index_price=sum(against, ZERO) if against else None,
        stopped_by=tuple(dict.fromkeys(stop for line in lines for stop in line.stopped_by)),
        head=chain_head(connection, index.account_id)[1],
        orders=lines,
        constituents=_merged(lines),
        fills=tuple(
            _fill_line(work.order, fill, sent, INTERNAL if fill.is_internal else environment)
            for work in works
            for fill, sent in work.pairs
        ),
    )


def _work(connection: Connection, order: IndexOrder, symbols: Mapping[str, str]) -> _Work:
    sent: dict[str, Decimal] = {}
    for asset_order in asset_orders_of(connection, order.id):
        asset = asset_order.intent.asset
        sent[asset] = sent.get(asset, ZERO) + asset_order.share_of(order.id)
    rounding: dict[str, Decimal] = {}
    for settlement in settlements_of(connection, order.id):
        for asset, loss in settlement.rounding(order.arrival).items():
            rounding[asset] = rounding.get(asset, ZERO) + loss
    own = Ledger(connection, order.account_id).holdings(accounts.order(order.id))
    return _Work(
        order=order,
        symbols=symbols,
        cash=cash_of(connection, order),
        held={asset: own[asset] for asset in symbols if asset in own},
        pairs=fills_with_orders(connection, order.id),
        sent=sent,
        arrival_value=arrival_value(connection, order),
        rounding=rounding,
    )


def _order_line(work: _Work, nav_now: Decimal | None) -> OrderLine:
    order, sign = work.order, work.order.side.sign
    constituents = tuple(_constituent(work, asset) for asset in sorted(work.order.arrival))
    loss = total_loss(_parts(line) for line in constituents)
    limit = order.limit_price
    return OrderLine(
        order=order.id,
        side=str(order.side),
        status=str(order.status),
        stopped_by=order.stopped_by,
        accepted_at=order.accepted_at,
        ended_at=order.ended_at,
        ordered=order.quantity,
        filled=order.filled,
        fill_percentage=percentage(order.filled, order.quantity),
        limit_price=limit,
        max_loss_bps=order.max_loss_bps,
        arrival_nav=order.arrival_nav,
        average_price=average_price(work.cash, order.filled),
        cash=work.cash,
        arrival_value=work.arrival_value,
        held_value=sum((quantity * order.arrival[asset] for asset, quantity in work.held.items()), ZERO),
        fees=sum((line.fees for line in constituents), ZERO),
        loss=loss.total,
        loss_bps=bps(loss.total, work.arrival_value),
        delay=loss.delay,
        spread=loss.spread,
        depth=loss.depth,
        fee=loss.fee,
        rounding=loss.rounding,
        missed=_missed(order, nav_now),
        loss_vs_index_price=None if limit is None else sign * (work.cash - order.filled * limit),
        constituents=constituents,
    )


def _missed(order: IndexOrder, nav_now: Decimal | None) -> Decimal | None:
    """Return what the price has moved against what did not fill; nothing is missed of a filled order."""
    if order.remaining == 0:
        return ZERO
    return None if nav_now is None else order.side.sign * order.remaining * (nav_now - order.arrival_nav)


def _constituent(work: _Work, asset: str) -> ConstituentLine:
    pairs = [(fill, sent) for fill, sent in work.pairs if sent.intent.asset == asset]
    arrival = work.order.arrival
    loss = total_loss(fill_loss(fill, sent.intent, arrival) for fill, sent in pairs) if pairs else NO_LOSS
    rounding = work.rounding.get(asset, ZERO)
    filled = sum((fill.quantity for fill, _ in pairs), ZERO)
    value = sum((fill.value * _rate(sent, arrival) for fill, sent in pairs), ZERO)
    cost = sum((_cash(fill, asset) * _rate(sent, arrival) for fill, sent in pairs), ZERO) * work.order.side.sign
    arrival_value = filled * arrival[asset]
    ordered = work.sent.get(asset, ZERO)
    return ConstituentLine(
        asset=asset,
        symbol=work.symbols.get(asset, asset),
        ordered=ordered,
        filled=filled,
        fill_percentage=percentage(filled, ordered),
        average_price=average_price(value, filled),
        value=value,
        arrival_value=arrival_value,
        cost=cost,
        fees=sum((_fee_value(fill, sent, arrival) for fill, sent in pairs), ZERO),
        loss=loss.total + rounding,
        loss_bps=bps(loss.total + rounding, arrival_value),
        delay=loss.delay,
        spread=loss.spread,
        depth=loss.depth,
        fee=loss.fee,
        rounding=rounding,
    )


def _merged(orders: Sequence[OrderLine]) -> tuple[ConstituentLine, ...]:
    """Add the constituents of several orders."""
    grouped: dict[str, list[tuple[ConstituentLine, Side]]] = {}
    for order in orders:
        for line in order.constituents:
            grouped.setdefault(line.asset, []).append((line, Side(order.side)))
    return tuple(_sum(lines) for _, lines in sorted(grouped.items()))


def _sum(sided: Sequence[tuple[ConstituentLine, Side]]) -> ConstituentLine:
    lines = [line for line, _ in sided]

    def add(name: str) -> Decimal:
        return sum((getattr(line, name) for line in lines), ZERO)

    ordered, filled, value, arrival_value = (add(each) for each in ("ordered", "filled", "value", "arrival_value"))
    return ConstituentLine(
        asset=lines[0].asset,
        symbol=lines[0].symbol,
        ordered=ordered,
        filled=filled,
        fill_percentage=percentage(filled, ordered),
        average_price=average_price(value, filled),
        value=value,
        arrival_value=arrival_value,
        cost=sum((line.cost * side.sign for line, side in sided), ZERO),
        fees=add("fees"),
        loss=add("loss"),
        loss_bps=bps(add("loss"), arrival_value),
        delay=add("delay"),
        spread=add("spread"),
        depth=add("depth"),
        fee=add("fee"),
        rounding=add("rounding"),
    )


def _fill_line(order: IndexOrder, fill: Fill, sent: AssetOrder, venue: str) -> FillLine:
    loss = fill_loss(fill, sent.intent, order.arrival)
    return FillLine(
        order=order.id,
        at=fill.at,
        venue=venue,
        symbol=fill.symbol,
        asset=sent.intent.asset,
        side=str(fill.side),
        quantity=fill.quantity,
        price=fill.price,
        value=fill.value,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        fee_value=_fee_value(fill, sent, order.arrival),
        is_maker=fill.is_maker,
        trade_id=fill.trade_id,
        venue_order_id=fill.venue_order_id,
        client_order_id=sent.intent.client_order_id,
        loss=loss.total,
        delay=loss.delay,
        spread=loss.spread,
        depth=loss.depth,
    )


def _cash(fill: Fill, asset: str) -> Decimal:
    """Return the cash a fill took (sell: negative, what it gave), after a fee in quote."""
    in_kind = fill.fee_value is None and fill.fee_asset == asset
    return fill.side.sign * fill.value + (ZERO if in_kind else fee_in_quote(fill, asset))


def _fee_value(fill: Fill, sent: AssetOrder, arrival: Mapping[str, Decimal]) -> Decimal:
    return fee_in_quote(fill, sent.intent.asset) * _rate(sent, arrival)


def _rate(sent: AssetOrder, arrival: Mapping[str, Decimal]) -> Decimal:
    """Return what the currency of an asset order was worth at arrival; 1 for the index's own quote."""
    return arrival.get(sent.intent.quote, ONE)


def _parts(line: OrderLine | ConstituentLine) -> LossParts:
    return LossParts(*(getattr(line, part) for part in LOSS_PARTS))
