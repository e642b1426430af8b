"""A quote as other programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import EIGHT_PLACES
from etf_trader.cli.plan_fees import fees_of, with_fees
from etf_trader.cli.quotes import orders_of
from etf_trader.money import average_price, round_to
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from etf_trader.execution.quote import Quote
    from etf_trader.solver.quote import Naive, SizeCost
    from etf_trader.solver.route_problem import RouteSaving

CURVE_COLUMNS = ("units", "cash", "average_price", "marginal_price", "loss", "loss_bps", *LOSS_PARTS)
ANSWER = ("units", "fill_percentage", *CURVE_COLUMNS[1:])
"""What the plan of the answer says at the top of the document too, there with the fees that are paid beside it."""


def document_of(quote: Quote) -> dict[str, Any]:
    """Return the quote as a document: the answer at the top, then the curve and what bounds it."""
    answer, orders = quote.answer, orders_of(quote)
    plan = None if answer is None else answer.document
    told = None if plan is None else with_fees(plan)
    return {
        "index": quote.index.symbol,
        "side": quote.request.side,
        "quantity": None if answer is None else answer.quantity,
        "limit": quote.request.limit_price,
        "max_loss_bps": quote.request.max_loss_bps,
        "nav": quote.nav,
        "frozen": [{"asset": each.asset, "symbol": each.symbol, "status": each.status} for each in quote.frozen],
        **{part: None if told is None else told[part] for part in ANSWER},
        "stopped_by": None if plan is None else plan["stopped_by"],
        "fees": None if plan is None else fees_of(plan),
        "gain_bps": quote.gain_bps,
        "market_orders": _naive_document(quote, quote.market),
        "limit_by_asset": _naive_document(quote, quote.by_asset),
        "routes": [_route_document(quote, each) for each in quote.routes],
        "routes_unknown": quote.routes_unknown or None,
        "orders": None if answer is None else orders,
        "free_slots": quote.free_slots,
        "seconds": None if answer is None else quote.seconds_for(orders),
        "treasury": quote.treasury,
        "treasury_units": None if answer is None else answer.payable,
        "largest": {
            "units": quote.largest.units,
            "loss_bps": quote.loss_bps(quote.largest),
            "stopped_by": quote.largest.stopped_by,
        },
        "least": quote.least,
        "float": quote.float_cash,
        "float_for_every_size": quote.float_needed,
        "curve_method": "plan",
        "curve": [_curve_row(each) for each in quote.curve],
        "ends": [
            {"asset": end.asset, "symbol": end.symbol, "units": end.units, "complete": end.is_complete}
            for end in quote.ends
        ],
        "plan": plan,
    }


def _curve_row(row: SizeCost) -> dict[str, Any]:
    return {
        "units": row.units,
        "cash": row.cash,
        "average_price": average_price(row.cash, row.units),
        "marginal_price": row.marginal_price,
        "loss": row.loss.total,
        "loss_bps": row.loss_bps,
        **{part: getattr(row.loss, part) for part in LOSS_PARTS},
    }


def _naive_document(quote: Quote, naive: Naive | None) -> dict[str, Any] | None:
    if naive is None:
        return None
    return {
        "units": naive.units,
        "stranded": naive.stranded,
        "loss": naive.loss,
        "unwinding": naive.unwinding,
        "loss_bps": quote.naive_bps(naive),
    }


def _route_document(quote: Quote, saving: RouteSaving) -> dict[str, Any]:
    return {
        "currencies": saving.currencies,
        "units": saving.units,
        "loss_bps": saving.loss_bps,
        "orders": saving.orders,
        "saved_bps": saving.saved_bps,
        "saved": round_to(quote.saved(saving), EIGHT_PLACES),
        "method": saving.method,
    }
