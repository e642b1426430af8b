"""How deep books are read: no deeper than a plan needs them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from tests.factories import HookedVenue, make_definition, make_house, make_ladders, make_market

from etf_trader.execution.look import FIRST_LOOK, look_and_plan
from etf_trader.execution.planning import MarketView
from etf_trader.index.store import Basket, current_basket
from etf_trader.market.book import OrderBook

D = Decimal


class NotedVenue(HookedVenue):
    """A paper venue that notes how deep it is asked for which books."""

    asked: list[tuple[tuple[str, ...], int]]

    async def books(self, symbols: Sequence[str], depth: int) -> Mapping[str, OrderBook]:
        self.asked.append((tuple(symbols), depth))
        return await super().books(symbols, depth)


async def looked(folder: Path, most: int, wanted: Mapping[str, int]) -> list[tuple[tuple[str, ...], int]]:
    """Plan something that wants so many levels of each book; return what was asked of the venue."""
    books = {asset: make_ladders(D(1000), D("0.01"), D(1), levels=4000) for asset in ("A", "B")}
    house = make_house(folder, make_market(books), venue_type=NotedVenue)
    venue = house.venue
    assert isinstance(venue, NotedVenue)
    venue.asked = []
    index = await house.create(make_definition())
    with house.database.read() as connection:
        basket: Basket = current_basket(connection, index.id)
    venue.asked.clear()

    async def plan(view: MarketView) -> list[str]:
        return [f"window({name})" for name, levels in wanted.items() if len(view.books[name].asks) < levels]

    await look_and_plan(venue, basket.symbols.values(), most, await venue.rules(), plan, lambda stops: stops)
    return venue.asked


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


async def test_a_plan_that_ends_in_the_first_levels_asks_for_no_more(tmp_path: Path) -> None:
    assert await looked(tmp_path, 5000, {"AUSDT": 100}) == [(("AUSDT", "BUSDT"), FIRST_LOOK)]


async def test_only_the_book_that_stopped_the_plan_is_read_deeper_step_by_step(tmp_path: Path) -> None:
    asked = await looked(tmp_path, 5000, {"AUSDT": 3000, "BUSDT": 101})
    first, *more = asked
    assert first == (("AUSDT", "BUSDT"), FIRST_LOOK)
    assert sorted(more) == [(("AUSDT",), 1000), (("AUSDT",), 5000), (("BUSDT",), 1000)]


async def test_nothing_is_read_deeper_than_the_most(tmp_path: Path) -> None:
    assert await looked(folder(tmp_path, "some"), 500, {"AUSDT": 3000}) == [
        (("AUSDT", "BUSDT"), 100),
        (("AUSDT",), 500),
    ]
    assert await looked(folder(tmp_path, "few"), 50, {"AUSDT": 3000}) == [(("AUSDT", "BUSDT"), 50)]
