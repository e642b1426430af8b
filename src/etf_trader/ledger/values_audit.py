"""The part of the audit that checks what was written down about the worth of units and the level of indices."""

from collections.abc import Callable
from itertools import pairwise

from sqlalchemy import Connection, select

from etf_trader.index.benchmarks import fixings_of
from etf_trader.index.navs import navs_of
from etf_trader.index.prices import values_of
from etf_trader.index.store import baskets_of
from etf_trader.index.tables import benchmarks, indices, navs
from etf_trader.ledger.repository import Account
from etf_trader.money import plain

Find = Callable[[str, str], None]


def audit_values(connection: Connection, account: Account, find: Find) -> None:
    """Check every NAV and every benchmark with its seal, NAV with its basket, levels with each other."""
    owners = {row.id: row.account_id for row in connection.execute(select(indices.c.id, indices.c.account_id))}
    others = {number for number, account_id in owners.items() if account_id != account.id}
    # Those of an index that nobody has, too.
    used = [
        each for table in (navs, benchmarks) for each in connection.scalars(select(table.c.index_id).distinct())
    ]
    for number in sorted((owners.keys() | set(used)) - others):
        _check_navs(connection, number, find)
        _check_benchmarks(connection, number, find)


def _check_navs(connection: Connection, index_id: int, find: Find) -> None:
    baskets = {basket.version: basket for basket in baskets_of(connection, index_id)}
    for nav in navs_of(connection, index_id):
        entry = f"nav {nav.id} of index {index_id}"
        if nav.seal != nav.facts_seal():
            find(entry, "its content does not match its seal")
            continue
        if (basket := baskets.get(nav.basket_version)) is None:
            find(entry, f"it is of basket {nav.basket_version}, which there is not")
            continue
        made = basket.nav(values_of(nav.prices))
        if nav.nav_per_unit != made:
            find(entry, f"it is {plain(nav.nav_per_unit)}, its basket at its prices is {plain(made)}")


def _check_benchmarks(connection: Connection, index_id: int, find: Find) -> None:
    fixings = fixings_of(connection, index_id)
    for before, fixing in pairwise([*fixings[:1], *fixings]):
        entry = f"benchmark {fixing.id} of index {index_id}"
        if fixing.seal != fixing.facts_seal():
            find(entry, "its content does not match its seal")
            continue
        level = before.benchmark.level(values_of(fixing.prices))
        if fixing.level != level:
            find(entry, f"its level is {plain(fixing.level)}, what it follows had {plain(level)}")
