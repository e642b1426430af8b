"""`etf report`: what is told when the exchange cannot be asked."""

from decimal import Decimal

from tests.acceptance.shell import Shell, above_nav


def test_fills_are_reported_without_the_exchange(held: Shell) -> None:
    limit = above_nav(held, Decimal("1.0005"))
    held.etf("submit", "buy", "--index", "1", "--qty", "100", "--limit", limit)
    whole = held.json("report", "fills")
    (held.folder / "exchange.db").unlink()
    answer = held.etf("report", "fills", "--json")
    assert answer.code == 0
    assert "What was missed is left out, it needs the prices of now: there is no database yet" in answer.err
    assert answer.document["missed"] is None
    assert whole["missed"] is not None
    assert answer.document["fills"] == whole["fills"]
    assert answer.document["loss"] == whole["loss"]
    assert not (held.folder / "exchange.db").exists()


def test_holdings_without_the_exchange_say_what_is_missing(held: Shell) -> None:
    (held.folder / "exchange.db").unlink()
    answer = held.etf("report", "holdings")
    assert answer.code == 4
    assert "holdings are valued at the prices of now, and there is no exchange that has them" in answer.err
    assert "exchange.db" in answer.err
