"""What a quote says in words, and what its document holds.

Index of one A and two B a unit, float 1,000. A trades in lots of .01 at 99.90 to 100.10, B in lots of 1 at
9.99 to 10.01; the least order is 5 USDT, the fee 10 bps. A unit is worth 120.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from tests.factories import Books, House, make_definition, make_house, make_ladders, make_market

from etf_trader.cli.documents import json_document
from etf_trader.cli.output import Page, unmarked
from etf_trader.cli.quote_document import document_of
from etf_trader.cli.quotes import draw_quote
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.execution.budget import note_counts
from etf_trader.execution.quote import Quote, QuoteRequest
from etf_trader.execution.quoting import Quoter
from etf_trader.market.symbol import Side
from etf_trader.venue.interface import OrderCount

D = Decimal
BOOKS: Books = {
    "A": make_ladders(D(100), D("0.10"), D(100)),
    "B": make_ladders(D(10), D("0.01"), D(1000)),
}
LOTS: Mapping[str, Mapping[str, str]] = {"B": {"step": "1", "min_quantity": "1"}}


async def make(tmp_path: Path, market: StaticMarket | None = None, float_cash: str = "1000") -> House:
    house = make_house(tmp_path, make_market(BOOKS, rules=LOTS) if market is None else market)
    await house.create(make_definition(float_cash=D(float_cash)))
    return house


async def quote(
    house: House,
    side: Side = Side.BUY,
    quantity: str | None = "10",
    *,
    limit: str | None = None,
    max_loss: str | None = None,
) -> Quote:
    units, bound, loss = (None if text is None else D(text) for text in (quantity, limit, max_loss))
    quoter = Quoter(house.database, house.venue, house.clock, house.account, "self", house.settings)
    return await quoter.quote(QuoteRequest(side, 1, units, False, bound, loss))


def told(found: Quote) -> list[str]:
    page = Page()
    draw_quote(page, found)
    return unmarked(page.text()).splitlines()


async def test_slots_that_are_used_up_take_time(tmp_path: Path) -> None:
    house = await make(tmp_path)
    counts = [OrderCount(each.seconds, 99) for each in await house.venue.order_limits()]
    with house.database.write() as connection:
        note_counts(connection, house.account.id, house.clock.now(), counts, is_last=True)
    found = told(await quote(house))
    assert any(line.startswith("Fills 100% · 2 orders, 2 of 1 free slot, about 10 s · proof:") for line in found)


async def test_without_a_size_the_ends_of_the_curve_come_first(tmp_path: Path) -> None:
    house = await make(tmp_path)
    # .05: .06 A and one B lose .012 and .02 of 6; 499.5: A's average is 100.30, so 200 and 20 of 59,940
    assert told(await quote(house, quantity=None))[0] == (
        "Buying TWO loses 53.3 bps at 0.05 units and 36.7 bps at 499.5 units; a unit is worth 120.00 USDT now."
    )
    assert told(await quote(house, Side.SELL, None))[0].startswith("Selling TWO loses ")


async def test_the_largest_size_within_limits_comes_first(tmp_path: Path) -> None:
    house = await make(tmp_path)
    found = told(await quote(house, quantity=None, limit="120.40"))
    assert found[0].startswith("Buying TWO within 120.40 a unit: up to 199.8 units, about 24,")
    assert any(line.startswith("largest    199.8 units within 120.40 a unit, at ") for line in found)
    assert found[-1].endswith("etf submit buy --index 1 --qty 199.8 --limit 120.4 --dry-run")


async def test_nothing_within_a_limit_is_said_first(tmp_path: Path) -> None:
    house = await make(tmp_path)
    found = told(await quote(house, quantity=None, max_loss="1"))
    assert found[0] == "Buying TWO: nothing of it is possible within 1.0 bps."
    assert "largest    none within 1.0 bps" in found


async def test_an_empty_side_has_no_curve(tmp_path: Path) -> None:
    # a sell of B would have to take bids a hundred times below the price: the venue's band ends before
    books: Books = {**BOOKS, "B": ([("0.01", "1000")], [("10.01", "1000")])}
    house = await make(tmp_path, make_market(books, rules=LOTS))
    found = told(await quote(house, Side.SELL))
    assert found[0] == "Sell 10 units of TWO: nothing of it is possible now."
    assert "Stopped by the order book of B: nothing more is bid for there now." in found
    assert not any("┤" in line for line in found)
    assert told(await quote(house, Side.SELL, None))[0] == "Selling TWO: nothing of it is possible now."


async def test_what_market_orders_strand_is_said(tmp_path: Path) -> None:
    house = await make(tmp_path)
    found = told(await quote(house, quantity="1000"))
    # B is deep enough for all 1,000 units: beside the 499.5 that A makes, 1,001 B are left, worth 10,010
    expected = "One market order per asset would make 499.5 units and leave 10,0"
    assert any(line.startswith(expected) and "; with those traded back it loses " in line for line in found)


async def test_a_limit_says_what_market_orders_and_limits_by_asset_would_do(tmp_path: Path) -> None:
    house = await make(tmp_path)
    found = told(await quote(house, quantity="400", limit="120.40"))
    assert any(line.startswith("One market order per asset would buy all 400 units and lose ") for line in found)
    assert any(line.startswith("The same limit on each asset alone would make ") for line in found)


async def test_a_lack_of_float_is_no_matter_of_market_orders(tmp_path: Path) -> None:
    house = await make(tmp_path, float_cash="0")
    found = told(await quote(house, quantity="0.001"))
    assert not any("market order" in line for line in found)
    # one B brings .999, which is .4995 units; so do fifty lots of A
    assert (
        "least      0.4995 units: the float holds 0.00 USDT, 15.00 suffice for every size (etf index fund 1 100)"
        in found
    )


async def test_a_small_float_names_the_least_size(tmp_path: Path) -> None:
    house = await make(tmp_path, float_cash="5")
    line = next(line for line in told(await quote(house)) if line.startswith("least"))
    assert line.startswith("least      0.")
    assert line.endswith("units: the float holds 5.00 USDT, 15.00 suffice for every size (etf index fund 1 100)")


async def test_a_sale_of_dust_that_makes_the_float_sell_a_lot_is_named(tmp_path: Path) -> None:
    house = await make(tmp_path)
    await house.buy(10)
    await house.sell("0.0104999")  # 1e-7 B short of a lot stay with the float
    found = told(await quote(house, Side.SELL, "0.0000001"))
    assert "It costs more than it brings: its lots are larger than the units. Sell more at once." in found


async def test_the_treasury_is_named_only_where_it_does_not_suffice(tmp_path: Path) -> None:
    house = await make(tmp_path)
    assert not any(line.startswith("treasury") for line in told(await quote(house)))
    house.administration.fund_index("1", D(998_400))
    found = told(await quote(house))
    assert any(line.startswith("treasury   600.00 USDT pays for 4.") for line in found)
    assert found[-2].endswith("(etf treasury deposit 1000000)")


def routed(conversion: str) -> StaticMarket:
    """The market above, A ten times thinner, and a book of A in USDC."""
    books = {
        "AUSDT": make_ladders(D(100), D("0.10"), D(10)),
        "AUSDC": make_ladders(D(100), D("0.10"), D(10)),
        "BUSDT": make_ladders(D(10), D("0.01"), D(10_000)),
        "USDCUSDT": make_ladders(D(1), D(conversion), D(1_000_000)),
    }
    rows = [symbol_row(symbol, symbol[:-4], symbol[-4:], tick="0.0001") for symbol in books]
    return StaticMarket(rows, books)


async def test_what_other_currencies_save_is_said_plainly(tmp_path: Path) -> None:
    house = await make(tmp_path, routed("0.0001"))
    assert "Trading in USDC beside USDT would save nothing." in told(await quote(house, quantity="1"))
    found = await quote(house, quantity="40")
    line = next(line for line in told(found) if line.startswith("Trading in other currencies"))
    saving = document_of(found)["routes"][1]
    assert line == (
        f"Trading in other currencies beside USDT would save: USDC {saving['saved_bps']:.2f} bps "
        f"({saving['saved']:.2f} USDT, 4 orders)."
    )


async def test_other_currencies_that_cannot_be_compared_are_said(tmp_path: Path) -> None:
    market = routed("0.0001")
    market.set_book("AUSDC", [("101", "1")], [("100", "1")])
    found = await quote(await make(tmp_path, market))
    assert (
        "What other currencies would save cannot be told: AUSDC is crossed: bid 101 is not below ask 100."
        in told(found)
    )
    assert document_of(found)["routes"] == []


async def test_the_document_is_printable_with_and_without_a_size(tmp_path: Path) -> None:
    house = await make(tmp_path)
    for quantity in ("10", None):
        document = document_of(await quote(house, quantity=quantity, max_loss="30"))
        assert json_document("etf.quote/1", document)
        assert (document["plan"] is None) == (quantity is None)
        assert document["limit_by_asset"] is None or quantity is not None


async def test_what_lots_cost_the_smallest_sizes_does_not_flatten_the_chart(tmp_path: Path) -> None:
    house = await make(tmp_path)
    found = await quote(house, quantity="0.0001")
    assert found.shape[0].loss_bps > 1000
    lines = told(found)
    assert any(line.split()[:1] == ["0.0001"] and line.endswith("asked for") for line in lines)
    top = next(line for line in lines if "┤" in line)
    assert D(top.split("┤")[0].strip()) < 200
    assert not any("●" in line for line in lines)  # it is smaller than what is drawn
