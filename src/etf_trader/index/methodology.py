"""The rulebook of an index: what it may hold, who is in, at what weights, and when it is brought back to them.

A methodology is read from the tables of an index file. Every value has a default
that a reader of the file may rely on; an unknown key is an error that names the
nearest known one.
"""

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from cronsim import CronSim, CronSimError
from msgspec import Meta, Struct
from msgspec.structs import replace

from etf_trader.errors import UsageError
from etf_trader.index.bounds import require_bounds
from etf_trader.index.selection import Buffers, Eligibility
from etf_trader.money import BPS, ONE, ZERO, plain

MOST_CONSTITUENTS = 100
LARGEST = Decimal("1e15")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASSET = re.compile(r"[A-Z0-9]{1,20}")

Share = Annotated[Decimal, Meta(title="a fraction from 0 to 1, like 0.25", extra={"most": ONE})]
Price = Annotated[Decimal, Meta(title="basis points, from 0 to 10000", extra={"most": BPS})]
Amount = Annotated[Decimal, Meta(title="a number, 0 or more")]
Days = Annotated[int, Meta(ge=0, le=3660, title="whole days, from 0 to 3660")]
Rank = Annotated[int, Meta(ge=1, le=1000, title="a whole number from 1 to 1000")]


class Weighting(StrEnum):
    """What weights are in proportion to."""

    EQUAL = "equal"
    MARKET_CAP = "market_cap"
    SQRT_MARKET_CAP = "sqrt_market_cap"
    CAPPED = "capped"
    INVERSE_VOLATILITY = "inverse_volatility"
    RISK_PARITY = "risk_parity"
    MOMENTUM = "momentum"
    CUSTOM = "custom"

    @property
    def needs_caps(self) -> bool:
        """Whether market capitalisations are needed."""
        return self in (Weighting.MARKET_CAP, Weighting.SQRT_MARKET_CAP, Weighting.CAPPED)

    @property
    def needs_candles(self) -> bool:
        """Whether past prices are needed."""
        return self in (Weighting.INVERSE_VOLATILITY, Weighting.RISK_PARITY, Weighting.MOMENTUM)


class UniverseRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What the index chooses from: a list of assets, or a table of market caps."""

    assets: tuple[str, ...] = ()
    caps: Annotated[str | None, Meta(title="the name of a CSV file")] = None
    columns: dict[str, str] = {}
    exclude: tuple[str, ...] = ()


class EligibilityRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What a coin needs to be chosen."""

    age_days: Days = 0
    volume: Amount = ZERO
    trading: bool = True


class SelectionRule(Struct, frozen=True, forbid_unknown_fields=True):
    """How many are chosen, and how far an edge is buffered."""

    count: Rank | None = None
    enter: Rank | None = None
    exit: Rank | None = None


class WeightingRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What weights are made of."""

    by: Weighting = Weighting.CUSTOM
    cap: Share | None = None
    floor: Share | None = None
    days: Annotated[int, Meta(ge=2, le=3660, title="whole days, from 2 to 3660")] = 90


class CalendarRule(Struct, frozen=True, forbid_unknown_fields=True):
    """When the index is rebalanced, and at what prices its weights are set."""

    cron: Annotated[str, Meta(title='a cron expression of five fields, like "10 0 1 * *"')] = "10 0 1 * *"
    fixing: Literal["mid", "close"] = "mid"


class RebalanceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """How far weights may drift, how much may be traded, at what cost, and what stays in cash.

    `price_bps` is what it is worth not to be off target, in bps of the value
    that is off: what costs more to trade stays. None: targets are reached.
    """

    absolute: Share = ZERO
    relative: Share = ZERO
    nav: Share = ZERO
    to: Literal["target", "edge"] = "target"
    turnover: Share = ONE
    price_bps: Price | None = None
    reserve: Share = ZERO


class FeeRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What the manager takes."""

    management_bps: Annotated[Decimal, Meta(title="basis points a year, from 0 to 10000", extra={"most": BPS})] = (
        ZERO
    )


class DelistingRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a constituent whose market ends."""

    rule: Literal["freeze", "sell"] = "freeze"

    @property
    def sells(self) -> bool:
        """Whether it is sold while there is a market; else it stays."""
        return self.rule == "sell"


class Methodology(Struct, frozen=True, forbid_unknown_fields=True):
    """A rulebook; `weights` are those of `custom`, by asset, together 1."""

    universe: UniverseRule = UniverseRule()
    eligibility: EligibilityRule = EligibilityRule()
    selection: SelectionRule = SelectionRule()
    weighting: WeightingRule = WeightingRule()
    calendar: CalendarRule = CalendarRule()
    rebalance: RebalanceRule = RebalanceRule()
    fee: FeeRule = FeeRule()
    delisting: DelistingRule = DelistingRule()
    weights: Mapping[str, Decimal] = {}

    def buffers(self) -> Buffers:
        """Return how many constituents there are and the ranks to enter and to leave; a list takes all of it."""
        count = self.selection.count or len(self.universe.assets) or len(self.weights)
        return Buffers(count, self.selection.enter or count, self.selection.exit or count)

    def needs(self) -> Eligibility:
        """Return what a coin needs to be chosen."""
        return Eligibility(self.eligibility.age_days, self.eligibility.volume, self.eligibility.trading)

    def beside(self, file: Path) -> "Methodology":
        """Return the same rulebook with the table of market caps where an index file says: beside itself."""
        if self.universe.caps is None:
            return self
        caps = (file.resolve().parent / Path(self.universe.caps).expanduser()).resolve()
        return replace(self, universe=replace(self.universe, caps=str(caps)))

    def document(self) -> dict[str, Any]:
        """Return the rulebook as plain values, for the record: all that is in force, defaults too."""
        found = _plain(self)
        assert isinstance(found, dict)
        return found


TABLES = tuple(name for name in Methodology.__struct_fields__ if name != "weights")
"""The tables of an index file that are its rulebook."""


def read_methodology(document: Mapping[str, Any], where: str) -> Methodology:
    """Return the rulebook in the tables of an index file.

    Args:
        document: The tables by name, numbers as decimals; other keys of an index file are not among them.
        where: What errors name: the file.

    Raises:
        UsageError: a key is unknown, a value cannot be, or two contradict each other; says what to write.
    """
    found = _struct(Methodology, document, "", where)
    assert isinstance(found, Methodology)
    assets = tuple(asset.upper() for asset in found.universe.assets)
    found = replace(found, universe=replace(found.universe, assets=assets))
    _check_universe(found, where)
    _check_selection(found, where)
    _check_weighting(found, where)
    next_due(found.calendar.cron, EPOCH, where)
    if found.rebalance.reserve >= 1:
        raise UsageError("a reserve of everything leaves nothing to invest", where=where)
    return found


def next_due(cron: str, after: datetime, where: str = "calendar") -> datetime:
    """Return the first time after `after` that a cron expression names, in UTC.

    Raises:
        UsageError: it is no cron expression, or names no time.
    """
    hint = 'five fields: minute, hour, day of the month, month, day of the week; monthly is "10 0 1 * *"'
    try:
        if len(cron.split()) != 5:
            raise CronSimError
        return next(CronSim(cron, after))
    except (CronSimError, StopIteration) as error:
        raise UsageError(f"{cron!r} is no cron expression", where=where, hint=hint) from error


def _check_universe(found: Methodology, where: str) -> None:
    universe = found.universe
    if bool(universe.assets) + (universe.caps is not None) + bool(found.weights) != 1:
        raise UsageError(
            "an index chooses from one of three: [weights], universe.assets, or universe.caps",
            where=where,
            hint='for example [universe] assets = ["BTC", "ETH"]',
        )
    for asset in (*universe.assets, *found.weights):
        if not ASSET.fullmatch(asset):
            raise UsageError(f"{asset!r} is not the symbol of an asset", where=where, hint="write it like BTC")
    if len(set(universe.assets)) != len(universe.assets):
        raise UsageError("universe.assets names an asset twice", where=where, hint="name each once")
    if found.weights:
        require_whole(found.weights, where)


def require_whole(weights: Mapping[str, Decimal], where: str) -> None:
    """Refuse weights that do not sum to 1 exactly.

    Raises:
        UsageError: says what they sum to.
    """
    if (total := sum(weights.values(), ZERO)) != ONE:
        raise UsageError(
            f"the weights sum to {plain(total)}, not to 1", where=where, hint="make them sum to 1 exactly"
        )


def _check_selection(found: Methodology, where: str) -> None:
    if found.universe.caps is not None and found.selection.count is None:
        raise UsageError(
            "selection.count is missing: of a table of market caps somebody must say how many",
            where=where,
            hint="[selection] count = 20",
        )
    buffers = found.buffers()
    if buffers.count > MOST_CONSTITUENTS:
        raise UsageError(f"{buffers.count} constituents; an index has 1 to {MOST_CONSTITUENTS}", where=where)
    if not buffers.enter <= buffers.count <= buffers.exit:
        raise UsageError(
            f"selection.enter is {buffers.enter}, count {buffers.count}, exit {buffers.exit}: they must rise",
            where=where,
            hint="one enters at a better rank than one leaves: enter = 18, count = 20, exit = 24",
        )


def _check_weighting(found: Methodology, where: str) -> None:
    rule = found.weighting
    if (rule.by is Weighting.CUSTOM) != bool(found.weights):
        raise UsageError(
            "there are no [weights], and no weighting.by that makes them"
            if not found.weights
            else f"weighting.by is {rule.by}, and there are [weights]",
            where=where,
            hint='[weighting] by = "equal", for example; "custom" goes with [weights]',
        )
    if rule.by is Weighting.CAPPED and rule.cap is None:
        raise UsageError("weighting.by is capped, and weighting.cap is missing", where=where, hint="cap = 0.3")
    if rule.by.needs_caps and found.universe.caps is None:
        raise UsageError(
            f"weighting.by is {rule.by}, and there is no table of market caps",
            where=where,
            hint='[universe] caps = "caps.csv"',
        )
    require_bounds(found.buffers().count, rule.cap, rule.floor, where)


def _struct(kind: type[Struct], table: Any, path: str, where: str) -> Struct:
    """Return a table of the file as the struct that describes it."""
    if not isinstance(table, Mapping):
        raise UsageError(f"[{path}] must be a table", where=where)
    parts = {part.name: part for part in msgspec.structs.fields(kind)}
    given: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{path}.{key}" if path else str(key)
        if key not in parts:
            near = difflib.get_close_matches(str(key), parts, n=1)
            shown = f"{path}.{near[0]}" if path and near else near[0] if near else ""
            hint = f"did you mean {shown}?" if near else f"one of {', '.join(parts)}"
            raise UsageError(f"unknown key {name!r} in the index file", where=where, hint=hint)
        given[key] = _value(parts[key].type, value, name, where)
    return kind(**given)


def _value(kind: Any, value: Any, name: str, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _struct(kind, value, name, where)
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name} must be {_expected(kind)}, not {_shown(value)}", where=where) from error
    numbers = found.values() if isinstance(found, Mapping) else [found]
    for number in numbers:
        if isinstance(number, Decimal) and not (number.is_finite() and ZERO <= number <= _most(kind)):
            raise UsageError(f"{name} must be {_expected(kind)}, not {_shown(value)}", where=where)
    return found


def _most(kind: Any) -> Decimal:
    """Return the largest number that a kind of value may be."""
    meta = _meta(kind)
    most: Decimal = LARGEST if meta is None or meta.extra is None else meta.extra["most"]
    return most


def _meta(kind: Any) -> Meta | None:
    """Return what is said of a kind of value, also of one that may be missing."""
    parts = [part for each in (kind, *get_args(kind)) if get_origin(each) is Annotated for part in get_args(each)]
    return next((part for part in parts if isinstance(part, Meta)), None)


def _expected(kind: Any) -> str:
    if (meta := _meta(kind)) is not None and meta.title is not None:
        return meta.title
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "one of " + ", ".join(kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    names: dict[Any, str] = {bool: "true or false", tuple: "a list of texts", dict: "a table of texts"}
    return names.get(kind, names.get(get_origin(kind), "a table of numbers"))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, Mapping) else f'"{value}"' if isinstance(value, str) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return plain(value) if isinstance(value, Decimal) else str(value) if isinstance(value, StrEnum) else value
