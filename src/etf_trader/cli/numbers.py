"""How numbers and times read on screen: as many digits as matter, thousands separated."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.cli.output import bad, good
from etf_trader.market.currency import CURRENCIES
from etf_trader.money import floor_to, plain, round_to

CENT = Decimal("0.01")
TENTH = Decimal("0.1")
HUNDRED = Decimal(100)
EIGHT_PLACES = Decimal("1e-8")

_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def money(value: Decimal, *, signed: bool = False) -> str:
    """Return an amount of the quote asset: `100,121.40`."""
    return _at(value, CENT, signed=signed)


def gained(value: Decimal) -> str:
    """Return an amount that was gained or lost, coloured; what is less than a cent is neither."""
    said, cents = money(value, signed=True), round_to(value, CENT)
    return good(said) if cents > 0 else bad(said) if cents < 0 else said


def amount_of(value: Decimal, asset: str) -> str:
    """Return what there is of an asset: a currency in cents, of anything else all digits."""
    return money(value) if asset in CURRENCIES else units(value)


def price(value: Decimal, tick: Decimal) -> str:
    """Return a price at the symbol's tick."""
    return _at(value, tick)


def quantity(value: Decimal, step: Decimal) -> str:
    """Return a quantity of an asset at the symbol's step."""
    return _at(value, step)


def units(value: Decimal) -> str:
    """Return index units with the digits they have: `3,058.2`."""
    return _thousands(plain(value))


def short(value: Decimal) -> str:
    """Return an amount of an asset, or a price, with at most eight decimals."""
    return units(round_to(value, EIGHT_PLACES))


def price_of(value: Decimal) -> str:
    """Return a price without its tick: at most eight significant digits, all before the point."""
    return units(round_to(value, Decimal(1).scaleb(min(0, value.adjusted() - 7)))) if value else "0"


def few_digits(value: Decimal) -> str:
    """Return units with no more digits than matter; what is cut is cut, never rounded up."""
    size = abs(value)
    grid = Decimal("0.01") if size >= 100 else Decimal("0.0001") if size >= 1 else EIGHT_PLACES
    if value == floor_to(value, grid):
        return units(value)
    return f"{floor_to(value, grid):,f}"


def unit_count(value: Decimal) -> str:
    """Return a number of units with their noun."""
    return f"{few_digits(value)} {'unit' if value == 1 else 'units'}"


def bps(value: Decimal, *, signed: bool = False) -> str:
    """Return basis points with one decimal: `12.1`."""
    return _at(value, TENTH, signed=signed)


def bps_given(value: Decimal) -> str:
    """Return a bound in basis points with the decimals it was given, at least one: `40.0`, `10.25`."""
    return bps(value) if value % TENTH == 0 else units(value)


def percent(value: Decimal) -> str:
    """Return a percentage, given from 0 to 100, with one decimal: `72.7%`."""
    return _at(value, TENTH) + "%"


def share(value: Decimal) -> str:
    """Return a fraction of one as a percentage: `0.4` is `40.0%`."""
    return percent(value * HUNDRED)


def local_time(value: datetime, *, seconds: bool = True) -> str:
    """Return a time in the zone of this machine, with the zone."""
    local = value.astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S %Z" if seconds else "%Y-%m-%d %H:%M %Z")


def duration(value: timedelta) -> str:
    """Return how long something takes: `0:02`, `1:05:09`."""
    whole = int(value.total_seconds())
    hours, rest = divmod(whole, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def spoken_duration(value: timedelta) -> str:
    """Return a length of time as it is said: `90 s`, `30 min`, `2 h`, `1 d`."""
    whole = int(value.total_seconds())
    sizes = ((86_400, "d"), (3600, "h"), (60, "min"))
    size, unit = next(((size, unit) for size, unit in sizes if whole and not whole % size), (1, "s"))
    return f"{whole // size:,} {unit}"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 order`, `8 orders`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def bar(value: Decimal, largest: Decimal, width: int = 8) -> str:
    """Return a bar of at most `width` characters for `value` beside the largest of its kind."""
    if largest <= 0 or value <= 0:
        return ""
    eighths = min(int(value * width * 8 // largest), width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def _at(value: Decimal, step: Decimal, *, signed: bool = False) -> str:
    exponent = step.normalize().as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    rounded = round_to(value, step)
    if rounded == 0:
        rounded = abs(rounded)
    return f"{rounded:{'+' if signed and rounded else ''},.{decimals}f}"


def _thousands(text: str) -> str:
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole != "-0" else text


def joined(parts: Iterable[str]) -> str:
    """Return parts of one line: `spread 8.10 · depth 12.55`."""
    return " · ".join(part for part in parts if part)
