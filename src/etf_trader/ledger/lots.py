"""Lots: what was acquired when and for how much, and what became of it. Pure; rows come in, changes go out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from etf_trader.errors import LedgerError
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.money import ZERO, divide, share_down

COST_GRID = Decimal("1e-18")
"""Cost is split over parts of a lot in steps of this size, in quote."""


@dataclass(slots=True)
class Lot:
    """A quantity acquired together; `open_*` is what is left of it. `id` is None until it is written."""

    id: int | None
    sequence: int
    account: str
    asset: str
    acquired_at: datetime
    quantity: Decimal
    cost: Decimal
    open_quantity: Decimal
    open_cost: Decimal


@dataclass(frozen=True, slots=True)
class Disposal:
    """A part of a lot that left for `proceeds`; gain = proceeds - cost. A zero quantity corrects proceeds."""

    lot: Lot
    sequence: int
    acquired_at: datetime
    disposed_at: datetime
    quantity: Decimal
    proceeds: Decimal
    cost: Decimal
    fee: Decimal

    @property
    def gain(self) -> Decimal:
        """What was earned on it, after fees; negative is a loss."""
        return self.proceeds - self.cost

    @property
    def days_held(self) -> int:
        """Whole days between acquisition and disposal."""
        return (self.disposed_at - self.acquired_at).days


LoadLots = Callable[[str, str], list[Lot]]
"""Returns the lots of (account, asset), oldest first: the open ones, and the newest even when it is closed."""


class LotBook:
    """Applies lot moves in order and remembers which lots changed and what was disposed of."""

    def __init__(self, load: LoadLots) -> None:
        self._load = load
        self._lots: dict[tuple[str, str], list[Lot]] = {}
        self._new: dict[tuple[str, str], list[Lot]] = {}  # acquired where the older ones were not asked for yet
        self.changed: list[Lot] = []
        self.disposals: list[Disposal] = []

    def lots(self, account: str, asset: str) -> list[Lot]:
        """Return the lots of (account, asset), oldest first."""
        return (
            self._lots.setdefault((account, asset), [])
            if (account, asset) in self._lots
            else self._fetch(account, asset)
        )

    def apply(self, move: LotMove, at: datetime, sequence: int) -> None:
        """Carry out one move.

        Raises:
            LedgerError: more would leave than the lots hold.
        """
        if move.action is LotAction.ACQUIRE:
            self._acquire(move.account, move.asset, move.quantity, move.amount, move.method, at, sequence)
        elif move.action is LotAction.MOVE:
            cost = sum((part for _, _, part in self._take(move)), ZERO)
            self._acquire(move.target, move.asset, move.quantity, cost, move.method, at, sequence)
        elif move.action is LotAction.ADJUST:
            if still_open := [lot for lot in self.lots(move.account, move.asset) if lot.open_quantity]:
                still_open[-1].cost += move.amount
                still_open[-1].open_cost += move.amount
                self._touch(still_open[-1])
        else:
            self._dispose(move, at, sequence)

    def cost(self, account: str, asset: str) -> Decimal:
        """Return the cost of what is left."""
        return sum((lot.open_cost for lot in self.lots(account, asset)), ZERO)

    def quantity(self, account: str, asset: str) -> Decimal:
        """Return what is left."""
        return sum((lot.open_quantity for lot in self.lots(account, asset)), ZERO)

    def _fetch(self, account: str, asset: str) -> list[Lot]:
        self._lots[account, asset] = [*self._load(account, asset), *self._new.pop((account, asset), [])]
        return self._lots[account, asset]

    def _acquire(
        self, account: str, asset: str, quantity: Decimal, cost: Decimal, method: str, at: datetime, sequence: int
    ) -> None:
        is_pooled = method == "average"
        pool = next((lot for lot in self.lots(account, asset) if lot.open_quantity), None) if is_pooled else None
        if pool is not None:
            pool.quantity += quantity
            pool.cost += cost
            pool.open_quantity += quantity
            pool.open_cost += cost
            self._touch(pool)
            return
        lot = Lot(None, sequence, account, asset, at, quantity, cost, quantity, cost)
        known = self._lots.get((account, asset))
        (self._new.setdefault((account, asset), []) if known is None else known).append(lot)
        self._touch(lot)

    def _dispose(self, move: LotMove, at: datetime, sequence: int) -> None:
        if move.quantity == 0:
            if lots := self.lots(move.account, move.asset):
                lot = lots[-1]
                self.disposals.append(
                    Disposal(lot, sequence, lot.acquired_at, at, ZERO, move.amount, ZERO, move.fee)
                )
            return
        taken = self._take(move)
        proceeds_left, fee_left = move.amount, move.fee
        for place, (lot, quantity, cost) in enumerate(taken):
            if place == len(taken) - 1:
                proceeds, fee = proceeds_left, fee_left
            else:
                proceeds = share_down(move.amount, quantity, move.quantity, COST_GRID)
                fee = share_down(move.fee, quantity, move.quantity, COST_GRID)
            proceeds_left -= proceeds
            fee_left -= fee
            self.disposals.append(Disposal(lot, sequence, lot.acquired_at, at, quantity, proceeds, cost, fee))

    def _take(self, move: LotMove) -> list[tuple[Lot, Decimal, Decimal]]:
        """Take the quantity out of the lots; return (lot, quantity, cost) of each part."""
        lots = [lot for lot in self.lots(move.account, move.asset) if lot.open_quantity]
        if move.method == "hifo":
            lots.sort(key=lambda lot: -divide(lot.open_cost, lot.open_quantity))
        left, taken = move.quantity, []
        for lot in lots:
            if left == 0:
                break
            part = min(left, lot.open_quantity)
            whole = part == lot.open_quantity
            cost = lot.open_cost if whole else share_down(lot.open_cost, part, lot.open_quantity, COST_GRID)
            lot.open_quantity -= part
            lot.open_cost -= cost
            self._touch(lot)
            taken.append((lot, part, cost))
            left -= part
        if left:
            raise LedgerError(f"{move.account} lacks {left} {move.asset} in its lots", where=move.account)
        return taken

    def _touch(self, lot: Lot) -> None:
        if all(lot is not seen for seen in self.changed):
            self.changed.append(lot)
