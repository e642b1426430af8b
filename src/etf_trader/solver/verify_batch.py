"""The proof of all plans that were solved together, as one: no level twice, parts that add up, nothing cheaper."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, plain
from etf_trader.orders.rebalance import RebalanceLeg
from etf_trader.solver.certificate import BookSide, least_cost, multiplier
from etf_trader.solver.findings import Finding, check_order_size, differs
from etf_trader.solver.problem import Leg
from etf_trader.solver.rebalance_statement import RebalanceStatement
from etf_trader.solver.retrial import refill
from etf_trader.solver.statement import Statement
from etf_trader.solver.verify_shared import float_pays, pairs, venue_cash


class BatchProof(NamedTuple):
    """What a batch pays at the venue (negative: receives), and the least that its units could cost, in quote."""

    cost: Decimal
    bound: Decimal


def check_batch(statements: Sequence[Statement], wave: RebalanceStatement | None = None) -> Iterator[Finding]:
    """Check that the parts of all plans add up: to what the books give, and inside bought to inside sold.

    Args:
        statements: The plans of the orders.
        wave: That of the wave of a rebalance which trades with them.
    """
    moves = {} if wave is None else {each.leg.asset: each.leg for each in wave.legs if each.leg.wave == 1}
    legs = {leg.asset: leg for each in statements for leg in each.problem.legs}
    for asset in sorted(legs):
        sides = {
            each.problem.side for each in statements for own in each.legs if own.asset == asset and own.quantity
        }
        inside = {
            side: sum((each.crossed.get(asset, ZERO) for each in statements if each.problem.side is side), ZERO)
            for side in Side
        }
        if (move := moves.get(asset)) is not None and move.side is not None:
            inside[move.side] += move.inside
        if inside[Side.BUY] != inside[Side.SELL]:
            yield Finding(
                asset, f"is bought inside {plain(inside[Side.BUY])}, and sold {plain(inside[Side.SELL])}"
            )
        other = move.side if move is not None and move.quantity else None
        if len(sides | {other} - {None}) > 1:
            yield Finding(asset, "is both bought and sold at the venue")
        elif sides:
            yield from _venue_order(statements, asset, next(iter(sides)))
    if wave is not None:
        yield from _left_to(wave, moves, statements)
    yield from _floats(statements)


def _left_to(
    wave: RebalanceStatement, moves: Mapping[str, RebalanceLeg], statements: Sequence[Statement]
) -> Iterator[Finding]:
    """Check that a wave counts on what the orders want: where they trade the same way, it begins behind them."""
    for each in wave.problem.constituents:
        move = moves.get(each.asset)
        if move is None or move.side is None:
            continue
        taken = sum(
            (
                own.quantity
                for other in statements
                if other.problem.side is move.side
                for own in other.legs
                if own.asset == each.asset
            ),
            ZERO,
        )
        counted = max(move.side.sign * each.ordered, ZERO)
        net = ONE - each.rule.taker_fee if move.side is Side.BUY else ONE
        if counted != taken * net and not move.inside:
            yield Finding(each.asset, "is not planned behind what the orders take of its book")


def _venue_order(statements: Sequence[Statement], asset: str, side: Side) -> Iterator[Finding]:
    """Check that the parts of one asset are what its book gives from the best price on."""
    parts = [
        (leg, own)
        for each in statements
        if each.problem.side is side
        for leg, own in pairs(each)
        if own.asset == asset and own.quantity
    ]
    leg = parts[0][0]
    quantity = sum((own.quantity for _, own in parts), ZERO)
    taken = refill(leg, side, quantity)
    found = {"value": taken.value, "fee": taken.fee}
    for name, value in found.items():
        yield from differs(f"{name} of {asset}", sum((getattr(own, name) for _, own in parts), ZERO), value)
    worst = max((own.last_price for _, own in parts), key=lambda price: price * side.sign)
    yield from differs(f"last price of {asset}", worst, taken.last)
    if quantity > sum((level.quantity for level in leg.levels), ZERO):
        yield Finding(f"quantity of {asset}", "is more than the book shows")
    limit = max((own.limit_price for _, own in parts), key=lambda price: price * side.sign)
    yield from check_order_size(f"orders of {asset}", quantity, limit, leg.rule)


def _floats(statements: Sequence[Statement]) -> Iterator[Finding]:
    """Check that the float of each index can pay what its orders together leave to it."""
    for index in sorted({each.index for each in statements}):
        mine = [each for each in statements if each.index == index]
        if sum((float_pays(each) for each in mine), ZERO) > mine[0].problem.float_cash:
            yield Finding(f"float of {index}", "cannot pay for what the orders leave to it")


def batch_proof(statements: Sequence[Statement]) -> BatchProof:
    """Return what a batch pays at the venue and a bound below it, from the dearest level used of every asset."""
    required, given = _required(statements)
    books: list[BookSide] = []
    multipliers: dict[str, Decimal] = {}
    for asset, need in required.items():
        leg, side = given[asset], Side.BUY if need > 0 else Side.SELL
        books.append(BookSide(side, asset, leg.rule.quote, leg.rule.taker_fee, leg.levels))
        multipliers |= {leg.rule.quote: ONE, asset: multiplier(leg, side, abs(need))}
    cost = sum((each.problem.side.sign * venue_cash(each) for each in statements), ZERO)
    return BatchProof(cost, least_cost(books, multipliers, required))


def _required(statements: Sequence[Statement]) -> tuple[dict[str, Decimal], dict[str, Leg]]:
    """Return the net flow that each asset needs, and a leg with the levels that it takes them from."""
    required: dict[str, Decimal] = {}
    legs: dict[tuple[str, Side], Leg] = {}
    inside: dict[str, Decimal] = {}
    residuals = {(each.index, leg.asset): leg.residual for each in statements for leg in each.problem.legs}
    for each in statements:
        for leg in each.problem.legs:
            legs[leg.asset, each.problem.side] = leg
            wanted = each.problem.side.sign * leg.per_unit * each.units - leg.held
            met = each.problem.side.sign * each.crossed.get(leg.asset, ZERO)  # with a wave: others add up to 0
            required[leg.asset] = required.get(leg.asset, ZERO) + wanted
            inside[leg.asset] = inside.get(leg.asset, ZERO) + met
    for (_, asset), residual in residuals.items():
        required[asset] -= residual
    required = {asset: need - inside[asset] for asset, need in required.items()}
    used = {asset: legs.get((asset, Side.BUY if need > 0 else Side.SELL)) for asset, need in required.items()}
    known = {asset: leg for asset, leg in used.items() if leg is not None}
    return {asset: required[asset] for asset in known}, known
