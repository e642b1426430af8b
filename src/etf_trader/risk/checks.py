"""One small check for each limit. Pure.

Where several index orders share what is too much, the one that has the most of
it is refused: the others are planned again without it, and reviewed again.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, bps, ceil_to, spoken, spoken_value
from etf_trader.risk.limits import RiskLimits
from etf_trader.risk.proposal import Proposal, Violation

TENTH = Decimal("0.1")

Check = Callable[[Proposal, RiskLimits], Iterator[Violation]]


def check_index_order(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No index order may be worth more than this."""
    most = limits.index_order
    for order in proposal.index_orders:
        if most is not None and order.value > most:
            said = f"the order is worth {spoken_value(order.value, most)}; index_order allows {spoken_value(most)}"
            yield Violation("index_order", said, (order.number,))


def check_asset_order(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No order to the venue may be worth more than this."""
    most = limits.asset_order
    for order in proposal.orders:
        if most is not None and order.value > most:
            said = (
                f"an order for {spoken_value(order.value, most)} of {order.asset} would go to the venue; "
                f"asset_order allows {spoken_value(most)}"
            )
            yield Violation("asset_order", said, (order.leader,))


def check_position(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No buy may make a position worth more than this."""
    most = limits.position
    for position in proposal.positions:
        if most is not None and position.buyers and position.value > most:
            worth = spoken_value(position.value, most)
            said = f"the position would be worth {worth}; position allows {spoken_value(most)}"
            yield Violation("position", said, position.buyers)


def check_position_share(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No buy may make a position a larger share of its index than this."""
    most = limits.position_share
    for position in proposal.positions:
        if most is not None and position.buyers and position.share > most:
            said = (
                f"the position would have {spoken(position.share)}% of the index's units; "
                f"position_share allows {spoken(most)}%"
            )
            yield Violation("position_share", said, position.buyers)


def check_open_orders(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No more orders may be open at once than this."""
    most, total = limits.open_orders, proposal.open_orders + len(proposal.orders)
    if most is not None and proposal.orders and total > most:
        said = f"{spoken_count(total)} orders would be open at the venue; open_orders allows {spoken(most)}"
        yield Violation("open_orders", said, (proposal.busiest(),))


def check_price_collar(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No price may be farther than this beyond the mid, on the side that costs."""
    most = limits.price_collar
    for order in proposal.orders:
        beyond = order.side.sign * (order.price - order.mid)
        if most is not None and beyond * 10_000 > most * order.mid:
            where = "above" if order.side is Side.BUY else "below"
            far = spoken(ceil_to(bps(beyond, order.mid), TENTH))
            said = (
                f"{order.asset} would be traded up to {far} bps {where} mid; "
                f"price_collar allows {spoken(most)} bps"
            )
            yield Violation("price_collar", said, (order.leader,))


def check_book_age(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No book may be older than this."""
    most = limits.book_age
    for symbol, age in sorted(proposal.book_ages.items()):
        orders = {number for order in proposal.orders if order.symbol == symbol for number in order.parts}
        if most is not None and orders and age > most:
            said = f"the book of {symbol} is {spoken(age)} s old; book_age allows {spoken(most)}"
            yield Violation("book_age", said, tuple(sorted(orders)))


def check_order_rate(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No more orders may go out in a second than this."""
    most, count = limits.order_rate, len(proposal.orders)
    if proposal.at_once is not None:
        count = min(count, proposal.at_once)
    if most is not None and count and proposal.sent + count > most:
        total = spoken_count(proposal.sent + count)
        said = f"{total} orders would go out in a second; order_rate allows {spoken(most)}"
        yield Violation("order_rate", said, (proposal.busiest(),))


def check_daily_loss(proposal: Proposal, limits: RiskLimits) -> Iterator[Violation]:
    """No buy may begin once the day's orders have lost this, nor with a plan that would lose the rest of it."""
    most, lost = limits.daily_loss, proposal.loss
    buys = [order for order in proposal.index_orders if order.side is Side.BUY]
    if most is None or not buys:
        return
    if lost >= most:
        told = spoken_value(lost, most)
        said = f"the orders of this UTC day have lost {told}; daily_loss allows {spoken_value(most)}"
        yield Violation("daily_loss", said, tuple(order.number for order in buys))
        return
    planned = sum((max(order.loss, ZERO) for order in buys), ZERO)
    if lost + planned > most:
        said = (
            f"with this plan the orders of this UTC day would lose {spoken_value(lost + planned, most)}; "
            f"daily_loss allows {spoken_value(most)}"
        )
        dearest = max(buys, key=lambda order: (order.loss, order.number))
        yield Violation("daily_loss", said, (dearest.number,))


def spoken_count(number: int) -> str:
    """Return a count as a sentence says it."""
    return f"{number:,}"


CHECKS: tuple[Check, ...] = (
    check_index_order,
    check_asset_order,
    check_position,
    check_position_share,
    check_open_orders,
    check_price_collar,
    check_book_age,
    check_order_rate,
    check_daily_loss,
)
"""Every check, in the order in which refusals are told."""
