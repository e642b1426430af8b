"""Problems for the solver's tests, and an independent optimum to hold it against."""

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import round_to
from etf_trader.solver.problem import Leg, OrderProblem

D = Decimal
ZERO = D(0)


def make_rule(asset: str = "A", **changes: object) -> SymbolRule:
    """A market with round rules: tick and lot of 0.01, least order 0.01, no fee."""
    rule = SymbolRule(
        symbol=f"{asset}USDT",
        base=asset,
        quote="USDT",
        status="TRADING",
        tick=D("0.01"),
        min_price=D("0.01"),
        max_price=D("1000000"),
        step=D("0.01"),
        min_quantity=D("0.01"),
        max_quantity=D("900000"),
        min_notional=ZERO,
        max_notional=ZERO,
        bid_band=(D("0.2"), D("5")),
        ask_band=(D("0.2"), D("5")),
        base_quantum=D("1e-8"),
        quote_quantum=D("1e-8"),
        maker_fee=ZERO,
        taker_fee=ZERO,
    )
    return replace(rule, **changes)  # type: ignore[arg-type]


def make_leg(asset: str = "A", *levels: tuple[str, str], **changes: object) -> Leg:
    """One of the asset a unit, worth 100, on `levels` of (price, quantity) text; nothing held."""
    leg = Leg(
        asset=asset,
        rule=make_rule(asset),
        per_unit=D(1),
        levels=tuple(Level(D(price), D(quantity)) for price, quantity in levels),
        complete=True,
        mid=D(100),
        arrival_mid=D(100),
        held=ZERO,
        held_cost=ZERO,
        residual=ZERO,
    )
    return replace(leg, **changes)  # type: ignore[arg-type]


def make_problem(*legs: Leg, **changes: object) -> OrderProblem:
    """A buy of 10 units of `legs` with a float of 1000 and no limit."""
    problem = OrderProblem(
        side=Side.BUY, quantity=D(10), legs=legs, cash_per_unit=ZERO, float_cash=D(1000), slack_ticks=1
    )
    return replace(problem, **changes)  # type: ignore[arg-type]


def random_problem(seed: int, side: Side, *, step: str, spare: bool = False, limits: bool = True) -> OrderProblem:
    """A small order with ties between levels of different assets, and by chance each of the limits."""
    chance = random.Random(seed)
    count = chance.randint(1, 4)
    legs = tuple(_random_leg(chance, f"A{number}", side, step, spare) for number in range(count))
    quantity = D(chance.choice([1, 7, 40]))
    cash_per_unit = D(chance.choice(["0", "0", "3.25"]))
    problem = make_problem(*legs, side=side, quantity=quantity, cash_per_unit=cash_per_unit, float_cash=D(10**6))
    if limits and chance.random() < 0.5:
        edge = D(chance.choice(["0", "0.0005", "0.002", "0.01", "0.03"]))
        problem = replace(problem, limit=round_to(problem.nav * (1 + side.sign * edge), D("0.01")))
    if limits and chance.random() < 0.4:
        problem = replace(problem, max_loss_bps=D(chance.choice(["5", "12", "25", "60", "200"])))
        if chance.random() < 0.3:
            # a loss to be made good puts a floor under the fraction; the LP, whose limit is a price, then pays it
            done = ["-1", "0.5", "4"] if problem.limit is None else ["-1", "0"]
            problem = replace(problem, units_done=D(3), loss_done=D(chance.choice(done)))
    if limits and side is Side.BUY and chance.random() < 0.4:
        share = D(chance.choice(["0.1", "0.37", "0.9", "1.02"]))
        problem = replace(problem, cash=round_to(problem.nav * quantity * share, D("0.01")))
    return problem


def _random_leg(chance: random.Random, asset: str, side: Side, step: str, spare: bool) -> Leg:
    mid = D(chance.choice(["100", "10", "2.5"]))
    price = mid * (1 + side.sign * D(chance.choice(["0.0002", "0.001"])))
    levels = []
    for _ in range(chance.randint(1, 5)):
        levels.append(Level(price, D(chance.choice(["0.5", "2", "3", "11", "40"]))))
        price += side.sign * mid * D(chance.choice(["0.0005", "0.001", "0.004"]))
    fee = D(chance.choice(["0", "0.001", "0.00075"]))
    rule = make_rule(
        asset,
        tick=D("0.0001"),
        step=D(step),
        min_quantity=D(step),
        taker_fee=fee,
        base_quantum=min(D(step), D("1e-8")),
        quote_quantum=min(D(step), D("1e-8")),
    )
    extra = {}
    if spare:
        held = D(chance.choice(["0", "0.3", "1.25"]))
        paid = mid * D(chance.choice(["0.999", "1", "1.002"]))
        extra = {"held": held, "held_cost": held * paid, "residual": D(step) * chance.randint(0, 2)}
    arrival = mid * D(chance.choice(["1", "1", "0.9995", "1.001"]))
    per_unit = D(chance.choice(["0.05", "0.3", "1", "1.7"]))
    return make_leg(
        asset, rule=rule, levels=tuple(levels), per_unit=per_unit, mid=mid, arrival_mid=arrival, **extra
    )


