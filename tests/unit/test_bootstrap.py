"""Making what is missing, refusing what does not belong together, importing only what is used."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from etf_trader.bootstrap import (
    Made,
    Services,
    archive,
    deposit_cash,
    execution_settings,
    make,
    open_exchange,
    open_services,
    withdraw_cash,
)
from etf_trader.config import Settings
from etf_trader.database import Database
from etf_trader.errors import ConfigError, UsageError
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.ledger.repository import Ledger, list_accounts
from etf_trader.venue.paper import PaperVenue

D = Decimal
UID = "paper"
STEPPED = '[exchange]\nclock = "stepped"\n'


def load(folder: Path, text: str = STEPPED) -> Settings:
    folder.mkdir(exist_ok=True)
    (folder / "etf.toml").write_text(text)
    return Settings.load(cwd=folder, environ={}, user_file=folder / "none.toml")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(tmp_path)


def treasury(services: Services, holder: str = "self", asset: str = "USDT") -> Decimal:
    with services.database.read() as connection:
        return Ledger(connection, services.account.id).balance(f"treasury:{holder}", asset)


def test_make_makes_both_databases_the_account_and_its_first_deposit(settings: Settings, tmp_path: Path) -> None:
    assert make(settings) == Made(is_new=True, deposit=D(1_000_000))
    assert {path.name for path in tmp_path.glob("*.db")} == {"etf.db", "exchange.db"}
    services = open_services(settings)
    assert (services.account.environment, services.account.uid) == ("paper", UID)
    assert services.account.era == services.exchange.era
    assert treasury(services) == D(1_000_000) == services.exchange.balances(UID)["USDT"].free
    services.close()


def test_making_again_changes_nothing(settings: Settings) -> None:
    make(settings)
    before = _rows(settings)
    assert make(settings) == Made(is_new=False, deposit=None)
    assert make(settings) == Made(is_new=False, deposit=None)
    assert _rows(settings) == before


def test_without_a_deposit_in_the_settings_there_is_none(tmp_path: Path) -> None:
    settings = load(tmp_path, STEPPED + "deposit = 0\n")
    assert make(settings) == Made(is_new=True, deposit=None)
    assert open_exchange(settings).balances(UID) == {}


def test_a_start_and_an_era_can_be_given(settings: Settings) -> None:
    start = datetime(2026, 2, 3, tzinfo=UTC)
    make(settings, start=start, era="demo")
    exchange = open_exchange(settings)
    assert (exchange.era, exchange.now()) == ("demo", start)


@pytest.mark.parametrize(
    ("changed", "code"),
    [(STEPPED + "seed = 2\n", 4), ('[exchange]\nclock = "wall"\n', 4)],
    ids=["another seed", "another clock"],
)
def test_an_exchange_of_other_settings_is_refused(
    settings: Settings, tmp_path: Path, changed: str, code: int
) -> None:
    make(settings)
    with pytest.raises(ConfigError, match="the exchange was made with other settings") as refused:
        make(load(tmp_path, changed))
    assert refused.value.exit_code == code
    assert refused.value.hint == "etf exchange reset archives it and makes a new one"


def test_an_exchange_of_another_era_is_refused(settings: Settings, tmp_path: Path) -> None:
    make(settings)
    (tmp_path / "exchange.db").unlink()
    with pytest.raises(ConfigError, match="the ledger and the exchange do not belong together"):
        make(settings)  # it makes an exchange anew, and that has another era
    services = open_services(settings)
    with pytest.raises(ConfigError, match="the exchange was made anew since this database was made") as refused:
        _ = services.exchange
    assert refused.value.hint == "etf exchange reset archives both databases together"
    services.close()


def test_opening_what_is_not_there_says_how_to_make_it(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as missing:
        open_services(settings)
    assert missing.value.hint is not None
    assert "etf init" in missing.value.hint
    make(settings)
    (tmp_path / "exchange.db").unlink()
    services = open_services(settings)  # a command that reads rows needs no exchange
    with pytest.raises(ConfigError):
        _ = services.exchange
    services.close()


def test_a_database_without_an_account_says_so(settings: Settings) -> None:
    from etf_trader import schema

    schema.upgrade(Database(settings.database), "etf")
    with pytest.raises(ConfigError, match="the database has no account paper yet") as refused:
        open_services(settings)
    assert refused.value.hint == "etf init makes it"


def test_services_are_made_once(settings: Settings) -> None:
    make(settings)
    services = open_services(settings)
    names = ("exchange", "venue", "clock", "desk", "manager", "administration")
    first = [getattr(services, name) for name in names]
    assert all(getattr(services, name) is made for name, made in zip(names, first, strict=True))
    assert isinstance(services.venue, PaperVenue)
    services.close()


def test_the_clock_of_a_stepped_exchange_is_the_exchanges(settings: Settings) -> None:
    make(settings)
    services = open_services(settings)
    before = services.clock.now()
    services.exchange.advance(5)
    assert (services.clock.now() - before).total_seconds() == 5
    services.close()


def test_deposits_and_withdrawals_move_the_exchange_and_the_books_together(settings: Settings) -> None:
    make(settings)
    services = open_services(settings)
    deposit_cash(services, "USDT", D("250.5"), holder="ann")
    deposit_cash(services, "BTC", D(2), holder="self")
    withdraw_cash(services, "USDT", D("50.25"), holder="ann")
    assert treasury(services, "ann") == D("200.25")
    assert treasury(services, "self", "BTC") == D(2)
    held = services.exchange.balances(UID)
    assert (held["USDT"].free, held["BTC"].free) == (D("1000200.25"), D(2))
    services.close()


@pytest.mark.parametrize(
    ("move", "sentence"),
    [
        (
            lambda services: withdraw_cash(services, "USDT", D("0.01"), holder="ann"),
            "the treasury of ann holds 0.00 USDT: 0.01 cannot be withdrawn",
        ),
        (
            lambda services: withdraw_cash(services, "USDT", D("1000000.5"), holder="self"),
            "the treasury of self holds 1,000,000.00 USDT: 1,000,000.50 cannot be withdrawn",
        ),
        (lambda services: deposit_cash(services, "NONE", D(1), holder="self"), "NONE"),
        (lambda services: deposit_cash(services, "USDT", D(-1), holder="self"), "-1"),
    ],
    ids=["somebody without cash", "more than there is", "an unknown asset", "a negative amount"],
)
def test_money_that_cannot_move_gets_a_sentence_and_nothing_moves(
    settings: Settings, move: Callable[[Services], None], sentence: str
) -> None:
    make(settings)
    services = open_services(settings)
    with pytest.raises(UsageError) as refused:
        move(services)
    assert sentence in refused.value.message
    assert treasury(services) == D(1_000_000) == services.exchange.balances(UID)["USDT"].free
    services.close()


def test_archiving_moves_both_databases_aside(settings: Settings, tmp_path: Path) -> None:
    make(settings)
    moved = archive(settings, "20260301")
    assert {new.name for _, new in moved} >= {"etf.20260301.db", "exchange.20260301.db"}
    assert not (tmp_path / "etf.db").exists()
    assert not (tmp_path / "exchange.db").exists()
    assert all(new.exists() for _, new in moved)
    assert make(settings).is_new


def test_only_files_can_be_archived(tmp_path: Path) -> None:
    settings = load(tmp_path, 'database = "postgresql://me:secret@localhost/etf"\n')
    with pytest.raises(ConfigError, match="only SQLite databases can be archived") as refused:
        archive(settings, "now")
    assert "secret" not in str(refused.value.where)


def test_execution_is_told_what_the_settings_say(tmp_path: Path) -> None:
    text = '[solver]\ndepth = 50\nmethod = "linprog"\n[trade]\nslack_ticks = 3\nreserve_bps = 75\n'
    assert execution_settings(load(tmp_path, text)) == ExecutionSettings(
        depth=50, slack_ticks=3, reserve_bps=D(75), method="linprog"
    )


READS_ONLY = """
import sys
from pathlib import Path
from etf_trader.bootstrap import open_services
from etf_trader.config import Settings
from etf_trader.ledger.repository import list_accounts
folder = Path(sys.argv[1])
services = open_services(Settings.load(cwd=folder, environ={}, user_file=folder / "none.toml"))
with services.database.read() as connection:
    assert len(list_accounts(connection)) == 1
services.close()
print(" ".join(sorted(sys.modules)))
"""


def test_a_read_imports_neither_exchange_nor_solver_nor_managers(settings: Settings, tmp_path: Path) -> None:
    make(settings)
    done = subprocess.run(
        [sys.executable, "-c", READS_ONLY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    heavy = ("numpy", "scipy", "pandas", "aiohttp", "binance", "alembic")
    ours = ("exchange", "execution", "solver", "venue.paper", "reports", "cli")
    forbidden = (*heavy, *(f"etf_trader.{name}" for name in ours))
    assert [name for name in loaded if name.startswith(forbidden)] == []
    assert "etf_trader.ledger.repository" in loaded


def _rows(settings: Settings) -> list[object]:
    database = Database(settings.database)
    with database.read() as connection:
        accounts = list_accounts(connection)
        held: list[object] = [
            (account, Ledger(connection, account.id).holdings("treasury:self")) for account in accounts
        ]
    database.close()
    exchange = open_exchange(settings)
    return [*held, exchange.era, exchange.transfers(UID), exchange.balances(UID)]
