"""What a plan says of fees that are paid beside what it trades, and its sums with them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import money
from etf_trader.money import ONE, ZERO, average_price, bps, divide, money_context, plain, round_to

if TYPE_CHECKING:
    from collections.abc import Sequence

GRID = Decimal("1e-8")


def fees_of(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a plan's fees come to where the account pays them in an asset of the venue's; None: it does not.

    `beside` says whether the plan counts on that; then `quantity` of the asset
    is expected to be taken, for `value` of the quote, and `cash`,
    `average_price` and the loss are those of the plan with it.
    """
    said = document.get("fees")
    if said is None:
        return None
    found = {"asset": said["asset"], "beside": "rates" in said, "quantity": None, "value": None}
    told = with_fees(document)
    with money_context():
        if found["beside"]:
            value = Decimal(told["fee"]) - Decimal(document["fee"])
            mid = next((Decimal(mid) for mid in said["mids"].values()), None)
            found |= {"quantity": ZERO if mid is None else divide(value, mid, GRID), "value": value}
    return found | {name: told[name] for name in ("cash", "average_price", "fee", "loss", "loss_bps")}


def with_fees(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan object in whose sums and legs are the fees that are paid beside it."""
    rates = {name: Decimal(rate) for name, rate in document.get("fees", {}).get("rates", {}).items()}
    if not rates:
        return dict(document)
    with money_context():
        due = [Decimal(leg["value"]) * rates.get(leg["symbol"], ZERO) for leg in document["legs"]]
        total, sign = sum(due, ZERO), ONE if document["side"] == "buy" else -ONE
        traded = sum((Decimal(leg["value"]) for leg in document["legs"]), ZERO)
        cash, loss = Decimal(document["cash"]) + sign * total, Decimal(document["loss"]) + total
        units, basket_cash = Decimal(document["units"]), Decimal(document["problem"]["cash_per_unit"])
        factor = ONE + sign * (divide(total, traded) if traded else ZERO)
        marginal = (Decimal(document["marginal_price"]) - basket_cash) * factor + basket_cash
        average = average_price(cash, units)
        legs = [
            {**leg, "fee": plain(Decimal(leg["fee"]) + fee), "loss": plain(Decimal(leg["loss"]) + fee)}
            for leg, fee in zip(document["legs"], due, strict=True)
        ]
        return {
            **document,
            "cash": plain(cash),
            "average_price": None if average is None else plain(average),
            "marginal_price": plain(round_to(marginal, GRID)),
            "loss": plain(loss),
            "loss_bps": plain(bps(loss, units * Decimal(document["arrival_nav"]))),
            "fee": plain(Decimal(document["fee"]) + total),
            "legs": legs,
        }


def fee_sentences(document: Mapping[str, Any], quote: str) -> Sequence[str]:
    """Return in what fees are paid, where that is not what is received."""
    fees = fees_of(document)
    if fees is None or not any(Decimal(leg["quantity"]) for leg in document["legs"]):
        return ()
    asset = fees["asset"]
    if not fees["beside"]:
        return (
            f"Fees are paid in {asset} while there is enough; planned as if taken of what is received "
            "(etf treasury fees).",
        )
    much = f"about {plain(fees['quantity'])} {asset} of the fee inventory, worth {money(fees['value'])} {quote}"
    return (f"Fees are paid in {asset}: {much}. Limits leave room for them.",)
