"""A rebalance and open orders of other indices trade in one batch: what both want meets inside, at mid."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from tests.effort import examples
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings, limit_findings, max_loss_findings, standing_findings

from etf_trader.errors import DataError, EtfError
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.proof import prove
from etf_trader.execution.rebalance_state import assets_done
from etf_trader.index.store import current_basket
from etf_trader.ledger.audit import audit
from etf_trader.ledger.fill import INTERNAL
from etf_trader.ledger.tables import fills
from etf_trader.market.symbol import Side
from etf_trader.money import divide, money_context
from etf_trader.orders.rebalances import list_rebalances, rebalance_order
from etf_trader.orders.store import StoredPlan, asset_orders_of_plan, list_index_orders, list_plans, plan_seal
from etf_trader.orders.tables import plans
from etf_trader.rebalance.beside import beside_orders
from etf_trader.rebalance.previewing import preview_rebalance
from etf_trader.reports.crosses import crosses_report
from etf_trader.seal import canonical
from etf_trader.solver.verify import verify

D = Decimal
PRICES = {"A": "100", "B": "10", "C": "5"}


def flat(mid: str, half: str = "0.01") -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """A book with one deep level a side, `half` from its mid."""
    return [(str(D(mid) - D(half)), "100000")], [(str(D(mid) + D(half)), "100000")]


async def founded(
    folder: Path,
    half: Mapping[str, str] | None = None,
    weights: Mapping[str, str] | None = None,
    step: str = "0.001",
) -> House:
    """Ten units of one A and ten B, which is to be half A and half C; and ten units of an index of A alone."""
    market = make_market(
        {asset: flat(price, (half or {}).get(asset, "0.01")) for asset, price in PRICES.items()},
        rules={asset: {"step": step, "min_quantity": step, "min_notional": "1"} for asset in PRICES},
    )
    house = make_house(folder, market)
    house.database.watch = lambda connection: _require(standing_findings(connection))
    await house.create(make_definition(basket={"A": D(1), "B": D(10)}))
    await house.create(make_definition(symbol="OTHER", basket={"A": D(1), "B": D(5)}))
    await house.create(make_definition(symbol="COINS", basket={"C": D(10)}))
    await house.buy(10)
    await house.buy(10, index_id=2)
    await house.buy(10, index_id=3)
    wanted = {asset: D(weight) for asset, weight in (weights or {"A": "0.5", "C": "0.5"}).items()}
    await house.administration.edit_index("1", make_definition(basket={}, weights=wanted))
    return house


def _require(found: list[str]) -> None:
    assert found == []


async def together(house: House, *asked: tuple[Side, int, str]) -> list[StoredPlan]:
    """Accept these orders, (side, index, units), and a rebalance; run them, and return the plans they got."""
    with house.database.read() as connection:
        before = {each.id for each in list_plans(connection)}
    orders = [
        await house.desk.accept(make_request(side, index_id=index, quantity=D(units), client_key=f"order-{place}"))
        for place, (side, index, units) in enumerate(asked)
    ]
    order = await house.accept_rebalance()
    await house.manager.run([*(each.id for each in orders), order.id])
    with house.database.read() as connection:
        assert rebalance_order(connection, order.id).status.is_final
        made = [each for each in list_plans(connection) if each.id not in before]
        for each in made:
            assert prove(connection, each.id).findings == (), each.id
        assert audit(connection, house.account).findings == ()
    assert findings(house.database, house.exchange) == []
    return made


def waves(made: list[StoredPlan]) -> list[dict[str, object]]:
    """Return the plan objects of waves."""
    return [json.loads(each.document) for each in made if each.purpose == "wave"]


async def test_what_a_fund_sells_and_an_order_buys_is_saved_on_both_sides(tmp_path: Path) -> None:
    # The fund sells all its 100 B at 10, of which the order for 4 units takes 20: the fund saves half the
    # spread, 20 x 0.01, and the fee of ten bps on 20 x 9.99; the order half the spread and the fee of
    # what it would have bought, 20 / 0.999 at 10.01.
    house = await founded(tmp_path)
    made = await together(house, (Side.BUY, 2, "4"))
    first = waves(made)[0]
    legs = {leg["asset"]: leg for leg in first["legs"]}  # type: ignore[attr-defined]
    assert (legs["B"]["inside"], legs["B"]["quantity"]) == ("20", "80")
    funds, orders = 20 * D("0.01") + 20 * D("9.99") / 1000, divide(20 * D("10.01"), D("0.999")) - 200
    assert abs(D(str(first["saving"])) - funds - orders) < D("0.02")
    with house.database.read() as connection:
        (line,) = (each for each in crosses_report(connection, 1).crosses if each.asset == "B")
    assert (line.quantity, line.price) == (D(20), D(10))
    assert (line.buyer, line.seller) == (4, 5)


async def test_who_sells_what_the_fund_buys_later_waits_for_that_wave(tmp_path: Path) -> None:
    house = await founded(tmp_path)
    made = await together(house, (Side.SELL, 3, "5"))
    assert [each.purpose for each in made] == ["wave", "trade", "wave"]
    (leg,) = (leg for leg in waves(made)[1]["legs"] if leg["asset"] == "C")  # type: ignore[attr-defined]
    assert leg["inside"] == "50"
    assert made[1].created_at == made[2].created_at


async def test_on_the_same_side_the_fund_is_planned_behind_the_order(tmp_path: Path) -> None:
    house = await founded(tmp_path, weights={"A": "0.2", "B": "0.2", "C": "0.6"})
    made = await together(house, (Side.SELL, 2, "4"))
    asked = {each["asset"]: each["ordered"] for each in waves(made)[0]["problem"]["constituents"]}  # type: ignore[index]
    assert asked["A"] == "-4"


async def test_what_the_orders_beside_leave_of_a_book_is_all_there_is_of_it(tmp_path: Path) -> None:
    # Bids of 70.04 B, of which the order takes 20: the fund, which would sell 50.083, takes the other 50.04.
    house = await founded(tmp_path, weights={"A": "0.4", "B": "0.25", "C": "0.35"})
    assert isinstance(house.market, StaticMarket)
    house.market.set_book("BUSDT", [("9.99", "70.04")], [("10.01", "100000")])
    made = await together(house, (Side.SELL, 2, "4"))
    (wave,) = (each for each in made if "beside" in json.loads(each.document))
    with house.database.read() as connection:
        sent = asset_orders_of_plan(connection, wave.id)
        assert {each.intent.asset: each.executed_quantity for each in sent}["B"] == D("50.04")
        assert "B" not in assets_done(connection, wave, sent)


async def test_on_a_wide_book_neither_trades_against_the_other(tmp_path: Path) -> None:
    house = await founded(tmp_path, half={"B": "0.2"})
    made = await together(house, (Side.BUY, 2, "4"))
    assert "beside" not in waves(made)[0]
    assert made[0].purpose == "wave"
    with house.database.read() as connection:
        assert crosses_report(connection, 1).crosses == ()


async def test_orders_of_the_index_itself_go_by_the_basket_that_the_wave_has_left(tmp_path: Path) -> None:
    house = await founded(tmp_path)
    made = await together(house, (Side.BUY, 1, "4"))
    assert made[0].purpose == "wave"
    assert all("beside" not in each for each in waves(made))


async def test_what_was_crossed_otherwise_than_planned_is_found(tmp_path: Path) -> None:
    house = await founded(tmp_path)
    made = await together(house, (Side.BUY, 2, "4"))
    (wave,) = (each for each in made if "beside" in json.loads(each.document))
    (order,) = (each for each in made if each.method == "shared")
    with house.database.write() as connection:
        for stored in (wave, order):
            values = {name: getattr(stored, name) for name in ("index_order_id", "basket_id", "purpose", "units")}
            values |= {name: getattr(stored, name) for name in ("method", "cost", "bound", "gap_bps", "book_hash")}
            document = stored.document.replace('"inside":"20"', '"inside":"19"').replace('"B":"20"', '"B":"19"')
            values |= {"document": document, "seal": plan_seal({**values, "document": document})}
            connection.execute(update(plans).where(plans.c.id == stored.id).values(**values))
        for stored in (wave, order):
            told = {finding.where for finding in prove(connection, stored.id).findings}
            assert "quantities that were crossed" in told


async def test_a_wave_that_names_a_plan_which_is_not_there_is_found(tmp_path: Path) -> None:
    house = await founded(tmp_path)
    made = await together(house, (Side.BUY, 2, "4"))
    (wave,) = (each for each in made if "beside" in json.loads(each.document))
    document = json.loads(wave.document) | {"beside": ["0" * 64]}
    with house.database.write() as connection:
        connection.execute(update(plans).where(plans.c.id == wave.id).values(document=json.dumps(document)))
        told = {finding.where for finding in prove(connection, wave.id).findings}
        assert {"plan", "plan.beside"} <= told


async def test_a_limit_of_an_order_leaves_the_wave_to_trade_alone(tmp_path: Path) -> None:
    house = await founded(tmp_path, weights={"A": "0.5", "B": "0.25", "C": "0.25"})
    order = await house.desk.accept(make_request(Side.BUY, index_id=2, quantity=D(9)))
    house.limit("asset_order", "600")
    made = await together(house)
    assert len(waves(made)) == len(made) == 2
    assert house.order(order.id).stopped_by == ("risk(asset_order)",)


tenths = st.sampled_from([(a, b, 10 - a - b) for a in range(11) for b in range(11 - a)])
books = st.fixed_dictionaries(
    {
        asset: st.tuples(
            st.integers(-40, 40), st.sampled_from(["0.5", "4", "40", "900"]), st.sampled_from([1, 2, 30])
        )
        for asset in PRICES
    }
)
wishes = st.lists(
    st.tuples(
        st.sampled_from(list(Side)),
        st.sampled_from([1, 2, 3]),
        st.sampled_from(["0.4", "2.5", "7.77777777", "12", "30"]),
        st.sampled_from([None, -20, 0, 30]),
        st.sampled_from([None, 12, 40]),
        st.booleans(),
    ),
    max_size=4,
)


@given(tenths, books, wishes, st.sampled_from(["0.001", "0.1", "1"]))
@settings(max_examples=examples(12), deadline=None, phases=[Phase.generate])
def test_whatever_is_asked_the_books_come_out(
    parts: tuple[int, int, int],
    seen: dict[str, tuple[int, str, int]],
    wanted: list[tuple[Side, int, str, int | None, int | None, bool]],
    step: str,
) -> None:
    with tempfile.TemporaryDirectory() as folder, money_context():
        asyncio.run(_played(Path(folder), parts, seen, wanted, step))


async def _played(
    folder: Path,
    parts: tuple[int, int, int],
    seen: dict[str, tuple[int, str, int]],
    wanted: list[tuple[Side, int, str, int | None, int | None, bool]],
    step: str,
) -> None:
    house = await founded(folder, step=step)
    for asset, (ticks, depth, spread) in seen.items():
        mid = D(PRICES[asset]) + D("0.01") * ticks
        house.market.set_book(f"{asset}USDT", *make_ladders(mid, D("0.01"), D(depth), spread=spread, gap=2))  # type: ignore[attr-defined]
    weights = {asset: D(part) / 10 for asset, part in zip(PRICES, parts, strict=True) if part}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    numbers = []
    for place, (side, index, units, limit, loss, stays) in enumerate(wanted):
        with house.database.read() as connection:
            nav = current_basket(connection, index).nav({asset: D(price) for asset, price in PRICES.items()})
        request = make_request(
            side,
            index_id=index,
            quantity=D(units),
            client_key=f"order-{place}",
            limit_price=None if limit is None else nav + nav * limit / 10_000,
            max_loss_bps=None if loss is None else D(loss),
            time_in_force="gtc" if stays else "now",
        )
        try:
            numbers.append((await house.desk.accept(request)).id)
        except EtfError:
            continue  # more than is held, or nothing of it can be traded now
    order = await house.accept_rebalance()
    has_prices = True
    try:
        await house.manager.run([*numbers, order.id])
    except DataError:  # a book is empty now
        has_prices = False
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()
        assert limit_findings(connection) + max_loss_findings(connection) == []
        if has_prices:
            assert [each.id for each in list_rebalances(connection) if not each.status.is_final] == []
            assert all(each.status.is_final or each.stays_open for each in list_index_orders(connection))
        for each in list_plans(connection):
            assert prove(connection, each.id).findings == (), each.id
            _require_identities(json.loads(each.document), each.purpose)
        assert not connection.execute(fills.select().where(fills.c.era == INTERNAL, fills.c.fee != D(0))).first()
    assert findings(house.database, house.exchange) == []


def _require_identities(document: dict[str, str], purpose: str) -> None:
    if purpose == "wave":
        assert D(document["nav_before"]) - D(document["nav_after"]) == D(document["cost"])


async def test_the_dry_run_shows_the_plan_of_both_byte_for_byte(tmp_path: Path) -> None:
    house = await founded(tmp_path)
    order = await house.desk.accept(make_request(Side.BUY, index_id=2, quantity=D(4)))
    later = await house.desk.accept(make_request(Side.SELL, index_id=3, quantity=D(5), time_in_force="gtc"))
    parts = house.database, house.venue, house.clock, house.account
    found = await preview_rebalance(*parts, 1000, "1", None)
    beside = await beside_orders(*parts, house.settings, found)
    assert beside is not None
    assert (beside.orders, beside.held) == ((order.id,), (later.id,))
    assert verify(beside.plan, beside.market) == []
    made = await together(house)
    first = next(each for each in made if each.purpose == "wave")
    assert first.document == canonical(beside.plan)
    assert beside.saving == D(json.loads(first.document)["saving"]) > 0
