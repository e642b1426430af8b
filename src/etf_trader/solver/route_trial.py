"""An order over several currencies at one number of units: every book in lots, every balance, every limit.

Nodes are served one after another: a buy's from the constituents back to the
home currency, a sell's from the constituents on to it. What an arc may take at
its order's price is what its source must have: conversions are sized for that,
so no balance goes below zero, and what is left over stays in its currency.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, UNIT_GRID, ZERO
from etf_trader.solver.network import Network
from etf_trader.solver.problem import Leg
from etf_trader.solver.route_lots import ArcFill, ArcLots, Supply, sold, supplied
from etf_trader.solver.stops import in_order


class RouteTrial(NamedTuple):
    """What `steps` of the unit grid would do, when everything fills.

    `fills` by arc; `surplus` by asset, what the float takes; `net` what trading
    brings to each node (negative: takes); `reserved` what each currency must
    have when all orders fill at their own prices; `gone` names the nodes whose
    books give out; `covered` tells which share of a currency's part can be paid
    (sell: converted), where that is not all.
    """

    steps: int
    fills: Mapping[int, ArcFill]
    surplus: Mapping[str, Decimal]
    net: Mapping[str, Decimal]
    reserved: Mapping[str, Decimal]
    gone: tuple[str, ...]
    covered: Mapping[str, Fraction]

    @property
    def units(self) -> Decimal:
        """The index units tried."""
        return self.steps * UNIT_GRID


class RouteModel:
    """A network with the books chosen for each node, ready to be tried at any size, exactly.

    Args:
        network: The order.
        supplies: The chosen arcs of each node that has any, keyed by node, in the order of `sequence`.
        planned: The units of which the supplies' totals are.
        slack_ticks: How far the orders' prices lie beyond the last levels used.
    """

    def __init__(
        self, network: Network, supplies: Mapping[str, Supply], planned: Decimal, slack_ticks: int
    ) -> None:
        self.network = network
        self.order = network.problem.order
        self.side = network.side
        self.supplies = supplies
        self.planned = planned
        self.lots = [ArcLots(arc, slack_ticks) for arc in network.arcs]
        self._legs = {leg.asset: leg for leg in network.legs}
        self.nav, self.arrival_nav = self.order.nav, self.order.arrival_nav

    def trial(self, steps: int) -> RouteTrial:
        """Return the order at `steps` of the unit grid."""
        units = steps * UNIT_GRID
        state = _State(self, units)
        for node in self.supplies:
            state.serve(node)
        return RouteTrial(
            steps, state.fills, state.surplus, state.net, state.reserved, tuple(state.gone), state.covered
        )

    def float_pays(self, trial: RouteTrial) -> Decimal:
        """Return what the float pays for surplus, in the home currency (negative: receives)."""
        return sum((x * self._legs[asset].mid for asset, x in trial.surplus.items()), ZERO)

    def loss(self, trial: RouteTrial) -> Decimal:
        """Return the loss from arrival, in the home currency: every node at its arrival mid."""
        arrival = self.network.arrival
        loss = -sum((arrival[node] * amount for node, amount in trial.net.items()), ZERO)
        for asset, x in trial.surplus.items():
            loss -= x * (self._legs[asset].mid - self._legs[asset].arrival_mid)
        return loss

    def breaches(self, trial: RouteTrial) -> tuple[str, ...]:
        """Return the names of all limits that `trial` breaks, in canonical order."""
        order, sign, names = self.order, self.side.sign, set()
        if order.limit is not None and sign * (self.marginal(trial, is_limited=True) - Fraction(order.limit)) > 0:
            names.add("limit")
        if order.max_loss_bps is not None:
            units = order.units_done + trial.units
            allowed = order.max_loss_bps * units * self.arrival_nav
            if (order.loss_done + self.loss(trial)) * BPS > allowed:
                names.add("loss")
        for currency, balance in self.network.balances.items():
            if self.side is Side.BUY and balance is not None and trial.reserved.get(currency, ZERO) > balance:
                names.add("cash")
        if self.float_pays(trial) > order.float_cash:
            names.add("float")
        slots = self.network.problem.slots
        if slots is not None and sum(fill.orders for fill in trial.fills.values()) > slots:
            names.add("slots")
        return in_order(names | {self._gone(node) for node in trial.gone})

    def _gone(self, node: str) -> str:
        arcs = [arc for arc in self.network.arcs if node == (arc.target if self.side is Side.BUY else arc.source)]
        windows = sorted(arc.rule.symbol for arc in arcs if not arc.complete)
        return f"window({windows[0]})" if windows else f"depth({node})"

    def marginal(self, trial: RouteTrial, *, is_limited: bool = False) -> Fraction:
        """Return the price of one more unit, fees and conversions included, at the orders' own prices.

        Args:
            trial: The size.
            is_limited: Count what a buy holds already at the price paid, as its limit does.
        """
        prices = self._node_prices(trial)
        total = Fraction(self.order.cash_per_unit)
        for leg in self.network.legs:
            price = prices.get(leg.asset, Fraction(leg.mid))
            if is_limited and self.side is Side.BUY and leg.held:
                paid = Fraction(leg.paid)
                price = paid if leg.per_unit * trial.units <= leg.held else max(paid, price)
            total += Fraction(leg.per_unit) * price
        return total

    def _node_prices(self, trial: RouteTrial) -> dict[str, Fraction]:
        """Return the dearest way in which each node is served (sell: the cheapest), home currency a unit."""
        prices = {name: Fraction(self.network.mids[name]) for name in self.network.balances}
        pick = max if self.side is Side.BUY else min
        for node, supply in reversed(list(self.supplies.items())):
            used = [number for number in supply.arcs if trial.fills[number].quantity]
            ways = [self._way(number, trial.fills[number].price, prices) for number in used or supply.arcs[:1]]
            if node not in self.network.balances:
                prices[node] = pick(ways, default=Fraction(self.network.mids[node]))
            elif used and node != self.network.home:
                prices[node] = pick([prices[node], *ways])
        return prices

    def _way(self, number: int, price: Decimal, prices: Mapping[str, Fraction]) -> Fraction:
        """Return what one unit of the node served costs (sell: brings) by an arc."""
        lots = self.lots[number]
        net = Fraction(lots.net)
        rate = net / Fraction(price) if lots.arc.side is Side.BUY else net * Fraction(price)
        if self.side is Side.BUY:
            return prices[lots.arc.source] / rate
        return prices[lots.arc.target] * rate

    def leg(self, node: str) -> Leg | None:
        """Return the constituent that a node is, if it is one."""
        return self._legs.get(node)


class _State:
    """What has been decided of a trial so far."""

    def __init__(self, model: RouteModel, units: Decimal) -> None:
        self.model = model
        self.units = units
        self.fills: dict[int, ArcFill] = {}
        self.surplus: dict[str, Decimal] = {}
        self.net: dict[str, Decimal] = {}
        self.reserved: dict[str, Decimal] = {}
        self.gone: list[str] = []
        self.covered: dict[str, Fraction] = {}
        self._worst: dict[str, Decimal] = {}  # of what a node's arcs take (buy) or bring (sell) at order prices

    def serve(self, node: str) -> None:
        """Choose the lots of one node's arcs."""
        is_buy = self.model.side is Side.BUY
        leg = self.model.leg(node)
        if is_buy:
            wanted = self._wanted(node, leg)
            fills, is_gone = self._run(node, wanted)
        else:
            have = self._worst.get(node, ZERO)
            if leg is not None:
                have += self.model.network.spare(leg) + leg.per_unit * self.units
            fills, is_gone = self._run(node, have)
        for number, fill in fills.items():
            self._take(number, fill)
        if is_gone:
            self.gone.append(node)
        if leg is not None:
            self.surplus[node] = self._surplus(node, leg, bool(sum(fill.quantity for fill in fills.values())))
        else:
            self._cover(node, fills)

    def _wanted(self, node: str, leg: Leg | None) -> Decimal:
        """Return what has to arrive at a node for a buy, beyond what is there."""
        network = self.model.network
        drawn = self._worst.get(node, ZERO)
        if leg is not None:
            return drawn + leg.per_unit * self.units - network.spare(leg)
        if node == network.home:
            drawn += self._home_needs()
        balance = network.balances[node]
        return ZERO if balance is None else drawn - balance

    def _home_needs(self) -> Decimal:
        """Return what a buy needs beside its trades: the basket's cash, and what it owes the float."""
        legs = self.model.network.legs
        float_pays = sum((self.surplus.get(leg.asset, ZERO) * leg.mid for leg in legs), ZERO)
        return self.model.order.cash_per_unit * self.units + max(-float_pays, ZERO)

    def _run(self, node: str, amount: Decimal) -> tuple[dict[int, ArcFill], bool]:
        model, supply = self.model, self.model.supplies[node]
        if not supply.arcs:
            return {}, False
        serve = supplied if model.side is Side.BUY else sold
        fills, is_gone = serve(model.lots, supply, amount, self.units, model.planned)
        for number in supply.arcs:
            fills.setdefault(number, model.lots[number].fill(ZERO))
        return fills, is_gone

    def _take(self, number: int, fill: ArcFill) -> None:
        arc = self.model.lots[number].arc
        self.fills[number] = fill
        self.net[arc.source] = self.net.get(arc.source, ZERO) - fill.spent
        self.net[arc.target] = self.net.get(arc.target, ZERO) + fill.received
        worst, amount = (arc.source, fill.paid) if self.model.side is Side.BUY else (arc.target, fill.got)
        self._worst[worst] = self._worst.get(worst, ZERO) + amount

    def _reserved(self, node: str, fills: Mapping[int, ArcFill]) -> Decimal:
        """Return what a currency must have before anything trades: what is drawn less what surely arrives."""
        needs = self._home_needs() if node == self.model.network.home else ZERO
        arrives = sum((fill.got for fill in fills.values()), ZERO)
        return max(self._worst.get(node, ZERO) + needs - arrives, ZERO)

    def _cover(self, node: str, fills: Mapping[int, ArcFill]) -> None:
        """Note what a currency must have, and whether it has it; of a sell, whether all of it is converted."""
        model, worst = self.model, self._worst.get(node, ZERO)
        if model.side is Side.SELL:
            if node != model.network.home and not model.supplies[node].arcs and worst > 0:
                self.gone.append(node)
            if node in self.gone:
                self.covered[node] = Fraction(sum((fill.paid for fill in fills.values()), ZERO)) / Fraction(worst)
            return
        self.reserved[node] = self._reserved(node, fills)
        balance = model.network.balances[node]
        if balance is not None and node != model.network.home and self.reserved[node] > balance:
            self.covered[node] = Fraction(worst - self.reserved[node] + balance) / Fraction(worst)

    def _surplus(self, node: str, leg: Leg, is_traded: bool) -> Decimal:
        """Return what the float takes of an asset: the residual rule, whatever books it came from."""
        wanted, net = leg.per_unit * self.units, self.net.get(node, ZERO)
        if leg.held + wanted == 0 and not net:
            return ZERO
        # the float's bound is that of the home book, whatever others were used
        least = leg.rule.least_quantity(leg.touch)
        room = max(least - leg.residual, ZERO)
        if self.model.side is Side.BUY:
            surplus = leg.held + net - wanted
            return surplus if is_traded else min(surplus, room)
        return min(leg.held + wanted + net, room)
