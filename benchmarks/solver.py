"""How fast and how tight the solver is, each figure as a ratio measured in one run.

    python benchmarks/solver.py            the table, in Markdown
    python benchmarks/solver.py --quick    fewer runs and smaller rivals: under half a minute
    python benchmarks/solver.py --check    exit 1 when a target is missed by more than the slack

Milliseconds differ from machine to machine; ratios to reading the ladders once
(one NumPy sum over prices and depths), or to a rival of the same run, hardly do.
Contenders take turns, and are judged by their medians. Books are seeded; memory
is measured in processes of its own. cvxpy and highspy take part when installed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.solver.certificate import order_bound
from etf_trader.solver.closed_form import Bounds, IndexCurve
from etf_trader.solver.curves import Array, Curves
from etf_trader.solver.lp import Relaxed, solve
from etf_trader.solver.network import network_of
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.route_books import Books
from etf_trader.solver.route_lp import Program
from etf_trader.solver.route_problem import Conversion, Currency, Route, RouteProblem
from etf_trader.solver.route_slots import chosen
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder

SLACK = 1.5
"""By how much a busy machine may spoil a ratio before --check fails."""

FEE = 0.001
LIMIT = 1.005  # of NAV: binds a 100M buy of these books
ZERO = Decimal(0)
MILLION = 10**6


class Market:
    """Seeded asks shaped like Binance's: a spread of a tick or two, thin at the top, prices in ticks."""

    def __init__(self, assets: int, levels: int, seed: int = 1) -> None:
        chance = np.random.default_rng(seed)
        self.ticks = 10.0 ** chance.integers(-8, 0, assets)
        self.mids = self.ticks * chance.integers(50_000, 500_000, assets)
        first = self.mids / self.ticks + 1
        self.steps = 10.0 ** np.round(np.log10(0.1 / self.mids))
        rise = np.cumsum(chance.integers(1, 6, (assets, levels)), axis=1)
        self.prices = (first[:, None] + rise) * self.ticks[:, None]
        lots = chance.lognormal(0.0, 1.2, (assets, levels)) * 1500 / (self.mids * self.steps)[:, None]
        self.quantities = np.ceil(lots) * self.steps[:, None]
        self.weights = chance.dirichlet(np.full(assets, 3.0))

    @cached_property
    def ladders(self) -> list[Array]:
        return [np.column_stack(pair) for pair in zip(self.prices, self.quantities, strict=True)]

    def curve(self, value: float) -> IndexCurve:
        """Return the closed form of a buy of `value`, nothing read before."""
        curves = Curves(self.ladders, self.mids, value, Side.BUY)
        names = [f"depth(A{row})" for row in range(len(self.mids))]
        return IndexCurve(curves, self.weights, np.full(len(self.mids), 1 - FEE), names)

    @cached_property
    def text(self) -> str:
        """The asks as the venue sends them."""
        return json.dumps([[[str(price), str(size)] for price, size in asks] for asks in self._exact()])

    def _exact(self) -> list[list[tuple[Decimal, Decimal]]]:
        books = []
        for row, tick in enumerate(self.ticks):
            tick, step = Decimal(f"{tick:.0e}"), Decimal(f"{self.steps[row]:.0e}")
            prices = np.rint(self.prices[row] / self.ticks[row]).astype(int).tolist()
            sizes = np.rint(self.quantities[row] / self.steps[row]).astype(int).tolist()
            books.append([(price * tick, size * step) for price, size in zip(prices, sizes, strict=True)])
        return books

    def problem(self, value: int, **changes: Any) -> OrderProblem:
        """Return the buy of `value` in decimals."""
        legs = tuple(self._leg(row, asks) for row, asks in enumerate(parse(self.text)))
        problem = OrderProblem(Side.BUY, Decimal(1), legs, ZERO, float_cash=Decimal(MILLION))
        nav = problem.nav
        units = (Decimal(value) / nav).quantize(Decimal("1e-8"))
        if "limit" in changes:
            changes["limit"] = (nav * Decimal(str(changes["limit"]))).quantize(Decimal("1e-8"))
        return replace(problem, quantity=units, **changes)

    def _leg(self, row: int, asks: tuple[Level, ...]) -> Leg:
        mid = Decimal(f"{self.mids[row]:.12g}")
        per_unit = (Decimal(repr(float(self.weights[row]))) * 1000 / mid).quantize(Decimal("1e-12"))
        step = Decimal(f"{self.steps[row]:.0e}")
        rule = make_rule(f"A{row}", "USDT", Decimal(f"{self.ticks[row]:.0e}"), step)
        return Leg(f"A{row}", rule, per_unit, asks, True, mid, mid, ZERO, ZERO, ZERO)


