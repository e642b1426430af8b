"""What must hold of the books whatever happened, as findings in words; an empty list is a pass."""

import json
from collections import Counter, defaultdict
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.database import Database
from etf_trader.exchange.paper import PaperExchange
from etf_trader.execution.proof import prove
from etf_trader.execution.state import arrival_value, cash_of, order_loss
from etf_trader.index.store import current_basket, list_indices, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.fill import INTERNAL
from etf_trader.ledger.repository import GENESIS, inside_balances
from etf_trader.ledger.tables import allocations, balances, fills, lots, postings, transactions
from etf_trader.ledger.transaction import Posting, chain_hash
from etf_trader.market.currency import CURRENCIES
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import list_asset_orders, list_index_orders, list_plans, standing_of

QUOTE = "USDT"


def standing_findings(connection: Connection, account_id: int = 1) -> list[str]:
    """Return what does not hold at a commit: negative accounts, an index that is not units x basket."""
    held: dict[tuple[str, str], Decimal] = {
        (account, asset): amount
        for account, asset, amount in connection.execute(
            select(balances.c.account, balances.c.asset, balances.c.amount).where(
                balances.c.account_id == account_id
            )
        )
    }
    findings = [
        f"{account} holds {amount} {asset}"
        for (account, asset), amount in held.items()
        if amount < 0 and (accounts.is_inside(account) or account.startswith(("position:", "redeemed:")))
    ]
    for index in list_indices(connection, account_id):
        unit, account = index.unit_asset, accounts.index(index.id)
        redeemed = sum(
            (amount for (name, asset), amount in held.items() if asset == unit and name.startswith("redeemed:")),
            ZERO,
        )
        units = -held.get((accounts.issued(index.id), unit), ZERO) - redeemed
        basket = current_basket(connection, index.id)
        expected = {asset: quantity * units for asset, quantity in basket.quantities.items()}
        expected[index.quote] = basket.cash_per_unit * units
        for asset, amount in _away(connection, index.id).items():
            expected[asset] = expected.get(asset, ZERO) - amount
        actual = {asset: amount for (name, asset), amount in held.items() if name == account}
        findings += [
            f"{account} holds {actual.get(asset, ZERO)} {asset}, {units} units need {expected.get(asset, ZERO)}"
            for asset in expected.keys() | actual.keys()
            if expected.get(asset, ZERO) != actual.get(asset, ZERO)
        ]
    return findings


def _away(connection: Connection, index_id: int) -> dict[str, Decimal]:
    """Return what a wave that is not settled has taken out of an index."""
    found: dict[str, Decimal] = {}
    settled = {plan.id for plan in list_plans(connection) if plan.is_settled}
    for evidence in connection.scalars(select(transactions.c.evidence).where(transactions.c.kind == "wave")):
        facts = json.loads(evidence)["facts"]
        if facts["index"] == index_id and facts["plan"] not in settled:
            found = {asset: Decimal(quantity) for asset, quantity in facts["taken"].items()}
            found[QUOTE] = Decimal(facts["cash"])
    return found


def findings(database: Database, exchange: PaperExchange, uid: str = "paper", account_id: int = 1) -> list[str]:
    """Return everything that does not hold of an account's books at rest, and between them and the venue."""
    with database.read() as connection:
        return (
            standing_findings(connection, account_id)
            + _chain_findings(connection, account_id)
            + _lot_findings(connection, account_id)
            + _order_findings(connection, account_id)
            + _venue_findings(connection, exchange, uid, account_id)
            + _plan_findings(connection)
        )


def _plan_findings(connection: Connection) -> list[str]:
    """Prove every plan again that was made since plans keep their books."""
    return [
        f"plan {plan.id}: {finding.where} {finding.what}"
        for plan in list_plans(connection)
        if "problem" in json.loads(plan.document)
        for finding in prove(connection, plan.id).findings
    ]


def _chain_findings(connection: Connection, account_id: int) -> list[str]:
    found: list[str] = []
    running: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    previous = GENESIS
    lines = defaultdict(list)
    for row in connection.execute(select(postings).order_by(postings.c.transaction_id, postings.c.line)):
        lines[row.transaction_id].append(row)
    own = select(transactions).where(transactions.c.account_id == account_id)
    chain = connection.execute(own.order_by(transactions.c.sequence))
    for number, row in enumerate(chain, start=1):
        sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for line in lines[row.id]:
            sums[line.asset] += line.amount
            running[line.account, line.asset] += line.amount
            if running[line.account, line.asset] != line.balance:
                found.append(f"{row.key} line {line.line}: balance {line.balance}")
        found += [f"{row.key} is off by {amount} {asset}" for asset, amount in sums.items() if amount]
        seal = chain_hash(
            account_id=row.account_id,
            sequence=row.sequence,
            key=row.key,
            kind=row.kind,
            at=row.at,
            index_order_id=row.index_order_id,
            narration=row.narration,
            evidence=row.evidence,
            postings=[Posting(line.account, line.asset, line.amount) for line in lines[row.id]],
            previous=previous,
        )
        if (row.sequence, row.previous_hash, row.hash) != (number, previous, seal):
            found.append(f"the chain breaks at {row.sequence} {row.key}")
        previous = row.hash
    stored = _balances(connection, account_id)
    found += [
        f"balance of {key}: {stored.get(key)} is stored, {running[key]} is right"
        for key in stored.keys() | running.keys()
        if stored.get(key, ZERO) != running[key]
    ]
    return found


