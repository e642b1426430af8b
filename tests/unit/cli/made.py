"""A folder in which the index TWO was created and traded, for the commands that read it."""

import asyncio
from decimal import Decimal
from pathlib import Path

from etf_trader.bootstrap import make, open_services
from etf_trader.config import Settings
from etf_trader.index.definition import definition_from_options
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.index_order import OrderRequest

D = Decimal


def settings_of(folder: Path) -> Settings:
    """Return the settings that `folder` alone makes."""
    return Settings.load(cwd=folder, environ={}, user_file=folder / "none.toml")


def make_folder(folder: Path, exchange: str, buys: list[tuple[str, Decimal | None]]) -> Path:
    """Create TWO in `folder` and buy each quantity within its limit; `exchange` adds lines to [exchange]."""
    (folder / "etf.toml").write_text(f'[exchange]\nclock = "stepped"\n{exchange}')
    with money_context():
        settings = settings_of(folder)
        make(settings)
        services = open_services(settings)
        definition = definition_from_options(
            "TWO", ["BTC=0.6", "ETH=0.4"], name=None, start_value=D(1000), float_cash=D(600)
        )

        async def trade() -> None:
            await services.administration.create_index(definition, 100)
            for quantity, limit in buys:
                request = OrderRequest(Side.BUY, 1, D(quantity), "", limit, None, "now", f"k{quantity}")
                order = await services.desk.accept(request)
                await services.manager.run([order.id])

        asyncio.run(trade())
        services.close()
    return folder