def make_rule(base: str, quote: str, tick: Decimal, step: Decimal) -> SymbolRule:
    """Return the rules of a market without bounds."""
    free = (ZERO, ZERO)
    fee, quantum = Decimal(str(FEE)), Decimal("1e-8")
    names = (base + quote, base, quote, "TRADING")
    return SymbolRule(
        *names, tick, ZERO, ZERO, step, step, ZERO, ZERO, ZERO, free, free, quantum, quantum, fee, fee
    )


def parse(text: str) -> list[tuple[Level, ...]]:
    """Read books as every plan reads them: text to exact decimals."""
    return [tuple(Level(Decimal(p), Decimal(q)) for p, q in asks) for asks in json.loads(text)]


def full_program(curve: IndexCurve, limit: float) -> dict[str, Any]:
    """Return the order with one column a level, as arguments of linprog; every level is in it."""
    curve.curves.depth()
    depths = np.diff(curve.curves.ends, axis=1)
    row, column = np.nonzero(depths)
    count, assets = len(row), len(curve.weights)
    data = np.concatenate([curve.nets[row], -curve.weights])
    rows = np.concatenate([row, np.arange(assets)])
    columns = np.concatenate([np.arange(count), np.full(assets, count)])
    return {
        "c": np.concatenate([curve.curves.prices[row, column], [-limit]]) * 1e4,
        "A_eq": csr_array((data, (rows, columns)), shape=(assets, count + 1)),
        "b_eq": np.zeros(assets),
        "bounds": np.column_stack([np.zeros(count + 1), np.append(depths[row, column], 1.0)]),
    }


def by_cvxpy(program: Mapping[str, Any]) -> float:
    """Solve the full program through cvxpy."""
    import cvxpy

    x = cvxpy.Variable(len(program["c"]))
    low, high = program["bounds"].T
    limits = [program["A_eq"] @ x == program["b_eq"], x >= low, x <= high]
    return float(cvxpy.Problem(cvxpy.Minimize(program["c"] @ x), limits).solve(solver=cvxpy.HIGHS))


def by_highspy(program: Mapping[str, Any]) -> float:
    """Solve the full program by HiGHS itself."""
    import highspy

    matrix = program["A_eq"].tocsc()
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_, (lp.col_lower_, lp.col_upper_) = program["c"], program["bounds"].T
    lp.row_lower_ = lp.row_upper_ = program["b_eq"]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(lp)
    solver.run()
    return float(solver.getObjectiveValue())


def slotted(assets: int, slots: int) -> Callable[[], object]:
    """Return the choice of books of a 1M buy over three quotes under `slots`."""
    quotes = ("USDC", "FDUSD")
    markets = {quote: Market(assets, 100, seed) for seed, quote in enumerate(("USDT", *quotes), 1)}
    order = markets["USDT"].problem(MILLION)
    routes = []
    for quote in quotes:
        for leg, size in zip(order.legs, np.random.default_rng(7).uniform(0.2, 1.5, assets), strict=True):
            share = Decimal(f"{size:.2f}")
            asks = tuple(Level(level.price, level.quantity * share) for level in leg.levels)
            rule = make_rule(leg.asset, quote, leg.rule.tick, leg.rule.step)
            routes.append(Route(leg.asset, rule, asks, True, leg.mid))
    penny = Decimal("0.0001")
    deep = Decimal(10**8)
    conversions = tuple(
        Conversion(
            make_rule(quote, "USDT", penny, penny),
            (Level(1 - penny, deep),),
            (Level(1 + penny, deep),),
            True,
            Decimal(1),
        )
        for quote in quotes
    )
    conversions = tuple(replace(each, rule=replace(each.rule, taker_fee=ZERO)) for each in conversions)
    currencies = tuple(Currency(quote, ZERO, Decimal(1), Decimal(1)) for quote in quotes)
    program = Program(Books(network_of(RouteProblem(order, currencies, tuple(routes), conversions, slots))))
    program.solve(None)
    return lambda: chosen(program, slots, 60.0)


class Ratio(NamedTuple):
    """A row: one contender's time over another's, and what it should be; `most` or else at least."""

    case: str
    over: str
    under: str
    target: float
    is_most: bool = True


