"""One index order at one number of units: its legs, its totals, and the limits it breaks."""

from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ONE, UNIT_GRID, ZERO, divide
from etf_trader.solver.lots import LegFill, LegRule
from etf_trader.solver.problem import Leg, OrderProblem


class Trial(NamedTuple):
    """What `units` steps of the unit grid would do, when everything fills.

    `reserve` is the cash a buy must have when every leg fills at its last
    price, `float_pays` what the float pays for surplus (negative: receives),
    `marginal` the price of one more unit times `Model.scale`, `limited` the same
    with what a buy holds at the price paid, `loss` the loss from arrival; all in
    quote.
    """

    steps: int
    fills: tuple[LegFill, ...]
    reserve: Decimal
    float_pays: Decimal
    marginal: Decimal
    limited: Decimal
    loss: Decimal

    @property
    def units(self) -> Decimal:
        """The index units tried."""
        return self.steps * UNIT_GRID


class Model:
    """An order ready to be tried at any size, exactly."""

    def __init__(self, problem: OrderProblem) -> None:
        _check(problem)
        self.problem = problem
        self.side = problem.side
        self.legs = tuple(LegRule(leg, problem.side) for leg in problem.legs)
        self.wanted = int(problem.quantity / UNIT_GRID)
        self.nav, self.arrival_nav = problem.nav, problem.arrival_nav
        self.scale, self.slopes = self._marginal_slopes()
        self._trials: dict[int, Trial] = {}

    def _marginal_slopes(self) -> tuple[Decimal, list[Decimal]]:
        """Return a scale and, per leg, what its price weighs in the marginal price times that scale.

        A buy's leg weighs a / (1 - fee). Multiplied with the product of the
        distinct 1 - fee it needs no quotient, and limits compare exactly.
        """
        if self.side is Side.SELL:
            return ONE, [rule.leg.per_unit * rule.net for rule in self.legs]
        nets = {rule.net for rule in self.legs}
        return _product(nets), [rule.leg.per_unit * _product(nets - {rule.net}) for rule in self.legs]

    def trial(self, steps: int) -> Trial:
        """Return the order at `steps` of the unit grid."""
        if steps not in self._trials:
            units = steps * UNIT_GRID
            self._trials[steps] = self.total(steps, tuple(rule.fill(units) for rule in self.legs))
        return self._trials[steps]

    def total(self, steps: int, fills: tuple[LegFill, ...]) -> Trial:
        """Return the totals of `fills`."""
        float_pays = marginal = limited = loss = reserve = ZERO
        for rule, slope, fill in zip(self.legs, self.slopes, fills, strict=True):
            leg = rule.leg
            float_pays += fill.surplus * leg.mid
            marginal += slope * fill.last
            limited += self._limited(rule, slope, fill, leg.per_unit * (steps * UNIT_GRID))
            reserve += fill.quantity * fill.last
            loss -= fill.surplus * (leg.mid - leg.arrival_mid)
            if self.side is Side.BUY:
                loss += fill.value - (fill.quantity - fill.fee) * leg.arrival_mid
            else:
                loss += fill.quantity * leg.arrival_mid - fill.value + fill.fee
        reserve += self.problem.cash_per_unit * (steps * UNIT_GRID) + max(-float_pays, ZERO)
        basket_cash = self.problem.cash_per_unit * self.scale
        return Trial(steps, fills, reserve, float_pays, marginal + basket_cash, limited + basket_cash, loss)

    def _limited(self, rule: LegRule, slope: Decimal, fill: LegFill, wanted: Decimal) -> Decimal:
        """Return what a leg adds to the price that the limit bounds, times `scale`."""
        leg = rule.leg
        if self.side is Side.SELL or not leg.held:
            return slope * fill.last
        paid = leg.per_unit * self.scale * leg.paid
        return paid if wanted <= leg.held else max(paid, slope * fill.last)

    def breaches(self, trial: Trial) -> list[str]:
        """Return the names of all limits that `trial` breaks, in canonical order."""
        problem = self.problem
        names = []
        if problem.limit is not None and self._is_dearer(trial.limited, problem.limit):
            names.append("limit")
        if self._loses_too_much(trial):
            names.append("loss")
        if self.side is Side.BUY and problem.cash is not None and trial.reserve > problem.cash:
            names.append("cash")
        if trial.float_pays > problem.float_cash:
            names.append("float")
        return names + sorted(
            rule.leg.end for rule, fill in zip(self.legs, trial.fills, strict=True) if fill.is_deep
        )

    def is_beyond(self, trial: Trial) -> bool:
        """Return whether no larger size can be feasible either.

        All limits but two only tighten with size. The float's need goes up and
        down with every lot. The average loss may start high and come down, and
        rises for good only where one more unit costs more than the bound.
        """
        names = set(self.breaches(trial)) - {"float", "loss"}
        return bool(names) or (
            self._loses_too_much(trial, self._lots_loss(trial))
            and self._is_dearer(trial.marginal, self._loss_price())
        )

    def _lots_loss(self, trial: Trial) -> Decimal:
        """Return about the part of a buy's loss that lots and minimums cause, never too little.

        What is bought beyond the need costs at most the last price after fee, and is worth the mid.
        """
        if self.side is Side.SELL:
            return ZERO
        loss = ZERO
        for rule, fill in zip(self.legs, trial.fills, strict=True):
            if fill.quantity:
                loss += (rule.leg.residual + fill.surplus) * (divide(fill.last, rule.net) - rule.leg.mid)
        return loss

    def _is_dearer(self, marginal: Decimal, price: Decimal) -> bool:
        return (marginal - price * self.scale) * self.side.sign > 0

    def _loss_price(self) -> Decimal:
        bound = self.problem.max_loss_bps or ZERO
        return self.arrival_nav * (ONE + self.side.sign * bound / BPS)

    def _loses_too_much(self, trial: Trial, forgiven: Decimal = ZERO) -> bool:
        problem = self.problem
        if problem.max_loss_bps is None:
            return False
        units = problem.units_done + trial.units
        return (problem.loss_done + trial.loss - forgiven) * BPS > problem.max_loss_bps * units * self.arrival_nav

    def has_leftovers(self) -> bool:
        """Return whether a sell still has assets of units it redeemed before."""
        return self.side is Side.SELL and any(rule.leg.held for rule in self.legs)

    def empty_legs(self) -> list[Leg]:
        """Return the legs that must trade on a book that has nothing at all."""
        return [leg for leg in self.problem.legs if not leg.levels and leg.per_unit and not leg.held]


def _product(factors: set[Decimal]) -> Decimal:
    product = ONE
    for factor in sorted(factors):
        product *= factor
    return product


def _check(problem: OrderProblem) -> None:
    """Refuse what only a bug in the caller could have made."""
    if not problem.quantity.is_finite() or problem.quantity < 0 or problem.quantity % UNIT_GRID:
        raise ValueError(f"{problem.quantity} units are not on the unit grid")
    if not any(leg.per_unit for leg in problem.legs):
        raise ValueError("a basket without constituents has nothing to trade")
    if len({leg.asset for leg in problem.legs}) != len(problem.legs):
        raise ValueError("a basket names an asset twice")
    for leg in problem.legs:
        numbers = (leg.per_unit, leg.held, leg.residual, leg.mid, leg.arrival_mid)
        if not all(number.is_finite() and number >= 0 for number in numbers) or not leg.mid or not leg.arrival_mid:
            raise ValueError(f"{leg.asset}: quantities must not be negative, and mids must be positive")
        if not 0 <= leg.rule.taker_fee < 1 or leg.rule.step <= 0:
            raise ValueError(f"{leg.rule.symbol}: a fee of {leg.rule.taker_fee} or a step of {leg.rule.step}")
