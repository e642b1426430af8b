"""Orders of an index that trades in several currencies: exchanged first, counted at arrival, nothing lost."""

import copy
import json
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_request
from tests.invariants import findings

from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.execution.budget import note_counts
from etf_trader.execution.planning import MarketView, Wish, document_for, order_problem
from etf_trader.execution.routed import plan_of, routed_problem
from etf_trader.index.store import current_basket, index_by_id
from etf_trader.ledger.audit import audit
from etf_trader.market.document import market_hash
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, plain
from etf_trader.orders.plan import plan_object_seal
from etf_trader.orders.store import plans_of
from etf_trader.reports.fills import fills_report
from etf_trader.seal import canonical
from etf_trader.solver.reader import Malformed
from etf_trader.solver.routes import plan_routes
from etf_trader.solver.verify import verify
from etf_trader.venue.interface import OrderCount, OrderCounts

D = Decimal
Answer = TypeVar("Answer")


def make_routes_market(*, usdc: str = "1", a: str = "100", free: tuple[str, ...] = ()) -> StaticMarket:
    """A and B against USDT, A thin; A against USDC at `a`, deep; USDC against USDT at `usdc`, deep."""
    rows = [
        symbol_row("AUSDT", "A", "USDT"),
        symbol_row("BUSDT", "B", "USDT"),
        symbol_row("AUSDC", "A", "USDC"),
        symbol_row("USDCUSDT", "USDC", "USDT", tick="0.0001", min_price="0.0001", step="1", min_quantity="1"),
    ]
    books = {
        "AUSDT": make_ladders(D(100), D("0.01"), D(2), gap=10, levels=200),
        "BUSDT": make_ladders(D(10), D("0.01"), D(5000)),
        "AUSDC": make_ladders(D(a), D("0.01"), D(5000)),
        "USDCUSDT": make_ladders(D(usdc), D("0.0001"), D(5_000_000)),
    }
    return StaticMarket(rows, books, maker=D("0.001"), taker=D("0.001"), free=free)


async def routed_house(folder: Path, market: StaticMarket) -> House:
    house = make_house(folder, market)
    await house.create(make_definition(routes=("USDT", "USDC")))
    return house


def purposes(house: House, order_id: int) -> list[str]:
    with house.database.read() as connection:
        return [plan.purpose for plan in plans_of(connection, order_id)]


def assert_sound(house: House) -> None:
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()


@pytest.mark.parametrize("is_silent", [False, True], ids=["limits named", "limits not named"])
async def test_a_dry_run_plans_with_the_slots_that_are_free_as_the_order_does(
    tmp_path: Path, is_silent: bool
) -> None:
    house = await routed_house(tmp_path, make_routes_market(free=("USDCUSDT",)))
    with house.database.write() as connection:
        note_counts(connection, house.account.id, house.clock.now(), [OrderCount(10, 97)], is_last=True)
    venue, counts = house.venue, OrderCounts(house.clock.now(), (OrderCount(10, 97),))
    venue.order_counts = lambda: _given(counts)  # type: ignore[method-assign] # somebody else trades here too
    if is_silent:
        venue.order_limits = lambda: _given(())  # type: ignore[method-assign]
    request = make_request(quantity=D(200))
    preview = await house.desk.preview(request)
    assert preview.document["slots"]["most"] == 3
    order = await house.submit(request)
    with house.database.read() as connection:
        first = plans_of(connection, order.id)[0]
    assert json.loads(first.document) == json.loads(canonical(preview.document))


async def _given(answer: Answer) -> Answer:
    return answer


async def test_a_buy_exchanges_first_and_then_takes_the_deeper_book(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(free=("USDCUSDT",)))
    order = await house.buy(200)
    assert order.status == "filled"
    assert purposes(house, order.id) == ["convert", "trade"]
    sent = [each.symbol for each in house.exchange.orders("paper")]
    assert sent[0] == "USDCUSDT"
    assert {"AUSDC", "BUSDT"} <= set(sent[1:])
    with house.database.read() as connection:
        report = fills_report(connection, order.position_id, None)
    # What exchanging lost stands beside the constituents, and all of it adds up to the cash.
    assert report.orders[0].loss == report.orders[0].cash - 200 * report.orders[0].arrival_nav
    assert sum((line.loss for line in report.constituents), ZERO) == report.loss
    assert house.holdings("order:1") == {}
    assert_sound(house)