RATIOS = (
    Ratio("prefix sums of whole ladders / read, 100 x 5000", "prefix", "read", 30),
    Ratio("closed form / read: 1M", "closed 1M", "read", 2),
    Ratio("closed form / read: 100M with a binding limit", "closed 100M", "read", 50),
    Ratio("plan (segments, linprog, float bound) / read: 1M", "plan 1M", "read", 35),
    Ratio("plan / read: 100M with a binding limit", "plan 100M", "read", 140),
    Ratio("plan at 1M: ladders of 5000 levels / of 100", "plan 1M", "plan 1M, 100 levels", 1.2),
    Ratio("full linprog, default options / plan, 100M", "full default", "full's plan", 200, False),
    Ratio("full linprog, no presolve / plan, 100M", "full no presolve", "full's plan", 40, False),
    Ratio("full LP through cvxpy / plan", "cvxpy", "full's plan", 40, False),
    Ratio("full LP by highspy / plan", "highspy", "full's plan", 40, False),
    Ratio("1000 orders of one index / 1 order, 100 assets", "1000 orders", "1 order", 3),
    Ratio("1000 assets / 100 assets, 100M", "plan 1000 assets", "plan 100M", 12),
    Ratio("plan / parsing the same books: 1M", "plan 1M", "parse", 0.1),
    Ratio("plan / parsing the same books: 100M", "plan 100M", "parse", 0.1),
    Ratio("plan in decimals and lots / parsing: 1M", "exact 1M", "parse", 0.1),
    Ratio("plan in decimals and lots / parsing: 100M", "exact 100M", "parse", 0.1),
    Ratio("exact certificate / plan in decimals, 100M", "certificate", "exact 100M", 1),
)


def contenders(quick: bool) -> dict[str, Callable[[], object]]:
    """Return everything that is timed, prepared."""
    market, wide, small = Market(100, 5000), Market(1000, 5000 if not quick else 2000), Market(100, 5000)
    small.prices, small.quantities = market.prices[:, :100], market.quantities[:, :100]
    rival = market if not quick else Market(100, 1000)
    program = full_program(rival.curve(1e8), LIMIT)
    limited, free = Bounds(limit=LIMIT), Bounds()
    order, large = market.problem(MILLION), market.problem(100 * MILLION, limit=LIMIT)
    proved = plan_order(large)
    one = [SharedOrder(1, "I", order)]
    part = replace(order, quantity=(order.quantity / 1000).quantize(Decimal("1e-8")))
    many = [SharedOrder(key, "I", part) for key in range(1000)]
    market.text, market.ladders, wide.ladders, small.ladders, rival.ladders  # noqa: B018 made before the clock runs
    found: dict[str, Callable[[], object]] = {
        "read": lambda: market.prices.sum() + market.quantities.sum(),
        "prefix": lambda: market.curve(1e6).curves.depth(),
        "closed 1M": lambda: market.curve(1e6).largest(free),
        "closed 100M": lambda: market.curve(1e8).largest(limited),
        "plan 1M": lambda: solve(market.curve(1e6), free),
        "plan 1M, 100 levels": lambda: solve(small.curve(1e6), free),
        "plan 100M": lambda: solve(market.curve(1e8), limited),
        "plan 1000 assets": lambda: solve(wide.curve(1e8), limited),
        "full's plan": lambda: solve(rival.curve(1e8), limited),
        "full default": lambda: linprog(**program),
        "full no presolve": lambda: linprog(**program, method="highs-ds", options={"presolve": False}),
        "parse": lambda: parse(market.text),
        "exact 1M": lambda: plan_order(order),
        "exact 100M": lambda: plan_order(large),
        "certificate": lambda: order_bound(large, proved.units, proved.multipliers),
        "1 order": lambda: plan_together(one, {}),
        "1000 orders": lambda: plan_together(many, {}),
    }
    for name, rival_solver in (("cvxpy", by_cvxpy), ("highspy", by_highspy)):
        if find_spec(name):
            found[name] = lambda solver=rival_solver: solver(program)  # type: ignore[misc]
    return found


SLOW = {"full default": 1, "full no presolve": 2, "parse": 3, "cvxpy": 1, "highspy": 1, "1000 orders": 3}
"""Runs of those that take seconds."""


