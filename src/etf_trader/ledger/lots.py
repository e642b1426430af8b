"""Lots: what was acquired when and for how much, and what became of it. Pure; rows come in, changes go out."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from etf_trader.errors import LedgerError
from etf_trader.ledger.pile import PART, Lot, LotOrder, LotSource, Pile
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.money import ZERO, share_down

COST_GRID = Decimal("1e-18")
"""Cost is split over parts of a lot in steps of this size, in quote."""

SWAP_GRID = Decimal("1e-24")
"""What a swap makes of several lots is split in steps of this size, in base."""


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


class LotBook:
    """Applies lot moves in order and remembers which lots changed and what was disposed of.

    Without a source, every lot is one that was acquired here; of a source's, `part` are read first.
    """

    def __init__(self, source: LotSource | None = None, part: int = PART) -> None:
        self._source, self._part = source, part
        self._piles: dict[tuple[str, str], Pile] = {}
        self._changed: dict[int, Lot] = {}
        self.disposals: list[Disposal] = []
        self.differences: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        """By how much quantity and cost of what is left differ from before, by (account, asset)."""

    @property
    def changed(self) -> list[Lot]:
        """The lots that changed, or are new, in the order in which they did."""
        return list(self._changed.values())

    def forget_changes(self) -> None:
        """Begin again to remember what changes."""
        self._changed.clear()

    def lots(self, account: str, asset: str) -> list[Lot]:
        """Return the lots of (account, asset), oldest first, without those that were closed long ago."""
        return self._pile(account, asset).all()

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
        elif move.action is LotAction.CARRY:
            self._carry(move, sequence)
        elif move.action is LotAction.ADJUST:
            newest = self._pile(move.account, move.asset).newest()
            if newest is not None and newest.open_quantity:
                newest.cost += move.amount
                self._change(newest, ZERO, move.amount)
        elif move.action is LotAction.SWAP:
            self._swap(move, sequence)
        else:
            self._dispose(move, at, sequence)

    def cost(self, account: str, asset: str) -> Decimal:
        """Return the cost of what is left."""
        return sum((lot.open_cost for lot in self.lots(account, asset)), ZERO)

    def quantity(self, account: str, asset: str) -> Decimal:
        """Return what is left."""
        return sum((lot.open_quantity for lot in self.lots(account, asset)), ZERO)

    def _pile(self, account: str, asset: str) -> Pile:
        if (account, asset) not in self._piles:
            self._piles[account, asset] = Pile(self._source, account, asset, self._part)
        return self._piles[account, asset]

    def _acquire(
        self, account: str, asset: str, quantity: Decimal, cost: Decimal, method: str, at: datetime, sequence: int
    ) -> None:
        pile = self._pile(account, asset)
        lot = pile.first(LotOrder.OLDEST) if method == "average" else None
        if lot is None:
            lot = Lot(None, sequence, account, asset, at, ZERO, ZERO, ZERO, ZERO)
            pile.add(lot)
        lot.quantity += quantity
        lot.cost += cost
        self._change(lot, quantity, cost)

    def _dispose(self, move: LotMove, at: datetime, sequence: int) -> None:
        if move.quantity == 0:
            if (lot := self._pile(move.account, move.asset).newest()) is not None:
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

    def _carry(self, move: LotMove, sequence: int) -> None:
        """Take lots to another account, as old and as dear as they are; what was acquired at one moment is one."""
        taken = self._take(move)
        for acquired_at, together in groupby(taken, key=lambda part: part[0].acquired_at):
            parts = list(together)
            quantity = sum((part for _, part, _ in parts), ZERO)
            cost = sum((part for _, _, part in parts), ZERO)
            self._enter(move.target, move.asset, acquired_at, quantity, cost, sequence)

    def _swap(self, move: LotMove, sequence: int) -> None:
        """Turn lots into lots of another asset: as old, and as dear; the last part takes the rest.

        A lot of which nothing comes leaves its cost to the next.
        """
        taken, left, carried = self._take(move), move.amount, ZERO
        for place, (old, quantity, cost) in enumerate(taken):
            is_last = place == len(taken) - 1
            became = left if is_last else share_down(move.amount, quantity, move.quantity, SWAP_GRID)
            left, carried = left - became, carried + cost
            if became:
                self._enter(move.account, move.target, old.acquired_at, became, carried, sequence)
                carried = ZERO

    def _enter(
        self, account: str, asset: str, acquired_at: datetime, quantity: Decimal, cost: Decimal, sequence: int
    ) -> None:
        """Put in a lot that was acquired before."""
        lot = Lot(None, sequence, account, asset, acquired_at, quantity, cost, ZERO, ZERO)
        self._pile(account, asset).add(lot)
        self._change(lot, quantity, cost)

    def _take(self, move: LotMove) -> list[tuple[Lot, Decimal, Decimal]]:
        """Take the quantity out of the lots; return (lot, quantity, cost) of each part."""
        order = LotOrder.DEAREST if move.method == "hifo" else LotOrder.OLDEST
        pile = self._pile(move.account, move.asset)
        left, taken = move.quantity, []
        while left:
            if (lot := pile.first(order)) is None:
                raise LedgerError(f"{move.account} lacks {left} {move.asset} in its lots", where=move.account)
            part = min(left, lot.open_quantity)
            whole = part == lot.open_quantity
            cost = lot.open_cost if whole else share_down(lot.open_cost, part, lot.open_quantity, COST_GRID)
            self._change(lot, -part, -cost)
            taken.append((lot, part, cost))
            left -= part
        return taken

    def _change(self, lot: Lot, quantity: Decimal, cost: Decimal) -> None:
        """Leave so much more of a lot (negative: less)."""
        lot.open_quantity += quantity
        lot.open_cost += cost
        self._pile(lot.account, lot.asset).note(lot)
        self._changed[id(lot)] = lot
        so_far = self.differences.get((lot.account, lot.asset), (ZERO, ZERO))
        self.differences[lot.account, lot.asset] = so_far[0] + quantity, so_far[1] + cost


def asset_method(lot_method: str) -> str:
    """Return which lots of an asset leave first in an index with this method.

    "average" pools lots as they are acquired; taking them is then first in, first out.
    """
    return "hifo" if lot_method == "hifo" else "fifo"
