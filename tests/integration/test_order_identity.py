"""The order identity over random markets, baskets and histories, on books that also move under the orders."""

import asyncio
import random
import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.factories import House, make_definition, make_house, make_market, make_request
from tests.invariants import findings, limit_findings, max_loss_findings, residual_findings, standing_findings

from etf_trader.errors import DataError, UsageError
from etf_trader.market.symbol import Side
from etf_trader.money import BASKET_GRID, divide_down, floor_to
from etf_trader.orders.store import request_cancel
from etf_trader.venue.interface import LimitOrder

D = Decimal
ASSETS = ("A", "B", "C", "E")
TICKS = {"0.01": "0.01", "1": "0.01", "100": "0.01", "5000": "0.1"}


class World:
    """Random books of a few assets, and a hand that moves them."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.assets = ASSETS[: dice.randint(1, 4)]
        self.rules = {asset: self._rule() for asset in self.assets}
        self.mids = {asset: D(dice.choice(("0.5", "3", "100", "5000"))) for asset in self.assets}
        self.market = make_market(
            {asset: self._ladders(asset) for asset in self.assets},
            rules=self.rules,
            taker=dice.choice(("0", "0.00075", "0.001", "0.01")),
        )
        self.basket = {asset: self._per_unit(asset) for asset in self.assets}

    def _rule(self) -> dict[str, str]:
        step = self.dice.choice(("0.00001", "0.01", "1"))
        return {
            "tick": "0.01",
            "step": step,
            "min_quantity": step,
            "min_notional": self.dice.choice(("0", "5", "10")),
            "max_quantity": self.dice.choice(("9000000", "9000000", "300")),
        }

    def _per_unit(self, asset: str) -> Decimal:
        value = D(self.dice.choice((1, 10, 100)) * self.dice.randint(1, 99))
        return divide_down(value, self.mids[asset], BASKET_GRID)

    def _ladders(self, asset: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        dice, mid, step = self.dice, self.mids[asset], D(self.rules[asset]["step"])
        bids: list[tuple[str, str]] = []
        asks: list[tuple[str, str]] = []
        for sign, side in ((-1, bids), (1, asks)):
            price = mid
            for _ in range(dice.randint(1, 6)):
                price += sign * D("0.01") * dice.choice((1, 2, 7, 40))
                if price <= 0:
                    break
                quantity = divide_down(D(dice.choice((50, 500, 20000))), mid, step) + step * dice.randint(1, 9)
                side.append((str(price), str(quantity)))
        return bids or [("0.01", "1000000")], asks

    def move(self, asset: str) -> None:
        """Give `asset` other books: dearer, cheaper, thinner, or finer."""
        self.mids[asset] = max(self.mids[asset] + D("0.01") * self.dice.randint(-30, 30), D("0.05"))
        self.market.set_book(f"{asset}USDT", *self._ladders(asset))

    def thin(self, asset: str, side: Side) -> None:
        """Leave less than there was of what `side` takes."""
        book = self.market.book(f"{asset}USDT", self.market.start)
        step = D(self.rules[asset]["step"])
        keep = D(self.dice.choice((0, 1, 30, 70))) / 100

        def cut(levels: object, much: bool) -> list[tuple[str, str]]:
            factor = keep if much else D(1)
            return [
                (str(price), str(max(floor_to(quantity * factor, step), step)))
                for price, quantity in levels  # type: ignore[attr-defined]
            ]

        self.market.set_book(f"{asset}USDT", cut(book.bids, side is Side.SELL), cut(book.asks, side is Side.BUY))

    def shred(self, asset: str, side: Side) -> None:
        """Put thirty single lots at better prices before what `side` takes; each fill rounds its own fee."""
        book = self.market.book(f"{asset}USDT", self.market.start)
        lots, tick = self.rules[asset]["step"], D("0.01")
        taken, other = (book.asks, book.bids) if side is Side.BUY else (book.bids, book.asks)
        better = [
            (str(taken[0].price - side.sign * tick * step), lots)
            for step in range(30, 0, -1)
            if taken[0].price - side.sign * tick * step > tick * 40
        ]
        kept = [(str(price), str(quantity)) for price, quantity in taken]
        moved = [
            (str(price - side.sign * tick * 31), str(quantity))
            for price, quantity in other
            if price - side.sign * tick * 31 > 0
        ]
        ladders = (moved, better + kept) if side is Side.BUY else (better + kept, moved)
        if better and moved:
            self.market.set_book(f"{asset}USDT", *ladders)


def nav(world: World) -> Decimal:
    return sum((quantity * world.mids[asset] for asset, quantity in world.basket.items()), D(0))


async def live(house: House, world: World, unrest: int) -> None:
    """Play a history: orders of both sides with all kinds of limits, on books that move with `unrest` per cent."""
    dice = world.dice

    def disturb(order: LimitOrder) -> None:
        if dice.randrange(100) < unrest:
            own = order.symbol.removesuffix("USDT")
            way = dice.randrange(4)
            if way < 2:
                world.move(dice.choice(world.assets))
            elif way == 2:
                world.thin(own, order.side)
            else:
                world.shred(own, order.side)

    house.venue.before_place = disturb
    await house.create(make_definition(basket=world.basket, float_cash=D(dice.choice((0, 100, 1_000)))))
    for _ in range(dice.randint(1, 5)):
        side = dice.choice((Side.BUY, Side.BUY, Side.SELL))
        price = nav(world) * (1 + D(dice.randint(-20, 80)) / 10_000 * side.sign)
        request = make_request(
            side,
            quantity=None
            if side is Side.SELL and dice.random() < 0.3
            else D(dice.choice((1, 7, 100, 12345, 10**6, 3 * 10**8, 10**9, 10**10))) / 10**8,
            limit_price=floor_to(price, D("0.01")) + D("0.01") if dice.random() < 0.5 else None,
            max_loss_bps=D(dice.choice((0, 5, 30, 300))) if dice.random() < 0.3 else None,
            time_in_force=dice.choice(("now", "now", "gtc")),
        )
        try:
            order = await house.submit(request)
        except (UsageError, DataError):
            continue
        if dice.random() < 0.5:
            world.move(dice.choice(world.assets))
        if not order.status.is_final:
            with house.database.write() as connection:
                request_cancel(connection, order.id, house.clock.now())
            await house.manager.run([order.id])


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), unrest=st.sampled_from((0, 30, 80)))
def test_loss_ties_to_cash_and_books_to_the_venue_whatever_the_books_do(seed: int, unrest: int) -> None:
    world = World(random.Random(seed))
    with tempfile.TemporaryDirectory(prefix="etf-identity-") as folder:
        house = make_house(Path(folder), world.market, deposit=D(world.dice.choice((2_000, 1_000_000))))
        broken: list[str] = []
        house.database.watch = lambda connection: broken.extend(standing_findings(connection))
        asyncio.run(live(house, world, unrest))
        house.database.watch = None
        with house.database.read() as connection:
            broken += limit_findings(connection)
            broken += max_loss_findings(connection)
            broken += residual_findings(connection)
        assert broken + findings(house.database, house.exchange) == []
        house.database.close()
