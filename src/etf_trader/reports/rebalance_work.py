"""A rebalance with everything that its report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.index.store import Basket, Index
from etf_trader.ledger.fill import Fill
from etf_trader.market.document import market_of
from etf_trader.money import ONE
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import stored_market
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.reports.waves import Held, Mids, Played, held_by


@dataclass(frozen=True, slots=True)
class Work:
    """A rebalance, what its waves did, and the mids and the basket that it was accepted on.

    `dust` are the assets that were to leave and of which less than a least order is left.
    `anew` is the basket that it wrote where nobody held any; None: it is not written, or somebody did.
    """

    order: RebalanceOrder
    index: Index
    played: Sequence[Played]
    arrival: Mids
    start: Basket
    dust: frozenset[str]
    anew: Basket | None
    tracking_difference: Decimal | None

    @property
    def units(self) -> Decimal:
        """The units that there were when it changed the basket last."""
        return self.played[-1].units if self.played else self.order.request.units

    @property
    def before(self) -> Held:
        """What was held when it was accepted."""
        return held_by(self.start, self.order.request.units)

    @property
    def after(self) -> Held:
        """What was held when it had changed the basket last."""
        return self.played[-1].after if self.played else self.before

    @property
    def made(self) -> Basket | None:
        """The basket that it left, written anew where nobody held any; None while a wave is in flight."""
        return self.played[-1].basket if self.played else self.anew or self.start

    @property
    def weighed(self) -> tuple[Held, Held]:
        """What weights are fractions of, before and after: all that is held, or a unit while nobody holds any."""
        if self.order.request.units or self.made is None:
            return self.before, self.after
        return held_by(self.start, ONE), held_by(self.made, ONE)

    @property
    def targets(self) -> Mapping[str, Decimal]:
        """The weight that each asset was to have; an index that nobody holds has no legs, but a determination."""
        request = self.order.request
        if request.legs:
            return {leg.asset: leg.target for leg in request.legs}
        weights = {asset: Decimal(weight) for asset, weight in request.determination["weights"].items()}
        return targets_with_reserve(weights, request.reserve)

    @property
    def waves(self) -> Sequence[Played]:
        """Its waves, without what was found late of them."""
        return [each for each in self.played if not each.is_late]

    @property
    def mids(self) -> Mids:
        """The mids that its last wave was planned by; of what had none then, the last before."""
        return {**self.arrival, **self.waves[-1].mids} if self.waves else self.arrival

    @property
    def pairs(self) -> list[tuple[Fill, AssetOrder]]:
        """All its fills, with the asset orders they belong to."""
        return [pair for wave in self.played for pair in wave.pairs]

    @property
    def left(self) -> tuple[str, ...]:
        """The assets that were to trade and have not traded all of that by any wave; none once all is done."""
        if self.order.status is IndexOrderStatus.FILLED:
            return ()
        whole = frozenset().union(*(wave.done for wave in self.played))
        return tuple(sorted(self.order.request.trading - whole))


def dust_of(connection: Connection, order: RebalanceOrder, played: Sequence[Played]) -> frozenset[str]:
    """Return the assets that were to leave and of which less is left than the venue's least order."""
    symbols = {leg.asset: leg.symbol for leg in order.request.legs if not leg.target}
    found = set()
    for wave in reversed([each for each in played if not each.is_late]):
        market = stored_market(connection, wave.plan.book_hash) if symbols else None
        rules = {} if market is None else market_of(market)[1]
        for asset in [asset for asset, symbol in symbols.items() if symbol in rules and wave.mids.get(asset)]:
            least = rules[symbols.pop(asset)].least_quantity(wave.mids[asset])
            if played[-1].after.of(asset) < least:
                found.add(asset)
    return frozenset(found)
