"""How a backtest is drawn, and what an HTML file of it shows besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etf_trader.cli.numbers import bps, count, joined, money, share
from etf_trader.cli.output import Page, Table, bad, dim, good, look, number, text

if TYPE_CHECKING:
    from etf_trader.backtest.files import Files
    from etf_trader.backtest.grid_runs import Row
    from etf_trader.backtest.result import Figures, Result
    from etf_trader.backtest.sources import Ended
    from etf_trader.cli.exhibit import Exhibit

MOST_EVENTS = 12
"""So many of what happened besides are told on a terminal; all of them in `--json`."""

COST_PARTS = ("spread_bps", "depth_bps", "fee_bps")

_HUNDRED = 100.0


def draw_run(page: Page, symbol: str, files: Files, found: Result) -> None:
    """Draw one run: what became of the money, the figures, a chart, and what a reader should know."""
    figures, setting = found.figures, found.course.setting
    began, ended = found.days[0].day, found.days[-1].day
    is_long = _is_long(figures)
    a_year = " a year" if is_long else ""
    invested = found.course.units * setting.start_value
    page.line(
        f"{symbol}, {began} to {ended}: {money(invested)} {setting.quote} became "
        f"{money(found.nav_end)}, {_coloured(_gain(figures, is_long=is_long))}{a_year}"
        f"{' with no costs at all' if not setting.market.has_costs else ' after costs'}."
    )
    of_index = figures.index_return_a_year if is_long else float(figures.index_total_return)
    page.line(f"The index itself came to {_percent(of_index)}{a_year}.")
    if not is_long:
        page.line("Of less than 30 days no rate a year is shown.")
    if files.candles_only:
        page.line(look("Survivors only: coins without candles are left out, which flatters the result."))
    page.line()
    page.fields(_fields(figures, found))
    _draw_chart(page, found)
    page.line(_sources(files, found))
    if found.prices.ended:
        page.line(look(_ended(found.prices.ended)))
    _draw_events(page, found)
    audit = found.audit
    page.line(
        f"Books: {count(figures.trades, 'trade')} in {count(audit.transactions, 'transaction')}, audited, "
        f"nothing is off. Head {audit.head[:12]}."
    )


def run_exhibit(symbol: str, found: Result) -> Exhibit:
    """Return the numbers and charts of one run; of less than 30 days none by the year."""
    from etf_trader.cli.exhibit import Areas, Exhibit, Key, Lines, Parts

    quote = found.course.setting.quote
    level = {"NAV per unit": "nav_per_unit", "index level": "index_level"}
    charts = (
        Lines("NAV per unit and index level", "days", "day", level, note=quote),
        Areas("Weights at each rebalance", "rebalances", "day", weights="weights"),
    )
    deepest = Key("deepest fall", "drawdown.depth", share)
    if not _is_long(found.figures):
        numbers = (Key("fund", "total_return", share), Key("index", "index_total_return", share), deepest)
        return Exhibit(title=f"Backtest of {symbol}", numbers=numbers, charts=charts)
    return Exhibit(
        title=f"Backtest of {symbol}",
        numbers=(
            Key("fund a year", "return_a_year", share),
            Key("index a year", "index_return_a_year", share),
            Key("volatility a year", "volatility", share),
            deepest,
            Key("turnover a year", "turnover_a_year", share),
            Key("costs a year", "cost_bps", bps, unit="bps"),
        ),
        charts=(
            *charts,
            Parts("Costs a year by part", COST_PARTS, bps, note="bps of NAV; positive is a cost"),
        ),
    )


def grid_exhibit(symbol: str, rows: Sequence[Row]) -> Exhibit:
    """Return the numbers of a grid: those of the best of its runs; of less than 30 days none by the year."""
    from etf_trader.cli.exhibit import Exhibit, Key

    best = "runs.0"
    deepest = Key("its deepest fall", f"{best}.drawdown.depth", share)
    if not all(_is_long(row.figures) for row in rows if row.figures is not None):
        numbers = (Key("the best", f"{best}.total_return", share), deepest)
        return Exhibit(title=f"Backtests of {symbol}", numbers=numbers)
    return Exhibit(
        title=f"Backtests of {symbol}",
        numbers=(
            Key("the best a year", f"{best}.return_a_year", share),
            deepest,
            Key("its turnover a year", f"{best}.turnover_a_year", share),
            Key("its costs a year", f"{best}.cost_bps", bps, unit="bps"),
        ),
    )


def _is_long(figures: Figures) -> bool:
    """Return whether it lasted long enough for figures of a year."""
    from etf_trader.reports.returns import LEAST_YEARS

    return figures.years >= LEAST_YEARS


def _gain(figures: Figures, *, is_long: bool) -> float | None:
    return figures.return_a_year if is_long else float(figures.total_return)


def _over(value: float | None, figures: Figures, *, is_long: bool) -> float | None:
    """Return a figure that adds up over time, a year or over all of it."""
    return value if is_long or value is None else value * figures.years


def _fields(figures: Figures, found: Result) -> list[tuple[str, str]]:
    is_long = _is_long(figures)
    a_year = " a year" if is_long else ""

    def spent(value: float | None) -> str:
        return _bps(_over(value, figures, is_long=is_long))

    turned = _percent(_over(figures.turnover_a_year, figures, is_long=is_long))
    deepest = figures.drawdown
    fell = "none"
    if deepest.start is not None and deepest.trough is not None:
        back = f"made good {deepest.recovered:%Y-%m-%d}" if deepest.recovered else "not made good yet"
        fell = f"{_percent(-float(deepest.depth))}   {deepest.start:%Y-%m-%d} to {deepest.trough:%Y-%m-%d}, {back}"
    parts = joined(f"{name} {spent(getattr(figures, f'{name}_bps'))}" for name in ("spread", "depth", "fee"))
    lag = _percent(_lag(figures, is_long=is_long))
    rate = "" if figures.sharpe is None else f"   return over it {figures.sharpe:.2f}"
    manager = f"{spent(figures.management_bps)} bps of NAV{a_year}, taken from the basket"
    return [
        (
            "return",
            f"{_percent(float(figures.total_return))}   index {_percent(float(figures.index_total_return))}",
        ),
        ("volatility", f"{_risk(figures.volatility)}{rate}"),
        ("deepest fall", fell),
        (
            "tracking",
            f"difference {lag}{a_year} · error {_risk(figures.tracking_error, 2)}",
        ),
        ("turnover", f"{turned}{a_year}, {count(figures.rebalances, 'rebalance')}"),
        ("costs", f"{spent(figures.cost_bps)} bps of NAV{a_year}   {parts}"),
        *([("management", manager)] if figures.management else []),
    ]


def _lag(figures: Figures, *, is_long: bool) -> float | None:
    if not is_long:
        return float(figures.tracking_difference)
    if figures.return_a_year is None or figures.index_return_a_year is None:
        return None
    return figures.return_a_year - figures.index_return_a_year


def _draw_chart(page: Page, found: Result) -> None:
    from etf_trader.cli.time_chart import draw_beside_index

    navs = [(each.day, each.nav_per_unit) for each in found.days]
    draw_beside_index(page, navs, [(each.day, each.index_level) for each in found.days])
    page.line()


def _sources(files: Files, found: Result) -> str:
    prices = found.prices
    told = f"Prices: daily candles of {count(len(prices.candles), 'coin')}"
    if not prices.caps:
        return f"{told}."
    return (
        f"{told}, {_percent(prices.candles_share)} of the index by weight and time; "
        f"the table of market caps for the rest ({count(len(prices.caps), 'coin')}), good until its next day."
    )


def _ended(ended: Sequence[Ended]) -> str:
    """Return how much of the end is a price that nobody pays any more."""
    coins = joined(f"{each.asset} at its price of {each.day}" for each in ended)
    whole = _percent(sum(each.share for each in ended))
    return f"Markets that have ended make up {whole} of the final value: {coins}."


def _draw_events(page: Page, found: Result) -> None:
    from etf_trader.backtest.course import What

    counts = Counter(event.what for event in found.events)
    for event in found.events:
        if event.what is What.BEGUN_LATE:
            page.line(look(f"{event.text[:1].upper()}{event.text[1:]}."))
    if late := counts[What.LATE]:
        page.line(f"{count(late, 'rebalance')} came later than due: what they needed to know was not known yet.")
    if missed := [event for event in found.events if event.what is What.MISSED]:
        told = f"{count(len(missed), 'rebalance')} could not be made before the next was due, or the end"
        [(why, times)] = Counter(event.text for event in missed).most_common(1)
        days = [f"{event.day}" for event in missed if event.text == why]
        said = f"on {days[0]}" if times == 1 else f"{times} of them, from {days[0]} to {days[-1]},"
        page.line(look(f"{told}: {said} {why}."))
    for why, times in sorted(found.skipped.items()):
        if why != "within_band":
            page.line(f"{count(times, 'trade')} left out: {why.replace('_', ' ')}.")
    own = [event for event in found.events if event.asset is not None]
    page.fields([(str(event.day), f"{event.text}.") for event in own[:MOST_EVENTS]])
    if len(own) > MOST_EVENTS:
        page.line(dim(f"and {len(own) - MOST_EVENTS} more: --json has all."))


def draw_grid(page: Page, symbol: str, files: Files, rows: Sequence[Row]) -> None:
    """Draw a grid: a row for each combination, the best return first, and who was refused."""
    done = [row for row in rows if row.figures is not None]
    is_long = all(_is_long(row.figures) for row in done if row.figures is not None)
    a_year = " a year" if is_long else ""
    best = done[0]
    assert best.figures is not None
    told = ", ".join(f"{name} {value}" for name, value in best.values.items())
    page.line(
        f"{count(len(done), 'backtest')} of {symbol}, the best return first: "
        f"{told} came to {_coloured(_gain(best.figures, is_long=is_long))}{a_year}."
    )
    if files.candles_only:
        page.line(look("Survivors only: coins without candles are left out, which flatters the results."))
    page.line()
    keys = list(rows[0].values)
    table = Table(
        *(text(key) for key in keys),
        number("a year" if is_long else "return"),
        number("volatility", optional=3),
        number("deepest fall", optional=2),
        number("return/risk", optional=1),
        number("behind index", optional=4),
        number("turnover"),
        number("costs"),
    )
    for row in done:
        figures = row.figures
        assert figures is not None
        table.row(
            *(row.values[key] for key in keys),
            _percent(_gain(figures, is_long=is_long)),
            _percent(figures.volatility),
            _percent(-float(figures.drawdown.depth)),
            "" if figures.sharpe is None else f"{figures.sharpe:.2f}",
            _percent(None if (lag := _lag(figures, is_long=is_long)) is None else -lag, 2),
            _percent(_over(figures.turnover_a_year, figures, is_long=is_long)),
            f"{_bps(_over(figures.cost_bps, figures, is_long=is_long))} bps",
        )
    page.table(table)
    for row in rows:
        if row.refused is not None:
            told = ", ".join(f"{name} {value}" for name, value in row.values.items())
            page.line(bad(f"{told} could not be run: {row.refused}."))
    page.line()
    begun = {row.start for row in done if row.start is not None}
    if len(begun) > 1:
        told = "They begin when each can be followed"
        page.line(look(f"{told}, between {min(begun)} and {max(begun)}: --from makes it one day."))
    if (most := max(row.figures.ended_share for row in done if row.figures is not None)) > 0:
        page.line(
            look(f"Up to {_percent(most)} of a final value is of markets that have ended, at their last prices.")
        )
    lasted = "are a year" if is_long else "are of the whole time, for it is less than 30 days"
    page.line(f"Turnover one way and costs of NAV {lasted}. All books were audited.")


def _percent(value: float | None, decimals: int = 1) -> str:
    if value is None:
        return "-"
    shown = round(value * _HUNDRED, decimals) + 0.0
    return f"{shown:,.{decimals}f}%"


def _risk(value: float | None, decimals: int = 1) -> str:
    """Return a deviation, of which one day has none."""
    return "-" if value is None else f"{_percent(value, decimals)} a year"


def _coloured(value: float | None) -> str:
    if value is None:
        return "-"
    return good(_percent(value)) if value >= 0 else bad(_percent(value))


def _bps(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
