"""How quantities, fills and fees are split over orders so that parts add up: in quanta, by largest remainder."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, apportion, divide_down, divide_up, money_context
from etf_trader.solver.shares import FillPart, Share, SharedAssetOrder, VenueFill


def member_quantities(share: Share, side: Side, grid: Decimal) -> list[Decimal]:
    """Return each member's part of a share, in base.

    A buy gets at least what its own units need, a sell gives at most what its
    own units have; what lots and minimums add or leave is split the same way:
    all of a column have one float.
    """
    if len(share.members) == 1:
        return [share.quantity]
    total, whole = int(share.quantity / grid), sum((member.units for member in share.members), ZERO)
    own = []
    for member in share.members:
        part = share.exact * member.units
        if side is Side.BUY:
            own.append(int(divide_up(part, whole, grid) / grid) + int(share.margin / grid))
        else:
            own.append(int(divide_down(part, whole, grid) / grid))
    if side is Side.BUY:
        more = apportion(total - sum(own), own)
        return [(need + extra) * grid for need, extra in zip(own, more, strict=True)]
    return [part * grid for part in apportion(total, own)]


def allot(order: SharedAssetOrder, fills: Sequence[VenueFill]) -> dict[int, list[FillPart]]:
    """Split the fills of a shared asset order over the index orders, to the last digit.

    Fills are allotted in order of price, the first phase first, so that what is
    missing is missing in the last phases. No order gets a fill beyond its own
    worst price: such fills go to the last phases of those who accept them.

    Returns:
        The parts of each order that got any, by key, in order of `fills`.

    Raises:
        ValueError: More was filled, or at worse prices, than the slices allow.
    """
    with money_context():
        by_share = _over_shares(order, fills)
        found: dict[int, list[FillPart]] = {}
        keys = [[member.key for member in share.members] for share in order.shares]
        left = [
            [int(quantity / order.grid) for quantity in member_quantities(share, order.side, order.grid)]
            for share in order.shares
        ]
        owed = [[0.0] * len(each) for each in left]
        for number in _by_price(order, fills, range(len(fills))):
            parts = [apportion(amount, each) for amount, each in zip(by_share[number], left, strict=True)]
            fees = _fees(order, fills[number], parts, owed)
            values = _values(fills[number], parts, order.grid)
            for place, amounts in enumerate(parts):
                for index, amount in enumerate(amounts):
                    if amount:
                        left[place][index] -= amount
                        part = FillPart(
                            number,
                            amount * order.grid,
                            values[place][index],
                            fees[place][index],
                        )
                        found.setdefault(keys[place][index], []).append(part)
    return {key: sorted(found[key]) for key in sorted(found)}


def _over_shares(order: SharedAssetOrder, fills: Sequence[VenueFill]) -> list[list[int]]:
    """Return the quanta of each fill that each share gets."""
    left = [[int(part / order.grid) for part in share.phases] for share in order.shares]
    phases = range(max((len(row) for row in left), default=0))
    by_fill = [[0] * len(left) for _ in fills]
    takers = [
        [(fill.price - share.worst_price) * order.side.sign <= 0 for share in order.shares] for fill in fills
    ]
    dear = [number for number, accepted in enumerate(takers) if not all(accepted)]
    cheap = [number for number, accepted in enumerate(takers) if all(accepted)]
    queue = [(number, reversed(phases)) for number in reversed(_by_price(order, fills, dear))]
    queue += [(number, iter(phases)) for number in _by_price(order, fills, cheap)]
    for number, sequence in queue:
        quanta = int(fills[number].quantity / order.grid)
        for phase in sequence:
            room = [
                row[phase] if phase < len(row) and accepts else 0
                for row, accepts in zip(left, takers[number], strict=True)
            ]
            taken = apportion(min(quanta, sum(room)), room)
            for place, amount in enumerate(taken):
                if amount:
                    left[place][phase] -= amount
                    by_fill[number][place] += amount
            quanta -= sum(taken)
        if quanta:
            raise ValueError(f"{order.symbol}: a fill at {fills[number].price} is more than the orders asked for")
    return by_fill


def _by_price(order: SharedAssetOrder, fills: Sequence[VenueFill], numbers: Iterable[int]) -> list[int]:
    return sorted(numbers, key=lambda number: (fills[number].price * order.side.sign, number))


def _fees(
    order: SharedAssetOrder, fill: VenueFill, parts: list[list[int]], owed: list[list[float]]
) -> list[list[Decimal]]:
    """Return the fee of each part; what rounding owes an order is made good by the next fills."""
    flat = [amount for row in parts for amount in row]
    carried = [each for row in owed for each in row]
    quanta, whole = int(fill.fee / order.fee_quantum), sum(flat)
    split = apportion(quanta, flat, carried)
    for place, fee in enumerate(split):
        carried[place] += quanta * flat[place] / whole - fee
    fees = [fee * order.fee_quantum for fee in split]
    fees[flat.index(max(flat))] += fill.fee - quanta * order.fee_quantum
    result: list[list[Decimal]] = []
    start = 0
    for place, row in enumerate(parts):
        result.append(fees[start : start + len(row)])
        owed[place] = carried[start : start + len(row)]
        start += len(row)
    return result


def _values(fill: VenueFill, parts: list[list[int]], grid: Decimal) -> list[list[Decimal]]:
    """Return the value of each part at the fill's price; what the venue rounded goes to the largest."""
    values = [[fill.price * (amount * grid) for amount in row] for row in parts]
    rounded = fill.value - sum((value for row in values for value in row), ZERO)
    if rounded:
        largest = max(
            (amount, -place, -index) for place, row in enumerate(parts) for index, amount in enumerate(row)
        )
        values[-largest[1]][-largest[2]] += rounded
    return values
