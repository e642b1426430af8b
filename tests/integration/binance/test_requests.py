"""What is signed, stamped and sent, and what becomes of it when the way to the venue fails."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from Crypto.PublicKey import ECC
from tests.contract.wire import UID, make_venue
from tests.integration.binance.conftest import Wire

from etf_trader.errors import ConfigError, EtfError, OutcomeUnknown, RateLimited, VenueError, VenueUnavailable
from etf_trader.exchange.server.keys import add_key
from etf_trader.market.symbol import SymbolRule
from etf_trader.venue.binance.client import BinanceClient
from etf_trader.venue.binance.environments import LIVE, LOCAL, environment
from etf_trader.venue.binance.keys import Keys, Secret
from etf_trader.venue.binance.timekeeping import MeasuredTime
from etf_trader.venue.binance.venue import BinanceVenue
from etf_trader.venue.binance.weight import Allowance
from etf_trader.venue.interface import FeeDiscount, OrderKind, VenueOrderStatus

D = Decimal


def key_of(wire: Wire, **rights: object) -> Keys:
    exchange = wire.stage.exchange
    with wire.stage.database.write() as connection:
        made = add_key(connection, UID, exchange.now(), **rights)  # type: ignore[arg-type]
    return Keys(Secret(made.api_key), Secret(made.secret), "test")


async def test_the_documented_signature_comes_out() -> None:
    keys = Keys(
        Secret("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"),
        Secret("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"),
        "test",
    )
    clock = MeasuredTime()
    client = BinanceClient(environment(LOCAL, "http://127.0.0.1:1"), keys, clock, Allowance(None, clock))
    text = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    text += "&timestamp=1499827319559"
    assert client.signature(text) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    await client.close_connection()


async def test_an_ed25519_key_signs_rest_and_the_stream(wire: Wire) -> None:
    private = ECC.generate(curve="Ed25519")
    made = key_of(wire, public_key=private.public_key().export_key(format="PEM"))
    keys = Keys(made.api_key, Secret(private.export_key(format="PEM")), "test")
    venue = make_venue(wire.stage.address, keys)
    assert (await venue.balances())["USDT"].free == 10_000
    placed = await venue.place(await wire.order())
    assert placed.order.status is VenueOrderStatus.FILLED
    leave = venue.subscribe(lambda _: None)
    await asyncio.wait_for(venue.is_streaming(), 5)
    leave()
    await venue.close()


async def test_a_key_that_is_no_key_is_told_without_it(wire: Wire) -> None:
    with pytest.raises(ConfigError, match="not an Ed25519 key") as refused:
        await make_venue(
            wire.stage.address,
            Keys(Secret("a"), Secret("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"), "test"),
        ).balances()
    assert "secret" not in refused.value.message
    other = Keys(wire.stage.keys.api_key, Secret("wrong" * 10), "test")
    venue = make_venue(wire.stage.address, other)
    with pytest.raises(ConfigError, match="Signature") as refused:
        await venue.balances()
    assert refused.value.exit_code == 4
    await venue.close()


async def test_a_name_that_needs_to_be_encoded_is_signed_as_it_is_sent(wire: Wire) -> None:
    assert await wire.venue.find("AUSDT", "a.b:c/d") is None  # and no -1022


async def test_an_order_carries_the_time_of_its_grant_however_late_it_is_sent(wire: Wire) -> None:
    order = await wire.order()
    await asyncio.sleep(0.3)
    early = replace(order, granted_at=order.granted_at - timedelta(seconds=1.9), window_seconds=2)
    with pytest.raises(VenueUnavailable, match="-1021"):
        await wire.venue.place(early)
    assert await wire.venue.find("AUSDT", order.client_order_id) is None
    assert (await wire.venue.place(order)).order.status is VenueOrderStatus.FILLED


async def test_a_time_that_is_off_is_measured_anew_and_the_question_succeeds(wire: Wire) -> None:
    await wire.venue.server_time()
    clock = wire.venue.clock()
    assert isinstance(clock, MeasuredTime)
    assert clock._measured is not None
    clock._measured = replace(clock._measured, server=clock._measured.server + timedelta(seconds=30))
    assert (await wire.venue.balances())["USDT"].free == 10_000
    assert abs(await wire.venue.server_time() - wire.stage.exchange.now()) < timedelta(milliseconds=100)


async def test_the_venues_time_is_known_to_milliseconds(wire: Wire) -> None:
    now = await wire.venue.server_time()
    assert abs(now - wire.stage.exchange.now()) < timedelta(milliseconds=100)
    assert timedelta(0) < wire.venue.clock_error() < timedelta(milliseconds=100)


@pytest.mark.parametrize(
    ("fault", "error", "took_effect"),
    [
        ("cut_before", OutcomeUnknown, False),
        ("cut_after", OutcomeUnknown, True),
        ("unexpected_before", OutcomeUnknown, False),
        ("unexpected_after", OutcomeUnknown, True),
        ("timeout_before", OutcomeUnknown, False),
        ("timeout_after", OutcomeUnknown, True),
        ("server_error_before", OutcomeUnknown, False),
        ("server_error_after", OutcomeUnknown, True),
        ("overloaded", VenueUnavailable, False),
        ("limited", RateLimited, False),
        ("banned", RateLimited, False),
    ],
)
async def test_an_order_that_fails_on_its_way_is_known_to_be_known_or_not(
    wire: Wire, fault: str, error: type[EtfError], took_effect: bool
) -> None:
    order = await wire.order()
    await wire.fail(fault, longest_wait=1.0)
    with pytest.raises(error):
        await wire.venue.place(order)
    await wire.admin("DELETE", "/faults")
    await wire.admin("POST", "/pardon")
    if error is RateLimited:
        await asyncio.sleep(1.1)
    found = await wire.venue.find("AUSDT", order.client_order_id)
    assert (found is not None) is took_effect


@pytest.mark.parametrize("fault", ["unexpected_before", "timeout_after", "server_error_before", "overloaded"])
async def test_a_question_that_fails_is_put_again_a_few_times(wire: Wire, fault: str) -> None:
    await wire.venue.server_time()
    await wire.fail(fault, only="account.status", most=2)
    assert (await wire.venue.balances())["USDT"].free == 10_000
    await wire.fail(fault, only="account.status", most=100)
    with pytest.raises(VenueUnavailable):
        await wire.venue.balances()


async def test_while_the_venue_wants_to_be_left_alone_nothing_is_sent(wire: Wire) -> None:
    await wire.venue.balances()
    await wire.fail("limited", only="account.status", longest_wait=1.0)
    with pytest.raises(RateLimited) as limited:
        await wire.venue.balances()
    assert limited.value.is_of_host
    await wire.admin("POST", "/pardon")
    with pytest.raises(RateLimited, match="left alone") as silent:
        await wire.venue.books(["AUSDT"], 5)
    assert 0 < silent.value.retry_after <= limited.value.retry_after
    await asyncio.sleep(silent.value.retry_after + 0.05)
    assert await wire.venue.books(["AUSDT"], 5)


async def test_a_server_that_is_not_there_never_took_the_order(wire: Wire) -> None:
    order = await wire.order()
    nowhere = BinanceVenue(environment(LOCAL, "http://127.0.0.1:9"), wire.stage.keys, clock=MeasuredTime())
    with pytest.raises(VenueUnavailable, match="cannot be reached: nobody listens there"):
        await nowhere.place(order)
    await nowhere.close()


async def test_a_server_that_is_not_there_is_asked_for_its_time_a_few_times_and_nothing_else(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, measure = list[None](), BinanceClient._measure

    async def counted(client: BinanceClient) -> None:
        asked.append(None)
        await measure(client)

    monkeypatch.setattr(BinanceClient, "_measure", counted)
    monkeypatch.setattr("etf_trader.venue.binance.client.PAUSES", (0.01, 0.01, 0.01))
    nowhere = BinanceVenue(environment(LOCAL, "http://127.0.0.1:9"), wire.stage.keys, clock=MeasuredTime())
    with pytest.raises(VenueUnavailable, match="nobody listens there") as error:
        await nowhere.balances()
    assert error.value.where == "Binance local, http://127.0.0.1:9"
    assert len(asked) == 4
    await nowhere.close()


async def test_two_orders_of_one_name_are_told_apart_from_other_refusals(wire: Wire) -> None:
    from etf_trader.errors import DuplicateOrder

    order = await wire.order(kind=OrderKind.POST_ONLY, price=D("99.95"))
    await wire.venue.place(order)
    with pytest.raises(DuplicateOrder):
        await wire.venue.place(replace(order, granted_at=await wire.venue.server_time()))
    assert len(await wire.venue.open_orders()) == 1


async def test_a_market_that_is_halted_is_seen_after_a_refusal(wire: Wire) -> None:
    assert (await wire.venue.rules())["AUSDT"].is_trading
    await wire.admin("PUT", "/symbols/AUSDT", {"status": "HALT"})
    with pytest.raises(VenueError):
        await wire.venue.place(await wire.order())
    assert not (await wire.venue.rules())["AUSDT"].is_trading


async def test_each_event_loop_has_its_own_connection_and_closes_it(wire: Wire) -> None:
    venue = make_venue(wire.stage.address, wire.stage.keys)

    def ask() -> object:
        async def asked() -> object:
            found = await venue.balances()
            venue.subscribe(lambda _: None)
            await asyncio.wait_for(venue.is_streaming(), 5)
            return found

        return asyncio.run(asked())  # a warning about something left open fails the test

    first = await asyncio.to_thread(ask)
    assert await asyncio.to_thread(ask) == first


async def test_a_key_without_the_right_to_trade_is_refused_before_anything_is_sent(wire: Wire) -> None:
    venue = make_venue(wire.stage.address, key_of(wire, may_trade=False))
    with pytest.raises(ConfigError, match="may not trade"):
        await venue.require_ready()
    await venue.close()


async def test_a_live_key_that_may_withdraw_is_refused_until_it_is_allowed(wire: Wire) -> None:
    live = replace(environment(LOCAL, wire.stage.address.url), name=LIVE)
    keys = key_of(wire, may_withdraw=True)
    for allows in (False, True):
        venue = BinanceVenue(live, keys, allows_withdraw_key=allows)
        if allows:
            await venue.require_ready()
        else:
            with pytest.raises(ConfigError, match="may withdraw"):
                await venue.require_ready()
        await venue.close()


async def test_where_sending_is_not_switched_on_no_order_leaves(wire: Wire) -> None:
    venue = BinanceVenue(environment(LOCAL, wire.stage.address.url), wire.stage.keys, may_send=False)
    assert await venue.books(["AUSDT"], 5)
    with pytest.raises(ConfigError, match="not switched on"):
        await venue.place(await wire.order())
    assert await venue.find("AUSDT", "etf-a-1-1") is None
    await venue.close()


async def test_what_fees_are_paid_in_is_asked_of_the_wallet(wire: Wire) -> None:
    assert await wire.venue.fee_discount() is None
    wire.stage.exchange.set_bnb_burn(UID, True)
    fresh = make_venue(wire.stage.address, wire.stage.keys)
    assert await fresh.fee_discount() == FeeDiscount("BNB", D("0.75"))
    assert (await fresh.standing()).pays_in_bnb
    await fresh.require_ready()  # whether an index is in the way, the books know
    await fresh.close()


async def test_without_a_wallet_a_fill_tells_what_fees_are_paid_in(wire: Wire) -> None:
    bare = replace(environment(LOCAL, wire.stage.address.url), wallet=None)
    venue = BinanceVenue(bare, wire.stage.keys)
    assert await venue.fee_discount() is None
    placed = await venue.place(await wire.order())
    assert placed.trades and await venue.fee_discount() is None
    told = [replace(each, fee_asset="BNB") for each in placed.trades]
    venue._note_fees("AUSDT", told)
    assert await venue.fee_discount() == FeeDiscount("BNB", D("0.75"))
    await venue.close()


async def test_the_list_of_markets_is_read_once_for_all_processes_of_an_hour(wire: Wire, tmp_path: Path) -> None:
    kept, chosen = tmp_path / "exchange-info-local.json", environment(LOCAL, wire.stage.address.url)
    first = BinanceVenue(chosen, wire.stage.keys, kept_in=tmp_path)
    rules = await first.rules()
    assert kept.stat().st_mode & 0o777 == 0o600
    await first.close()
    second = BinanceVenue(chosen, wire.stage.keys, kept_in=tmp_path)
    before = second.list_age()
    assert before is None and await second.rules() == rules
    assert second.list_age() is not None and second.rules_age() is not None
    document = json.loads(kept.read_text())
    stated = document["at"]
    assert document["body"]["symbols"] and list(second.sors()) == document["body"].get("sors", [])
    await second.close()
    document["at"] = (datetime.fromisoformat(stated) - timedelta(hours=2)).isoformat()
    kept.write_text(json.dumps(document))
    third = BinanceVenue(chosen, wire.stage.keys, kept_in=tmp_path)
    assert await third.rules() == rules
    assert json.loads(kept.read_text())["at"] > stated  # too old: asked anew
    await third.close()
    kept.write_text("{")
    fourth = BinanceVenue(chosen, wire.stage.keys, kept_in=tmp_path)
    assert await fourth.rules() == rules
    await fourth.close()


async def test_what_a_market_costs_is_asked_once_for_all_processes_of_an_hour(wire: Wire, tmp_path: Path) -> None:
    chosen = environment(LOCAL, wire.stage.address.url)

    async def asked() -> tuple[int, dict[str, SymbolRule]]:
        venue = BinanceVenue(chosen, wire.stage.keys, kept_in=tmp_path)
        client, paths = venue.client(), []
        get = client.get

        async def told(path: str, **options: Any) -> Any:
            paths.append(path)
            return await get(path, **options)

        client.get = told  # type: ignore[method-assign]
        await venue.books(["AUSDT"], 5)
        rules = await venue.rules()
        await venue.close()
        return paths.count("account/commission"), dict(rules)

    first, rules = await asked()
    assert first > 0
    assert await asked() == (0, rules)
    file = tmp_path / "fees-local.json"
    document = json.loads(file.read_text())
    document["body"]["AUSDT"][0] = 3600  # so old was it already when it was written
    file.write_text(json.dumps(document))
    assert await asked() == (1, rules)
    document["source"] += "0"  # of another account
    file.write_text(json.dumps(document))
    assert await asked() == (first, rules)
