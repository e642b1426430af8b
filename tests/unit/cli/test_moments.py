"""`--from`, `--to` and `--as-of` as they are typed."""

from datetime import UTC, datetime

import pytest
import typer

from etf_trader.cli.conversion import read_currency
from etf_trader.cli.moments import read_moment, read_year


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T15:00Z", datetime(2026, 3, 1, 15, tzinfo=UTC)),
        ("2026-03-01T15:00+02:00", datetime(2026, 3, 1, 13, tzinfo=UTC)),
        ("2026-03-01T15:00:30.25-05:30", datetime(2026, 3, 1, 20, 30, 30, 250_000, tzinfo=UTC)),
    ],
)
def test_a_date_is_its_beginning_in_utc_and_a_time_has_a_zone(typed: str, moment: datetime) -> None:
    assert read_moment(typed) == moment


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("2026-03-01T15:00", "has no zone; write 2026-03-01T15:00Z for UTC"),
        ("2026-02-30", "is not a moment; write a date like 2026-03-01"),
        ("yesterday", "is not a moment"),
        ("2026-W01", "is not a moment"),
        ("20260301", "is not a moment"),
        ("٢٠٢٦-03-01", "is not a moment"),
        ("0001-01-01T00:00+14:00", "is not a moment"),
        ("2026-03-01T25:00Z", "is not a moment"),
        ("", "is not a moment"),
    ],
)
def test_what_is_no_moment_is_refused(typed: str, sentence: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        read_moment(typed)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("typed", ["26", "0999", "2026.5", "next"])
def test_what_is_no_year_is_refused(typed: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a year"):
        read_year(typed)


def test_a_currency_is_read_in_capitals() -> None:
    assert read_currency("eur") == "EUR"
    with pytest.raises(typer.BadParameter, match="is not a currency"):
        read_currency("€")
