"""The chain as a beancount file: plain text that other programs prove again. Pure.

Every transaction stands in it posting by posting, in all digits, with its key
and hash; what the books hold at the end is asserted, so that whoever loads the
file checks the sums. Lots are told beside the transactions, as `custom`
directives: the ledger balances in each asset by itself, and beancount would have
it balance in cost. Names that beancount does not take are written in another
spelling that can be read back, and beside it, as they are.

Source:
    The syntax of beancount 3, https://beancount.github.io/docs/beancount_language_syntax.html
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from etf_trader.ledger.accounts import is_inside
from etf_trader.ledger.lots import Disposal
from etf_trader.ledger.replay import Books, Entry
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.money import plain

TOLERANCE = "0.000000000001"
"""Beancount adds in 28 digits, the ledger in 60: by so much its sums may be off."""

QuoteOf = Callable[[str, int | None], str]
"""What the lots of an account cost in, by its name and the order that they moved for."""

_ROOTS = {
    "treasury": "Assets:Treasury",
    "order": "Assets:Order",
    "index": "Assets:Index",
    "float": "Assets:Float",
    "fee_inventory": "Assets:Fee-Inventory",
    "fee_payable": "Assets:Fee-Payable",
    "position": "Assets:Position",
    "redeemed": "Assets:Redeemed",
    "issued": "Liabilities:Issued",
    "capital": "Equity:Capital",
    "market": "Equity:Market",
    "venue_fees": "Expenses:Venue-Fees",
}
_KINDS = {root: kind for kind, root in _ROOTS.items()}

_COMPONENT = re.compile(r"(?!x-)[a-z0-9][A-Za-z0-9-]*")
_COMMODITY = re.compile(r"(?!(?:TRUE|FALSE|NULL|UNIT[0-9]+)$)[A-Z][A-Z0-9]*")


def account_name(account: str) -> str:
    """Return how beancount calls an account of the ledger."""
    kind, separator, rest = account.partition(":")
    root = _ROOTS.get(kind) or ("Assets:" if is_inside(account) else "Equity:") + _component(kind)
    return f"{root}:{_component(rest)}" if separator else root


def read_account_name(name: str) -> str:
    """Return the account of the ledger that beancount calls so."""
    first, second, *rest = name.split(":")
    kind = _KINDS.get(f"{first}:{second}") or _read_component(second)
    return ":".join([kind, *map(_read_component, rest)])


def commodity_name(asset: str) -> str:
    """Return how beancount calls an asset: units of index 1 are UNIT1, 1INCH is X-1INCH."""
    if found := re.fullmatch(r"unit:([0-9]+)", asset):
        return f"UNIT{found[1]}"
    return asset if _COMMODITY.fullmatch(asset) else "X-" + _escaped(asset, ".", "[A-Z0-9]").upper()


def read_commodity_name(name: str) -> str:
    """Return the asset that beancount calls so."""
    if found := re.fullmatch(r"UNIT([0-9]+)", name):
        return f"unit:{found[1]}"
    return _unescaped(name[2:], ".") if name.startswith("X-") else name


def _component(name: str) -> str:
    return name[0].upper() + name[1:] if _COMPONENT.fullmatch(name) else "X-" + _escaped(name, "-", "[A-Za-z0-9]")


def _read_component(name: str) -> str:
    return _unescaped(name[2:], "-") if name.startswith("X-") else name[:1].lower() + name[1:]


def _escaped(text: str, mark: str, legal: str) -> str:
    return "".join(each if re.fullmatch(legal, each) else f"{mark}{ord(each):06x}" for each in text)


def _unescaped(text: str, mark: str) -> str:
    return re.sub(re.escape(mark) + "([0-9a-fA-F]{6})", lambda found: chr(int(found[1], 16)), text)


def beancount_lines(chain: Iterable[Entry], title: str, quote_of: QuoteOf) -> Iterator[str]:
    """Yield the lines of a beancount file: names, transactions with their lots, and what is held at the end."""
    books, last = Books(), None
    body: list[str] = []
    accounts: dict[str, date] = {}
    assets: dict[str, date] = {}
    for entry in chain:
        known = len(books.lots.disposals)
        books.apply(entry)
        day = entry.at.astimezone(UTC).date()
        last = day if last is None else max(last, day)
        for posting in entry.postings:
            _first(accounts, posting.account, day)
            _first(assets, posting.asset, day)
        for move in entry.moves:
            is_swap = move.action is LotAction.SWAP  # its target is a coin, not an account
            for account in filter(None, (move.account, "" if is_swap else move.target)):
                _first(accounts, account, day)
            _first(assets, move.asset, day)
        body += _transaction(entry, day)
        for move in entry.moves:
            body += _lot(entry, move, day, quote_of)
        for disposal in books.lots.disposals[known:]:
            body += _disposal(entry, disposal, day, quote_of)
    yield f'option "title" "{_quoted(title)}"'
    for asset in sorted(assets):
        yield f'option "inferred_tolerance_default" "{commodity_name(asset)}:{TOLERANCE}"'
    yield ""
    yield from _names(accounts, assets)
    yield from body
    if last is not None:
        yield from _assertions(books, last + timedelta(days=1))


def _first(days: dict[str, date], name: str, day: date) -> None:
    days[name] = min(day, days.get(name, day))


def _names(accounts: dict[str, date], assets: dict[str, date]) -> Iterator[str]:
    for asset, day in sorted(assets.items()):
        yield f"{day} commodity {commodity_name(asset)}"
        yield f'  asset: "{_quoted(asset)}"'
    for account, day in sorted(accounts.items()):
        yield f"{day} open {account_name(account)}"
        yield f'  account: "{_quoted(account)}"'
    yield ""


def _transaction(entry: Entry, day: date) -> Iterator[str]:
    yield f'{day} * "{_quoted(entry.narration)}"'
    yield f'  key: "{_quoted(entry.key)}"'
    yield f'  hash: "{entry.hash}"'
    yield f'  previous: "{entry.previous_hash}"'
    yield f"  sequence: {entry.sequence}"
    yield f'  kind: "{_quoted(entry.kind)}"'
    yield f'  at: "{_time(entry.at)}"'
    if entry.order is not None:
        yield f"  order: {entry.order}"
    for posting in entry.postings:
        yield f"  {account_name(posting.account)}  {_amount(posting.amount, posting.asset)}"
    yield ""


def _lot(entry: Entry, move: LotMove, day: date, quote_of: QuoteOf) -> Iterator[str]:
    """Yield a change of lots; what is disposed of is told by its disposals, which have its cost."""
    if move.action is LotAction.DISPOSE:
        return
    quantity = _amount(move.quantity, move.asset)
    yield f'{day} custom "etf-lot" "{move.action}" {account_name(move.account)} {quantity}'
    yield f'  transaction: "{_quoted(entry.key)}"'
    if move.action is LotAction.SWAP:
        yield f"  became: {_amount(move.amount, move.target)}"
    elif move.target:
        yield f"  target: {account_name(move.target)}"
    else:
        yield f"  cost: {_amount(move.amount, quote_of(move.account, entry.order))}"
    yield f'  method: "{move.method}"'
    yield ""


def _disposal(entry: Entry, disposal: Disposal, day: date, quote_of: QuoteOf) -> Iterator[str]:
    lot = disposal.lot
    quote = quote_of(lot.account, entry.order)
    yield f'{day} custom "etf-disposal" {account_name(lot.account)} {_amount(disposal.quantity, lot.asset)}'
    yield f'  transaction: "{_quoted(entry.key)}"'
    yield f'  acquired: "{_time(disposal.acquired_at)}"'
    for name in ("proceeds", "cost", "fee", "gain"):
        yield f"  {name}: {_amount(getattr(disposal, name), quote)}"
    yield f"  days: {disposal.days_held}"
    yield ""


def _assertions(books: Books, day: date) -> Iterator[str]:
    for (account, asset), amount in sorted(books.balances.items()):
        number, name = plain(amount), commodity_name(asset)
        yield f"{day} balance {account_name(account)}  {number} ~ {TOLERANCE} {name}"


def _amount(amount: Decimal, asset: str) -> str:
    return f"{plain(amount)} {commodity_name(asset)}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