def measure(timed: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Return the median milliseconds of each, their runs interleaved."""
    times: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(runs + 1):
        for name, call in timed.items():
            if turn > SLOW.get(name, runs) - (SLOW.get(name, 2) == 1):
                continue
            began = time.perf_counter()
            call()
            if turn or SLOW.get(name) == 1:  # the first turn fills the caches
                times[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(each) for name, each in times.items()}


def gaps() -> dict[str, Relaxed]:
    """Return the plans whose proved gap is judged."""
    market, wide = Market(100, 5000), Market(1000, 1000)
    cases: dict[str, tuple[Market, float, Bounds]] = {
        "1M": (market, 1e6, Bounds()),
        "100M": (market, 1e8, Bounds()),
        "100M, limit": (market, 1e8, Bounds(limit=LIMIT)),
        "100M, loss": (market, 1e8, Bounds(loss_bps=30.0)),
        "100M, cash": (market, 1e8, Bounds(cash=0.3)),
        "1000 assets, 100M, limit": (wide, 1e8, Bounds(limit=LIMIT)),
    }
    return {name: solve(book.curve(value), bounds) for name, (book, value, bounds) in cases.items()}


def memory(task: str) -> float:
    """Return the megabytes that a process of its own takes at its peak for a task beyond reading the books."""
    market = Market(100, 5000)
    with tempfile.TemporaryDirectory() as folder:
        parts = {"ladders": np.array(market.ladders), "mids": market.mids, "weights": market.weights}
        for name, values in parts.items():
            np.save(Path(folder, name + ".npy"), values)
        command = [sys.executable, __file__, "--books", folder, "--task"]
        peaks = [
            float(subprocess.run([*command, each], check=True, capture_output=True, text=True).stdout)
            for each in ("read", task)
        ]
    return peaks[1] - peaks[0]


def run_task(task: str, folder: str) -> None:
    """Print the peak memory in megabytes after `task` on the books in `folder`."""
    ladders, mids, weights = (np.load(Path(folder, name + ".npy")) for name in ("ladders", "mids", "weights"))

    def curve(count: int, value: float) -> IndexCurve:
        some = [ladder[:count] for ladder in ladders]
        names = [f"depth(A{row})" for row in range(len(mids))]
        return IndexCurve(Curves(some, mids, value, Side.BUY), weights, np.full(len(mids), 1 - FEE), names)

    solve(curve(20, 1e5), Bounds())  # what the libraries take is not counted
    if task == "full":
        linprog(**full_program(curve(5000, 1e8), LIMIT), method="highs-ds", options={"presolve": False})
    elif task == "plan":
        solve(curve(5000, 1e8), Bounds(limit=LIMIT))
    status = Path("/proc/self/status").read_text()  # getrusage would tell the peak of the parent
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def rows(quick: bool) -> list[tuple[str, str, str, bool]]:
    """Return the table: case, figure, target, and whether it is met with slack."""
    took = measure(contenders(quick), 7 if quick else 15)
    table = []
    for case, over, under, target, is_most in RATIOS:
        if over not in took:
            table.append((case, "not installed", "", True))
            continue
        ratio = took[over] / took[under]
        is_met = ratio <= target * SLACK if is_most else ratio >= target / SLACK
        figure = f"{ratio:.3g} ({took[over]:.2f} / {took[under]:.2f} ms)"
        if quick and under == "full's plan":
            table.append((f"{case}, 100 x 1000", figure, "", True))
            continue
        table.append((case, figure, f"{'<=' if is_most else '>='} {target:g}", is_met))
    books = 100 * 5000 * 2 * 8 / 2**20
    for name in ("plan",) if quick else ("plan", "full"):
        beyond = memory(name)
        label = "memory beyond the books / the books" + (", full linprog" if name == "full" else "")
        is_met = name == "full" or beyond <= 2 * books * SLACK
        figure = f"{beyond / books:.2f} ({beyond:.1f} / {books:.1f} MB)"
        table.append((label, figure, "" if name == "full" else "<= 2", is_met))
    for name, relaxed in gaps().items():
        figure = f"{relaxed.gap_bps:.4f} bps with {relaxed.columns} columns"
        table.append((f"proved gap: {name}", figure, "<= 0.05 bps", relaxed.gap_bps <= 0.05))
    choices = {slots: slotted(100, slots) for slots in ((102, 120) if quick else (102, 110, 120, 135, 152))}
    seconds = [
        value / 1000 for value in measure({str(slots): call for slots, call in choices.items()}, 1).values()
    ]
    middle = statistics.median(seconds)
    figure = f"{middle:.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
    table.append(("route MILP, 100 assets, 102 to 152 slots, gap 1e-6", figure, "median <= 1 s", middle <= SLACK))
    return table


def main() -> int:
    """Print the table; return 1 where a target is missed by more than the slack and --check was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs and smaller rivals")
    parser.add_argument(
        "--check", action="store_true", help="fail where a target is missed by more than the slack"
    )
    parser.add_argument("--task", choices=("read", "plan", "full"), help=argparse.SUPPRESS)
    parser.add_argument("--books", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        run_task(options.task, options.books)
        return 0
    table = rows(options.quick)
    print("| case | measured | target | |\n|---|---|---|---|")
    for case, figure, target, is_met in table:
        print(f"| {case} | {figure} | {target} | {'' if is_met else 'missed'} |")
    return 1 if options.check and not all(is_met for *_, is_met in table) else 0


if __name__ == "__main__":
    sys.exit(main())
