"""The table of market caps: what is known on a day, and what is refused."""

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from etf_trader.errors import DataError, EtfError, UsageError
from etf_trader.index.caps import read_caps

D = Decimal
TABLE = """Rank,Name,Symbol,Market Cap,Price,Volume (24h),snapshot_date
1,Bitcoin,BTC,1000.5,10,7,20260101
2,Ethereum,ETH,400,4,,20260101
2,Ethereum,ETH,900,9,5,20260201
1,Bitcoin,btc,1200,12,6,20260201
3,Other Bitcoin,BTC,,1,1,20260201
"""


def write(folder: Path, text: str = TABLE) -> Path:
    path = folder / "caps.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_newest_day_that_is_not_later_is_taken_whole_the_largest_first(tmp_path: Path) -> None:
    table = read_caps(write(tmp_path))
    assert [row.symbol for row in table.known_on(date(2026, 2, 3))] == ["BTC", "ETH"]
    january = table.known_on(date(2026, 1, 5))
    assert [(row.symbol, row.market_cap, row.price, row.volume) for row in january] == [
        ("BTC", D("1000.5"), D(10), D(7)),
        ("ETH", D(400), D(4), None),
    ]
    assert table.first_seen("BTC", "Bitcoin", date(2026, 2, 1)) == date(2026, 1, 1)
    assert table.first_seen("SOL", "Solana", date(2026, 2, 1)) is None


def test_who_has_no_market_cap_that_day_is_not_ranked_and_known(tmp_path: Path) -> None:
    text = "date,symbol,name,market_cap\n"
    rows = ["20260101,ETH,Ethereum,", "20260105,ETH,Ethereum,0", "20260105,BTC,Bitcoin,5", "20260105,BTC,Other,"]
    table = read_caps(write(tmp_path, text + "\n".join(rows)))
    assert [row.symbol for row in table.known_on(date(2026, 1, 6))] == ["BTC"]
    assert table.unranked_on(date(2026, 1, 6)) == {"ETH"}


def test_what_is_dated_later_or_is_a_week_old_is_never_used(tmp_path: Path) -> None:
    table = read_caps(write(tmp_path))
    with pytest.raises(DataError, match="has nothing up to 2025-12-31"):
        table.known_on(date(2025, 12, 31))
    assert table.known_on(date(2026, 1, 8))
    with pytest.raises(DataError, match="are of 2026-01-01: older than 7 days"):
        table.known_on(date(2026, 1, 9))


def test_a_gzipped_table_with_other_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "caps.csv.gz"
    path.write_bytes(gzip.compress(b"when,coin id,value\n2026-01-31T00:00:00Z,SOL,5\n"))
    columns = {"date": "When", "symbol": "coin id", "market_cap": "value"}
    (row,) = read_caps(path, columns).known_on(date(2026, 2, 1))
    assert (row.symbol, row.name, row.market_cap, row.price) == ("SOL", "SOL", D(5), None)


@pytest.mark.parametrize(
    ("text", "columns", "kind", "sentence"),
    [
        (TABLE, {"market_cap": "value"}, UsageError, "no column for market_cap"),
        (TABLE, {"marketcap": "Market Cap"}, UsageError, "a market cap has no 'marketcap'"),
        ("a,b\n1,2\n", {}, UsageError, "no column for date"),
        ("date,symbol,market_cap\n", {}, DataError, "is empty"),
        ("date,symbol,market_cap\n01/31/2026,BTC,1\n", {}, DataError, "'01/31/2026' is no date"),
        ("date,symbol,market_cap\n2026-01-31,BTC,many\n", {}, DataError, "'many' is no market cap"),
        ("date,symbol,market_cap\n2026-01-31,BTC,-1\n", {}, DataError, "a market cap of -1 cannot be"),
        ("date,symbol,market_cap\n2026-01-31,BTC,1\n2026-01-31,BTC,2\n", {}, DataError, "stands twice"),
        ("date,symbol,market_cap\n2026-01-31,BTC,1\n2026-01-31,ETH\n", {}, DataError, "has 2 of 3 columns"),
        ("date,symbol,market_cap\n2026-01-31,BTC,1,800\n", {}, DataError, "has 4 of 3 columns"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, text: str, columns: dict[str, str], kind: type[EtfError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        read_caps(write(tmp_path, text), columns)


def test_a_table_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the market caps: no such file"):
        read_caps(tmp_path / "nothing.csv")
