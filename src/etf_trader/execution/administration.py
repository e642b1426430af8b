"""What the owner does beside trading: creates, funds and closes indices, moves cash in and out."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import MissingPrice, UsageError
from etf_trader.execution.fee_inventory import fee_price
from etf_trader.execution.look import require_own
from etf_trader.index.definition import BasketQuantities, IndexDefinition, basket_of
from etf_trader.index.history import Version, add_version, versions_of
from etf_trader.index.prices import MID, Price, values_of
from etf_trader.index.store import Index, add_index, find_index, list_indices, list_positions, set_status
from etf_trader.ledger import accounts
from etf_trader.ledger.booking import fee_funding, funding
from etf_trader.ledger.repository import Account, Ledger, chain_head, holder_name
from etf_trader.ledger.valuation import record_nav
from etf_trader.market.currency import CURRENCIES, DEFAULT
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import ZERO, plain, spoken, spoken_cash
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import list_index_orders
from etf_trader.seal import canonical
from etf_trader.venue.interface import Venue
from etf_trader.venue.money_in import how_to_deposit

FEE_ASSET = "BNB"
"""What the fee inventory holds beside cash."""

MOST_NAMED = 8
"""A hint has so many lines, not one for each of a hundred positions."""


class Administration:
    """The owner's work on one account."""

    def __init__(self, database: Database, venue: Venue, clock: Clock, account: Account, holder: str) -> None:
        self._database = database
        self._venue = venue
        self._clock = clock
        self._account = account
        self._holder = holder

    def of(self, holder: str) -> "Administration":
        """Return the work of another holder on the same account."""
        return Administration(self._database, self._venue, self._clock, self._account, holder)

    async def create_index(self, definition: IndexDefinition, depth: int) -> Index:
        """Write a new index: its basket at the mids of now, its float from the holder's treasury.

        Raises:
            UsageError: the symbol is taken, a constituent has no market, or the treasury lacks the float.
            DataError: a constituent has no price now.
        """
        with self._database.read() as connection:
            self._require_new(connection, definition)
            self._require_cash(connection, definition.quote, definition.float_cash, "the float")
        symbols = await self.markets(definition)
        basket, prices = await self._basket(definition, symbols, depth)
        with self._database.write() as connection:
            self._require_new(connection, definition)
            self._require_cash(connection, definition.quote, definition.float_cash, "the float")
            now = self._clock.now()
            index = add_index(connection, self._account.id, definition, basket, symbols, now)
            self._fund(connection, index, definition.float_cash)
            record_nav(connection, index, prices, now)
        return index

    async def edit_index(self, reference: str, definition: IndexDefinition) -> tuple[Index, Version, Version]:
        """Write another rulebook for an index, in force from now on; return it, and the versions before and after.

        The same rulebook once more writes nothing.

        Raises:
            NotFound: there is no such index.
            UsageError: the index is closed, or the file is of a basket, or has another symbol, quote or lot
                method; a constituent has no market, or a route no way to it.
        """
        with self._database.read() as connection:
            index = find_index(connection, reference)
        require_own(index, self._account.id)
        _require_same(index, definition)
        await self.markets(definition)
        # What a unit was worth at the start was said once, and stays.
        document = definition.document() | {"start_value": plain(index.start_value)}
        with self._database.write() as connection:
            before = versions_of(connection, index.id)[-1]
            if canonical(document) == canonical(before.document):
                return index, before, before
            after = add_version(connection, index.id, before.version + 1, document, self._clock.now())
            return index, before, after

    async def markets(self, definition: IndexDefinition) -> dict[str, str]:
        """Return the symbol that each constituent trades as against the quote asset.

        Raises:
            UsageError: the venue has none, or no way into a route's currency; names what it has.
        """
        rules = await self._venue.rules()
        by_asset = {rule.base: rule.symbol for rule in rules.values() if rule.quote == definition.quote}
        missing = [asset for asset in definition.named if asset not in by_asset]
        if missing:
            has = ", ".join(sorted(by_asset)[:30]) or f"no market in {definition.quote} at all"
            raise UsageError(
                f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} no market in {definition.quote}",
                where="index",
                hint=f"the venue has {has}",
            )
        _require_routes(definition, rules.values())
        return {asset: by_asset[asset] for asset in definition.assets}

    def fund_index(self, reference: str, amount: Decimal) -> Decimal:
        """Move cash from the treasury to an index's float (negative: back), and return what it holds then.

        Raises:
            NotFound: there is no such index.
            UsageError: the giving side has not so much.
        """
        with self._database.write() as connection:
            index = find_index(connection, reference)
            require_own(index, self._account.id)
            ledger = Ledger(connection, self._account.id)
            if amount > 0:
                self._require_cash(connection, index.quote, amount, "the float")
            held = ledger.balance(accounts.index_float(index.id), index.quote)
            if held + amount < 0:
                raise UsageError(
                    f"the float of {index.symbol} holds {spoken_cash(held)} {index.quote}: "
                    f"{spoken(-amount)} cannot be taken back",
                    where="amount",
                )
            self._fund(connection, index, amount)
            return ledger.balance(accounts.index_float(index.id), index.quote)

    async def fund_fees(self, asset: str, amount: Decimal) -> Decimal:
        """Move an asset from the treasury to the fee inventory (negative: back), and return what that holds then.

        Raises:
            UsageError: the giving side has not so much.
            DataError: the asset has no price, which its lots begin with.
        """
        price = None
        if asset not in (FEE_ASSET, *CURRENCIES):
            raise UsageError(
                f"no venue takes fees in {asset}", where="--asset", hint=f"fees are paid in {FEE_ASSET}"
            )
        if asset == FEE_ASSET:
            price = (await fee_price(self._venue, asset, [DEFAULT])).mids[DEFAULT]
        with self._database.write() as connection:
            ledger = Ledger(connection, self._account.id)
            source = accounts.treasury(self._holder) if amount > 0 else accounts.FEE_INVENTORY
            held = ledger.balance(source, asset)
            if held < abs(amount):
                whose = f"the treasury of {self._holder}" if amount > 0 else "the fee inventory"
                hint = how_to_deposit(asset, self._account.environment, amount) if amount > 0 else None
                raise UsageError(
                    f"{whose} holds {plain(held)} {asset}: {plain(abs(amount))} cannot be moved",
                    where="amount",
                    hint=hint,
                )
            number, _ = chain_head(connection, self._account.id)
            cost = None if price is None else amount * price
            key, now = f"fees:{number + 1}", self._clock.now()
            ledger.post(fee_funding(self._holder, asset, amount, cost, key=key, at=now))
            return ledger.balance(accounts.FEE_INVENTORY, asset)

    def close_index(self, reference: str) -> tuple[Index, Decimal, dict[str, Decimal]]:
        """Close an index without units: return it, the float cash given back, and the dust that stays.

        Raises:
            NotFound: there is no such index.
            UsageError: it has units or open orders, is being rebalanced, or is closed.
        """
        with self._database.write() as connection:
            index = find_index(connection, reference)
            require_own(index, self._account.id)
            if not index.is_open:
                raise UsageError(f"{index.symbol} is closed already", where="index")
            ledger = Ledger(connection, self._account.id)
            units = ledger.units_outstanding(accounts.issued(index.id), index.unit_asset)
            still = [IndexOrderStatus.OPEN]
            if moving := list_rebalances(connection, index_id=index.id, statuses=still):
                raise UsageError(
                    f"rebalance {moving[0].id} of {index.symbol} is under way: it cannot be closed",
                    where="index",
                    hint=f"etf worker --once goes on with it; etf cancel --order {moving[0].id} ends it",
                )
            open_orders = list_index_orders(connection, index_id=index.id, statuses=still)
            if units or open_orders:
                number, noun = (spoken(units), "unit") if units else (str(len(open_orders)), "open order")
                what = f"{number} {noun}" if number == "1" else f"{number} {noun}s"
                hint = self._ways_to_sell(connection, index) if units else f"etf cancel --index {index.id}"
                raise UsageError(f"{index.symbol} has {what} and cannot be closed", where="index", hint=hint)
            held = ledger.holdings(accounts.index_float(index.id))
            cash = held.pop(index.quote, ZERO)
            if cash:
                self._fund(connection, index, -cash)
            set_status(connection, index.id, "closed")
            return index, cash, held

    def _ways_to_sell(self, connection: Connection, index: Index) -> str:
        """Return what to type, a line for each position, so that an index has no units left."""
        sell = f"etf submit sell --index {index.id}"
        held = [position for position in list_positions(connection, index_id=index.id) if position.units]
        holders = {position.id: holder_name(connection, position.holder_id) for position in held}
        if set(holders.values()) == {self._holder} and len(held) == 1:
            return f"{sell} --qty all"
        lines = [
            ("" if holder == self._holder else f"ETF_HOLDER={holder} ") + f"{sell} --position {number} --qty all"
            for number, holder in holders.items()
        ]
        more = len(lines) - MOST_NAMED
        also = [f"and {more} more: etf position list --index {index.id}"] if more > 0 else []
        return "\n".join([*lines[:MOST_NAMED], *also])

    def _fund(self, connection: Connection, index: Index, amount: Decimal) -> None:
        if amount:
            number, _ = chain_head(connection, self._account.id)
            key = f"funding:{index.id}:{number + 1}"
            Ledger(connection, self._account.id).post(
                funding(self._holder, index.id, index.quote, amount, key=key, at=self._clock.now())
            )

    def _require_new(self, connection: Connection, definition: IndexDefinition) -> None:
        if any(index.symbol == definition.symbol for index in list_indices(connection)):
            raise UsageError(
                f"there is an index {definition.symbol} already",
                where="symbol",
                hint=f"choose another symbol, or look at it: etf index show {definition.symbol}",
            )

    def _require_cash(self, connection: Connection, quote: str, amount: Decimal, what: str) -> None:
        held = Ledger(connection, self._account.id).balance(accounts.treasury(self._holder), quote)
        if amount > held:
            raise UsageError(
                f"{what} of {spoken(amount)} {quote} is more than the {spoken_cash(held)} "
                f"in the treasury of {self._holder}",
                where="treasury",
                hint=f"deposit first: {how_to_deposit(quote, self._account.environment)}",
            )

    async def _basket(
        self, definition: IndexDefinition, symbols: Mapping[str, str], depth: int
    ) -> tuple[BasketQuantities, dict[str, Price]]:
        books = await self._venue.books(sorted(symbols.values()), min(depth, 100))
        prices = {}
        for asset, symbol in symbols.items():
            if symbol not in books:
                raise MissingPrice(f"{symbol} has no book", where=symbol)
            prices[asset] = Price(books[symbol].mid, MID, books[symbol].at)
        return basket_of(definition, values_of(prices)), prices


