"""Which weights have drifted so far that they are traded, and to where. Pure.

A band triggers; where a weight is brought is another question: to its target, or
to the edge of its band. The money that frees or needs comes from those that are
on the other side of their targets, in proportion, and never beyond them. All
others are left alone; where nothing triggers nothing trades.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.index.methodology import RebalanceRule
from etf_trader.money import ONE, ZERO, divide

_GRID = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Drift:
    """One asset: fractions of NAV. `aim` is where it is brought; None: it is left where it is."""

    asset: str
    weight: Decimal
    target: Decimal
    width: Decimal
    aim: Decimal | None = None

    @property
    def away(self) -> Decimal:
        """How far it is from its target, above 0 where there is too much."""
        return self.weight - self.target

    @property
    def comes_or_goes(self) -> bool:
        """Whether it enters the index, or leaves it."""
        return not (self.weight and self.target)

    @property
    def triggers(self) -> bool:
        """Whether it is out of its band."""
        return self.comes_or_goes or abs(self.away) > self.width

    @property
    def edge(self) -> Decimal:
        """The edge of its band on its own side; of who comes or goes, its target."""
        if self.comes_or_goes:
            return self.target
        return self.target + self.width if self.away > 0 else self.target - self.width


def targets_with_reserve(weights: Mapping[str, Decimal], reserve: Decimal) -> dict[str, Decimal]:
    """Return weights as fractions of NAV: what stays in cash is no part of them."""
    return {asset: weight * (ONE - reserve) for asset, weight in weights.items()}


def drifts(
    weights: Mapping[str, Decimal], targets: Mapping[str, Decimal], rule: RebalanceRule
) -> tuple[Drift, ...]:
    """Return how far each asset has drifted, by name, and where those that trade are brought.

    Args:
        weights: What is held, as fractions of NAV; cash is what they leave of 1.
        targets: What is wanted, together 1 less the reserve. An asset that is not
            among them leaves, one that is not held enters: both trade whatever the bands.
    """
    assets = sorted(asset for asset in {*weights, *targets} if weights.get(asset) or targets.get(asset))
    found = [
        Drift(asset, weight, target, _width(target, rule))
        for asset in assets
        for weight, target in [(weights.get(asset, ZERO), targets.get(asset, ZERO))]
    ]
    triggered = [each for each in found if each.triggers]
    away = sum((abs(each.away) for each in found), ZERO) / 2
    if rule.nav and away <= rule.nav and not any(each.comes_or_goes for each in found):
        triggered = []
    if not triggered:
        return tuple(found)
    aims = {each.asset: each.target if rule.to == "target" else each.edge for each in triggered}
    return tuple(_evened_out(found, aims))


def _evened_out(found: list[Drift], aims: Mapping[str, Decimal]) -> Iterator[Drift]:
    """Yield the drifts with their aims, and with what those leave shared out over the others.

    All targets together are the whole, so whoever is short of a target can take
    together what is left, and whoever is above one can give what is missing.
    """
    places = {each.asset: aims.get(each.asset, each.weight) for each in found}
    left = sum((each.target - places[each.asset] for each in found), ZERO)
    sign = 1 if left > 0 else -1
    wants = {each.asset: max(sign * (each.target - places[each.asset]), ZERO) for each in found}
    whole = sum(wants.values(), ZERO)
    for each in found:
        place = places[each.asset]
        if left and wants[each.asset]:
            place += sign * divide(abs(left) * wants[each.asset], whole, _GRID)
        stays = each.asset not in aims and place == each.weight
        yield each if stays else Drift(each.asset, each.weight, each.target, each.width, place)


def _width(target: Decimal, rule: RebalanceRule) -> Decimal:
    """Return how far a weight may be away: the narrower of the bands that are set, 0 without any."""
    widths = [rule.absolute] if rule.absolute else []
    widths += [rule.relative * target] if rule.relative else []
    return min(widths, default=ZERO)
