"""`etf index`: creates, lists, shows, values, funds and closes indices."""

from __future__ import annotations

from etf_trader.cli import (
    index_create,
    index_event,
    index_fee,
    index_fund,
    index_history,
    index_mark,
    index_nav,
    index_rules,
    index_show,
)
from etf_trader.cli.commands import group

app = group()

for each in (
    index_create,
    index_show,
    index_fund,
    index_nav,
    index_history,
    index_rules,
    index_fee,
    index_mark,
    index_event,
):
    each.add_to(app)
