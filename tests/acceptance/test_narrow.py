"""On a terminal of 80 columns every line fits and no word is cut; on one of 60 every line fits."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell, above_nav

SHOWN = (
    "order list",
    "order show 2",
    "order show 6",
    "order watch 6 --once",
    "position list --all",
    "position show 1",
    "index list",
    "index show 1",
    "index nav 1",
    "index nav --history",
    "report nav --index 1",
    "report performance",
    "report fills --position 1",
    "report holdings",
    "report holdings --as-of 2026-01-05T00:00:02Z -v",
    "report loss",
    "report costs",
    "report gains -v",
    "report statement -v",
    "config show",
    "exchange status",
    "treasury show",
    "db status",
    "doctor",
    "submit buy --index 1 --qty 100 --dry-run",
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a folder with orders of every kind, of sizes with many digits."""
    shell = Shell(tmp_path_factory.mktemp("busy"))
    shell.ok("init", "--clock", "stepped", "--deposit", "60000000")
    buy = ("submit", "buy", "--index", "1", "--qty")
    shell.ok(*buy, "100")
    shell.etf(*buy, "20000", "--limit", above_nav(shell, Decimal("1.004")))
    shell.etf(*buy, "20000", "--max-loss", "12")
    shell.ok("submit", "sell", "--index", "1", "--qty", "40")
    shell.ok(*buy, "50", "--limit", "900", "--tif", "6h")
    shell.ok(*buy, "1234.56789", "--algo", "pov", "--duration", "2h", "--detach")
    shell.ok("exchange", "advance", "3m")
    shell.ok("worker", "--once")
    return shell


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("words", SHOWN)
def test_every_line_fits_a_narrow_terminal(busy: Shell, words: str, columns: int) -> None:
    lines = busy.on_terminal(columns, *words.split())
    long_words = {line for line in lines if any(len(word) > columns // 2 for word in line.split())}
    assert [line for line in lines if len(line) > columns and line not in long_words] == []
    if columns == 80 and not words.startswith(("db", "config")):  # whose paths are as long as the folder's name
        assert "…" not in "".join(lines).replace(" · …", "")


def test_a_loss_limit_stands_whole_in_the_list_of_orders(busy: Shell) -> None:
    assert any("loss limit 12.0 bps" in line for line in busy.on_terminal(80, "order", "list"))


def test_settings_stand_whole_beside_where_they_come_from(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "etf.toml").write_text(
        'database = "/srv/fund/etf.db"\n[exchange]\ndatabase = "/srv/fund/exchange.db"\n'
    )
    lines = shell.on_terminal(80, "config", "show")
    assert any(line.split() == ["database", "/srv/fund/etf.db", "etf.toml,", "line", "1"] for line in lines)