def _balances(connection: Connection, account_id: int) -> dict[tuple[str, str], Decimal]:
    rows = connection.execute(select(balances).where(balances.c.account_id == account_id))
    return {(row.account, row.asset): row.amount for row in rows}


def _lot_findings(connection: Connection, account_id: int) -> list[str]:
    found: list[str] = []
    in_lots: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    cost: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for row in connection.execute(select(lots).where(lots.c.account_id == account_id)):
        in_lots[row.account, row.asset] += row.open_quantity
        cost[row.account, row.asset] += row.open_cost
        if row.open_quantity < 0 or bool(row.is_open) != bool(row.open_quantity):
            found.append(f"lot {row.id} has {row.open_quantity} left, is_open {row.is_open}")
        if not row.open_quantity and row.open_cost:
            found.append(f"lot {row.id} is gone and has a cost of {row.open_cost}")
    held = _balances(connection, account_id)
    for (account, asset), amount in held.items():
        is_kept = (
            account.startswith(("order:", "index:", "float:", "fee_payable:"))
            and asset not in CURRENCIES
            and not accounts.is_unit(asset)
        )
        if is_kept and in_lots[account, asset] != amount:
            found.append(f"{account} holds {amount} {asset}, its lots {in_lots[account, asset]}")
    offered: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for order in list_index_orders(connection, account_id=account_id):
        for account in (accounts.order(order.id), accounts.redeemed(order.id)):
            offered[order.position_id] += held.get((account, accounts.unit(order.index_id)), ZERO)
    indices = {index.id for index in list_indices(connection, account_id)}
    for position in (each for each in list_positions(connection) if each.index_id in indices):
        key = accounts.position(position.id), accounts.unit(position.index_id)
        units = held.get(key, ZERO) + offered[position.id]
        row_and_lots = (in_lots[key], position.units, position.cost)
        if row_and_lots != (units, units, cost[key]):
            found.append(
                f"position {position.id}: {units} units, lots {in_lots[key]}, "
                f"row {position.units} at {position.cost}"
            )
    return found


def _order_findings(connection: Connection, account_id: int) -> list[str]:
    found: list[str] = []
    sent = list_asset_orders(connection)
    for order in list_index_orders(connection, account_id=account_id):
        cash, loss, sign = cash_of(connection, order), order_loss(connection, order), order.side.sign
        name = f"order {order.id} ({order.side}, {order.status})"
        if order.status is not IndexOrderStatus.OPEN:
            open_legs = [each.id for each in sent if each.index_order_id == order.id and not each.status.is_final]
            if open_legs:
                found.append(f"{name} has open asset orders {open_legs}")
        if order.status in (IndexOrderStatus.OPEN, IndexOrderStatus.STUCK):
            continue
        left = {
            row.asset: row.amount
            for row in connection.execute(select(balances).where(balances.c.account == accounts.order(order.id)))
            if row.amount
        }
        if left:
            found.append(f"{name} still holds {left}")
        if (cash - arrival_value(connection, order)) * sign != loss.total:
            found.append(f"{name}: cash {cash}, {order.filled} units, but a loss of {loss.total}")
        if (order.status is IndexOrderStatus.FILLED) != (order.filled == order.quantity):
            found.append(f"{name} has {order.filled} of {order.quantity}")
    for rebalance in list_rebalances(connection, account_id=account_id):
        left = _balances(connection, account_id)
        if rebalance.status.is_final and rebalance.status is not IndexOrderStatus.STUCK:
            found += [
                f"rebalance {rebalance.id} still holds {amount} {asset}"
                for (account, asset), amount in left.items()
                if account == accounts.order(rebalance.id) and amount
            ]
    for plan in list_plans(connection):
        if not plan.is_settled and not _is_open(connection, plan.index_order_id):
            found.append(f"plan {plan.id} was never settled")
    return found


def _is_open(connection: Connection, order_id: int) -> bool:
    return not standing_of(connection, order_id)[0].is_final