def _require_same(index: Index, definition: IndexDefinition) -> None:
    """Refuse an index file that is of another index, or says nothing that could be changed."""
    if not index.is_open:
        raise UsageError(
            f"{index.symbol} is closed: nothing is traded by its rulebook any more",
            where="index",
            hint="etf index create makes another index",
        )
    if definition.basket:
        raise UsageError(
            "a basket is made once: a rulebook has [weights] or [universe]",
            where="--file",
            hint="etf index create makes another index",
        )
    kept = (
        ("symbol", index.symbol, definition.symbol),
        ("quote", index.quote, definition.quote),
        ("lot_method", index.lot_method, definition.lot_method),
    )
    for key, has, says in kept:
        if has != says:
            raise UsageError(
                f"{key} is {has} and cannot become {says}: what was booked rests on it",
                where="--file",
                hint="etf index create makes another index",
            )


def _require_routes(definition: IndexDefinition, rules: Iterable[SymbolRule]) -> None:
    """Check that the quote can be exchanged for every route's currency, through other routes if need be."""
    pairs = {(rule.base, rule.quote) for rule in rules}
    reached = {definition.quote}
    for _ in definition.routes:
        reached |= {
            route
            for route in definition.routes
            if any((route, other) in pairs or (other, route) in pairs for other in reached)
        }
    if missing := [route for route in definition.routes if route not in reached]:
        listed = sorted({quote for _, quote in pairs if quote in CURRENCIES})
        raise UsageError(
            f"{missing[0]} cannot be a route: the venue has no market between it and {definition.quote}",
            where="routes",
            hint=f"currencies that it quotes prices in: {', '.join(listed)}",
        )
