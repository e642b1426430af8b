"""Orders over several currencies for the solver's tests; the random ones hold no cycle that pays."""

import random
from dataclasses import replace
from decimal import Decimal as D

from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, ceil_to, divide, floor_to
from etf_trader.solver.problem import Leg
from etf_trader.solver.route_problem import Conversion, Currency, Route, RouteProblem


def make_book(base: str, quote: str, **changes: object) -> SymbolRule:
    """The rules of a market of two assets, as round as those of `make_rule`."""
    return replace(make_rule(base), symbol=f"{base}{quote}", quote=quote, **changes)  # type: ignore[arg-type]


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    """Levels from (price, quantity) text."""
    return tuple(Level(D(price), D(quantity)) for price, quantity in pairs)


def make_route(asset: str, quote: str, *pairs: tuple[str, str], **changes: object) -> Route:
    """A book of one asset in another quote, worth 100 of it."""
    route = Route(asset, make_book(asset, quote), levels(*pairs), True, D(100))
    return replace(route, **changes)  # type: ignore[arg-type]


def make_conversion(base: str, quote: str, bids: str, asks: str, **rule: object) -> Conversion:
    """A book of two currencies: sides as "price x quantity, ..."."""
    sides = [levels(*(tuple(each.split(" x ")) for each in text.split(", "))) for text in (bids, asks)]  # type: ignore[arg-type]
    mid = (sides[0][0].price + sides[1][0].price) / 2
    return Conversion(make_book(base, quote, tick=D("0.0001"), **rule), sides[0], sides[1], True, mid)


def make_currency(name: str, balance: str = "0", **changes: object) -> Currency:
    """A currency worth 1."""
    return replace(Currency(name, D(balance), D(1), D(1)), **changes)  # type: ignore[arg-type]


def random_routes(
    seed: int,
    side: Side,
    *,
    assets: int = 3,
    quotes: tuple[str, ...] = ("USDC", "FDUSD"),
    depth: int = 4,
    fee: str = "0.001",
    conversion_fee: str = "0",
    step: str = "0.0001",
    units: str = "10",
    balances: bool = False,
    cross: bool = False,
) -> RouteProblem:
    """A small market around true prices: every book's spread lies around them, so that no cycle pays."""
    chance = random.Random(seed)
    worth = {name: D(chance.choice(["1", "1", "0.9997", "1.0004"])) for name in quotes}
    if cross:
        worth["BTC"] = D(60000)
    legs, routes = [], []
    for number in range(assets):
        name, price = f"A{number}", D(chance.choice(["100", "10", "2.5"]))
        legs.append(_leg(chance, name, price, side, depth, fee, step))
        routes += [_route(chance, name, price, quote, worth[quote], side, depth, fee, step) for quote in worth]
    conversions = [_conversion(chance, quote, worth[quote], conversion_fee) for quote in worth]
    currencies = tuple(
        Currency(
            quote,
            D(chance.choice(["0", "40", "500"])) if balances and quote != "BTC" else ZERO,
            each.mid,
            each.mid * D(chance.choice(["1", "1.0002", "0.9999"])),
        )
        for quote, each in zip(worth, conversions, strict=True)
    )
    order = make_problem(*legs, side=side, quantity=D(units), float_cash=D(10**6))
    return RouteProblem(order, currencies, tuple(routes), tuple(conversions))


def _ladder(chance: random.Random, price: D, side: Side, depth: int, tick: D, size: D) -> tuple[Level, ...]:
    sign = side.sign
    found: list[Level] = []
    offset = D(chance.choice(["0.0001", "0.0002", "0.0005"]))
    for _ in range(depth):
        at = price * (1 + sign * offset)
        at = ceil_to(at, tick) if sign > 0 else floor_to(at, tick)
        if not found or sign * (at - found[-1].price) > 0:
            found.append(Level(at, size * D(chance.choice(["0.2", "1", "3.5"]))))
        offset += D(chance.choice(["0.0001", "0.0003", "0.001"]))
    return tuple(found)


def _leg(chance: random.Random, name: str, price: D, side: Side, depth: int, fee: str, step: str) -> Leg:
    rule = make_rule(
        name, tick=D("0.0001"), min_price=D("0.0001"), step=D(step), min_quantity=D(step), taker_fee=D(fee)
    )
    ladder = _ladder(chance, price, side, depth, rule.tick, D(10))
    per_unit = D(chance.choice(["0.3", "1", "1.7"]))
    arrival = price * D(chance.choice(["1", "0.9995", "1.001"]))
    return make_leg(name, rule=rule, levels=ladder, per_unit=per_unit, mid=price, arrival_mid=arrival)


def _route(
    chance: random.Random,
    name: str,
    price: D,
    quote: str,
    worth: D,
    side: Side,
    depth: int,
    fee: str,
    step: str,
) -> Route:
    tick = D("1e-9") if quote == "BTC" else D("0.0001")
    rule = make_book(name, quote, tick=tick, min_price=tick, step=D(step), min_quantity=D(step), taker_fee=D(fee))
    own = divide(price, worth, D("1e-10"))
    return Route(name, rule, _ladder(chance, own, side, depth, tick, D(10)), True, own)


def _conversion(chance: random.Random, quote: str, worth: D, fee: str) -> Conversion:
    tick = D("0.0001")
    rule = make_book(
        quote, "USDT", tick=tick, min_price=tick, step=D("0.0001"), min_quantity=D("0.0001"), taker_fee=D(fee)
    )
    size = D("0.01") if quote == "BTC" else D(400)
    asks = _ladder(chance, worth, Side.BUY, 3, tick, size)
    bids = _ladder(chance, worth, Side.SELL, 3, tick, size)
    return Conversion(rule, bids, asks, True, (asks[0].price + bids[0].price) / 2)