class Continuous:
    """The order without lots, solved by walking the merged levels in exact fractions.

    Shares nothing with the package: no prefix sums, no bisection. For problems
    with nothing held and no residual. `worst` measures cash as the sum of
    quantity x last price, else by value.
    """

    def __init__(self, problem: OrderProblem, *, worst: bool = False) -> None:
        self.problem, self.worst = problem, worst
        self.sign = problem.side.sign
        self.quantity = Fraction(problem.quantity)
        self.fraction, self.value = self._walk()

    def _walk(self) -> tuple[Fraction, Fraction]:
        """Return the fraction, and the cash of the legs there."""
        at, value, best = Fraction(0), Fraction(0), (Fraction(0), Fraction(0))
        legs = self.problem.legs
        number, used, taken = ([Fraction(0)] * len(legs) for _ in range(3))
        rates = [self._gross(leg) for leg in legs]
        while at < 1:
            for position, leg in enumerate(legs):
                if used[position] == Fraction(leg.levels[int(number[position])].quantity):
                    number[position], used[position] = number[position] + 1, Fraction(0)
            if any(place >= len(leg.levels) for place, leg in zip(number, legs, strict=True)):
                break
            levels = [leg.levels[int(place)] for place, leg in zip(number, legs, strict=True)]
            prices = [Fraction(level.price) for level in levels]
            cash_rate = sum(map(self._cash_rate, legs, rates, prices), Fraction(0))
            marginal = cash_rate / self.quantity + Fraction(self.problem.cash_per_unit)
            if self.problem.limit is not None and self.sign * (marginal - Fraction(self.problem.limit)) > 0:
                break
            ends = [
                (Fraction(level.quantity) - done) / rate
                for level, done, rate in zip(levels, used, rates, strict=True)
            ]
            stride = min([*ends, 1 - at])
            room = self._cash_room(at, value, cash_rate, taken, rates, prices)
            is_last = room is not None and room < stride
            if room is not None and is_last:
                stride = max(room, Fraction(0))
            reached = (at + stride, value + stride * cash_rate)
            start, end = self._excess(at, value), self._excess(*reached)
            if end <= 0:
                best = reached
            elif start <= 0 < end:
                cut = stride * -start / (end - start)
                return at + cut, value + cut * cash_rate
            at, value = reached
            for position, rate in enumerate(rates):
                used[position] += rate * stride
                taken[position] += rate * stride
            if is_last:
                break
        return best

    def _cash_rate(self, leg: Leg, rate: Fraction, price: Fraction) -> Fraction:
        """Cash of one leg per fraction of the order, after a fee in quote."""
        return rate * price * (self._net(leg) if self.sign < 0 else 1)

    def _gross(self, leg: Leg) -> Fraction:
        """Quantity traded per fraction of the order."""
        gross = Fraction(leg.per_unit) * self.quantity
        return gross / self._net(leg) if self.sign > 0 else gross

    def _net(self, leg: Leg) -> Fraction:
        return 1 - Fraction(leg.rule.taker_fee)

    def _excess(self, at: Fraction, value: Fraction) -> Fraction:
        """Loss beyond --max-loss."""
        problem = self.problem
        if problem.max_loss_bps is None:
            return Fraction(-1)
        nav, units = Fraction(problem.arrival_nav), at * self.quantity
        loss = self.sign * (value + Fraction(problem.cash_per_unit) * units - units * nav)
        allowed = Fraction(problem.max_loss_bps) / 10000 * (Fraction(problem.units_done) + units) * nav
        return Fraction(problem.loss_done) + loss - allowed

    def _cash_room(
        self,
        at: Fraction,
        value: Fraction,
        rate: Fraction,
        taken: Sequence[Fraction],
        rates: Sequence[Fraction],
        prices: Sequence[Fraction],
    ) -> Fraction | None:
        if self.problem.cash is None:
            return None
        basket = Fraction(self.problem.cash_per_unit) * self.quantity
        spent = value
        if self.worst:
            spent = sum((quantity * price for quantity, price in zip(taken, prices, strict=True)), Fraction(0))
        return (Fraction(self.problem.cash) - spent - basket * at) / (rate + basket)