async def test_the_same_buy_in_one_currency_loses_more(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    market = make_routes_market(free=("USDCUSDT",))
    single = make_house(tmp_path / "one", market)
    await single.create(make_definition())
    alone = await single.buy(200)
    routed = await routed_house(tmp_path / "two", make_routes_market(free=("USDCUSDT",)))
    order = await routed.buy(200)
    assert routed.loss(order.id).total < single.loss(alone.id).total / 2


async def test_what_the_treasury_holds_of_another_currency_is_used_as_it_is(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market())
    house.deposit(D(50_000), "usdc", asset="USDC")
    order = await house.buy(200)
    assert purposes(house, order.id) == ["trade"]
    assert {each.symbol for each in house.exchange.orders("paper")} <= {"AUSDC", "AUSDT", "BUSDT"}
    spent = D(50_000) - house.holdings("treasury:self")["USDC"]
    assert spent > D(15_000)
    assert_sound(house)


async def test_a_sell_is_paid_in_another_currency_and_exchanges_it_back(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(free=("USDCUSDT",)))
    await house.buy(200)
    before = house.holdings("treasury:self")
    order = await house.sell(None)
    assert order.status == "filled"
    assert purposes(house, order.id)[0] == "trade"
    assert "USDCUSDT" in {each.symbol for each in house.exchange.orders("paper") if each.side == "SELL"}
    after = house.holdings("treasury:self")
    assert after.get("USDC", ZERO) - before.get("USDC", ZERO) < 10  # less than the least order
    assert after["USDT"] - before["USDT"] > D(23_500)
    assert_sound(house)


async def test_a_currency_away_from_par_counts_at_its_arrival(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(usdc="0.98", a="102.04", free=("USDCUSDT",)))
    order = await house.buy(100)
    assert order.arrival["USDC"] == D("0.98")
    assert (house.cash(order.id) - 100 * order.arrival_nav) == house.loss(order.id).total
    assert_sound(house)


async def test_where_nothing_is_gained_the_quote_alone_is_used(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market())
    order = await house.buy(1)
    assert purposes(house, order.id) == ["trade"]
    assert {each.symbol for each in house.exchange.orders("paper")} == {"AUSDT", "BUSDT"}
    assert_sound(house)


STATED_ONLY = {
    ("multipliers", "B"),  # any multiplier gives a bound; this one's last digit lies below its grid
    *(("problem", name) for name in ("float_cash", "units_done", "loss_done", "limit", "max_loss_bps", "cash")),
    ("problem", "legs", 0, "held_cost"),
    ("problem", "legs", 1, "held_cost"),
    ("saved_bps",),  # the home books alone do not fill as much within the cash
}
"""What the order was asked stands in its row, which a stored plan is held against; a plan alone cannot know it."""


def numbers_in(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers_in(each, (*path, key))
    elif isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        yield path


async def test_a_changed_digit_of_a_plan_over_currencies_is_found(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(free=("USDCUSDT",)))
    house.deposit(D(3000), "usdc", asset="USDC")
    request = make_request(quantity=D(200), limit_price=D(125), max_loss_bps=D(50))
    preview = await house.desk.preview(request)
    assert preview.document["conversions"]
    assert verify(preview.document, preview.market) == []
    missed = set()
    for path in numbers_in(preview.document):
        changed = copy.deepcopy(preview.document)
        inner: Any = changed
        for key in path[:-1]:
            inner = inner[key]
        text = inner[path[-1]]
        inner[path[-1]] = plain(D(text[:-1] + str((int(text[-1]) + 1) % 10)))
        if not verify(changed | {"seal": plan_object_seal(changed)}, preview.market):
            missed.add(path)
    assert missed == STATED_ONLY


async def test_whatever_becomes_of_a_plan_over_currencies_it_is_answered(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(free=("USDCUSDT",)))
    preview = await house.desk.preview(make_request(quantity=D(200)))
    chance = random.Random(7)
    junk: list[object] = [None, True, -1, "", "x", "-1", "0", [], {}, [["1", "2"]], "9" * 60]
    for _ in range(400):
        plan, market = copy.deepcopy(preview.document), copy.deepcopy(preview.market)
        inner: Any = chance.choice([plan, plan, market])
        while True:
            key = chance.choice([*inner] if isinstance(inner, dict) else range(len(inner)))
            if not isinstance(inner[key], dict | list) or not inner[key] or chance.random() < 0.3:
                break
            inner = inner[key]
        if isinstance(inner, dict) and chance.random() < 0.3:
            del inner[key]
        else:
            inner[key] = chance.choice(junk)
        whole = plan | {"book_hash": market_hash(market)}
        if (whole | {"seal": None}, market) == (preview.document | {"seal": None}, preview.market):
            continue
        with suppress(Malformed):
            verify(whole | {"seal": plan_object_seal(whole)}, market)


async def test_a_plan_keeps_to_the_slots_of_a_window_and_says_who_proves_the_choice(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(free=("USDCUSDT",)))
    with house.database.read() as connection:
        basket, index = current_basket(connection, 1), index_by_id(connection, 1)
    rules = await house.venue.rules()
    view = MarketView(await house.venue.books(sorted(rules), 1000), rules, slots=3)
    wish = Wish(Side.BUY, D(200), None, None, view.mids(basket.symbols), D(30_000))
    order = order_problem(wish, basket, view, {}, D(1000), 1)
    problem = routed_problem(order, index, view, {}, {}, may_convert=True)
    plan = plan_of(plan_routes(problem), problem)
    # A in USDC alone, B in USDT, and the exchange: the thin book of A in USDT is given up
    sent = [leg.symbol for leg in plan.legs if leg.quantity] + [each.leg.symbol for each in plan.conversions]
    assert sent == ["AUSDC", "BUSDT", "USDCUSDT"]
    document = document_for(plan, order, basket, "TWO", order.arrival_nav, view)
    assert document["slots"]["most"] == 3
    assert verify(document, view.document()) == []
    fewer = document | {"slots": document["slots"] | {"most": 2}}
    (finding,) = verify(fewer | {"seal": plan_object_seal(fewer)}, view.document())
    assert finding.where == "plan.slots"
    market = copy.deepcopy(view.document())
    market["rules"]["AUSDC"]["max_quantity"] = plain(plan.legs[0].quantity / 2)
    split = {finding.where for finding in verify(document, market)}
    assert split == {"market", "plan.slots"}  # one leg of two orders is one order too many
