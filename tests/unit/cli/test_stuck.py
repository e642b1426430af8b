"""An order that ended and still holds assets: what is said of it, and what brings it to its end."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.cli.made import make_folder, settings_of

from etf_trader.bootstrap import open_services
from etf_trader.cli import app
from etf_trader.errors import OrderRejected
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.status import Shortfall
from etf_trader.venue.interface import LimitOrder, Placed
from etf_trader.venue.paper import PaperVenue

D = Decimal


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which ETH was refused, so that order 1 holds the BTC of ten units, as it was to."""
    make_folder(tmp_path, "", [])
    place = PaperVenue.place

    async def refuse(venue: PaperVenue, order: LimitOrder) -> Placed:
        if order.symbol == "ETHUSDT":
            raise OrderRejected("Market is closed.", venue_code=-2010, symbol=order.symbol)
        return await place(venue, order)

    async def trade() -> None:
        request = OrderRequest(Side.BUY, 1, D(10), "", None, None, "now", "held", Shortfall.HOLD)
        order = await services.desk.accept(request)
        await services.manager.run([order.id])

    with monkeypatch.context() as patched, money_context():
        patched.setattr(PaperVenue, "place", refuse)
        services = open_services(settings_of(tmp_path))
        asyncio.run(trade())
        services.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert app.run(words) == code
    return capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_it_is_shown_with_what_it_holds_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "order", "show", "1")
    assert "state       stuck" in text
    assert "It keeps what it bought or sold beyond whole units, as --on-shortfall hold wishes." in text
    assert "Stuck: it still holds " in text
    assert " BTC: kept as --on-shortfall hold wishes.\n" in text
    assert text.endswith("etf cancel --order 1 trades it back.\n")
    document = json.loads(said(capsys, "order", "show", "1", "--json"))
    assert [(row["asset"], row["why"]) for row in document["held"]] == [("BTC", "wish")]
    assert document["stopped_by"] == ["rejected(ETH)", "held"]


@pytest.mark.usefixtures("folder")
def test_doctor_names_it_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "doctor")
    assert text.startswith("It works; ")
    assert "order 1 is stuck" in text
    assert "etf cancel --order 1 trades" in text
    checks = json.loads(said(capsys, "doctor", "--json"))["checks"]
    assert [each["state"] for each in checks if each["check"] == "orders"] == ["warn"]


@pytest.mark.usefixtures("folder")
def test_a_cancel_trades_it_back_and_says_what_that_cost(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "worker", "--once")
    assert "stuck" in said(capsys, "order", "list")  # by wish: nobody else touches it
    lines = said(capsys, "cancel", "--order", "1").splitlines()
    assert lines[0].startswith("Cancelled order 1: nothing of 10 units of TWO had been bought, and trying cost ")
    assert lines[1].startswith("What made no whole units was traded back, at its cost: etf plan show ")
    assert lines[2].endswith(" USDT set aside for it is free again.")
    document = json.loads(said(capsys, "order", "show", "1", "--json"))
    assert (document["status"], document["held"]) == ("cancelled", [])
    assert "orders" in said(capsys, "doctor")
    said(capsys, "ledger", "audit")
    said(capsys, "plan", "verify", str(document["plans"][-1]["id"]))