def limit_findings(connection: Connection) -> list[str]:
    """Return every credit whose units cost more than the buy's limit, fees included, at the prices paid.

    What lots and minimums left over is not in it: the float has that. The venue
    rounds each fill's fee, which may cost half a quantum more than its rate.
    """
    found = []
    orders = {order.id: order for order in list_index_orders(connection)}
    booked = connection.execute(select(fills)).all()
    for row in connection.execute(select(transactions).where(transactions.c.kind == "credit")):
        order = orders[row.index_order_id]
        if order.limit_price is None:
            continue
        units = Decimal(json.loads(row.evidence)["facts"]["units"])
        account = accounts.index(order.index_id)
        moved = connection.scalars(
            select(lots.c.cost).where(lots.c.transaction_id == row.id, lots.c.account == account)
        )
        cash = connection.scalars(
            select(postings.c.amount).where(
                postings.c.transaction_id == row.id, postings.c.account == account, postings.c.asset == QUOTE
            )
        )
        cost = sum(moved, ZERO) + sum(cash, ZERO)
        rounding = sum((fill.price * Decimal("1e-8") for fill in booked), ZERO)
        if cost > order.limit_price * units + rounding:
            found.append(f"order {order.id}: {cost} for {units} units at a limit of {order.limit_price}")
    return found


def max_loss_findings(connection: Connection) -> list[str]:
    """Return every order that lost more than its bound, if all that it sent filled wholly.

    A batch may lose more by what its orders' prices allow beyond the plan.
    """
    found = []
    for order in list_index_orders(connection):
        sent = [each for each in list_asset_orders(connection) if each.index_order_id == order.id]
        plans = [plan for plan in list_plans(connection) if plan.index_order_id == order.id]
        is_plain = all(each.status is AssetOrderStatus.FILLED for each in sent) and all(
            plan.purpose == "trade" for plan in plans
        )
        if order.max_loss_bps is None or not is_plain or not order.status.is_final:
            continue
        allowed = order.max_loss_bps * order.filled * order.arrival_nav / 10_000
        for leg in (leg for plan in plans for leg in json.loads(plan.document)["legs"]):
            at_worst = Decimal(leg["limit_price"]) * Decimal(leg["quantity"])
            allowed += (at_worst - Decimal(leg["value"])) * order.side.sign
        loss = order_loss(connection, order).total
        if loss > allowed:
            found.append(f"order {order.id} lost {loss}, {allowed} was allowed")
    return found


def residual_findings(connection: Connection) -> list[str]:
    """Return what the float of index 1 holds of an asset beyond max(step, least order) of its last plan."""
    plans = list_plans(connection)
    if not plans:
        return []
    bounds: dict[str, Decimal] = {}
    for plan in plans:  # one that trades back leaves out what has no price then
        document = json.loads(plan.document)
        bounds |= {asset: Decimal(text) for asset, text in document.get("bounds", {}).items()}
    rows = connection.execute(select(balances).where(balances.c.account == accounts.index_float(1)))
    return [
        f"the float holds {row.amount} {row.asset}, at most {2 * bounds[row.asset]}"
        for row in rows
        if row.asset != QUOTE and not 0 <= row.amount <= 2 * bounds[row.asset]
    ]


def _venue_findings(connection: Connection, exchange: PaperExchange, uid: str, account_id: int) -> list[str]:
    found: list[str] = []
    held = {asset: view.free + view.locked for asset, view in exchange.balances(uid).items()}
    inside = inside_balances(connection, account_id)
    found += [
        f"the venue holds {held.get(asset, ZERO)} {asset}, the books {inside.get(asset, ZERO)}"
        for asset in sorted(held.keys() | inside.keys())
        if held.get(asset, ZERO) != inside.get(asset, ZERO)
    ]
    at_venue = select(fills).where(fills.c.era != INTERNAL, fills.c.account_id == account_id)
    booked = Counter((row.symbol, row.trade_id, row.quantity) for row in connection.execute(at_venue))
    traded = Counter((trade.symbol, trade.trade_id, trade.quantity) for trade in exchange.trades(uid))
    if booked != traded:
        found.append(f"booked but not traded: {booked - traded}; traded but not booked: {traded - booked}")
    allotted: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for row in connection.execute(select(allocations)):
        allotted[row.fill_id] += row.quantity
    for row in connection.execute(select(fills)):
        if allotted[row.id] != row.quantity:
            found.append(f"fill {row.id} of {row.quantity} is allotted {allotted[row.id]}")
    intents = {order.intent.client_order_id: order.intent for order in list_asset_orders(connection)}
    seen = Counter(order.client_order_id for order in exchange.orders(uid))
    found += [f"{name} reached the venue {times} times" for name, times in seen.items() if times > 1]
    found += [f"{name} was never written" for name in seen.keys() - intents.keys()]
    for trade in exchange.trades(uid):
        intent = intents.get(trade.client_order_id)
        if intent is not None:
            sign = 1 if intent.side is Side.BUY else -1
            if (trade.price - intent.price) * sign > 0:
                found.append(f"{trade.client_order_id} traded at {trade.price}, beyond {intent.price}")
    return found
