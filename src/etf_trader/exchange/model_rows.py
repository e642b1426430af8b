"""The rows of exchangeInfo that the model market shows, in the shape of 2026."""

from decimal import Decimal
from typing import Any

from etf_trader.exchange.model_parameters import Limits

MIN_NOTIONAL = {"USDT": "5", "USDC": "5", "FDUSD": "5", "BTC": "0.0001", "ETH": "0.001"}
"""By quote asset, as in `exchangeInfo` of 2024-09-08."""


def symbol_row(
    base: str, quote: str, tick: Decimal, step: Decimal, limits: Limits, band: tuple[str, str]
) -> dict[str, Any]:
    """Return the row of a symbol.

    Args:
        base: Its base asset.
        quote: Its quote asset.
        tick: Grid of prices, quote per base.
        step: Grid of quantities, base.
        limits: What one order may be, base.
        band: How far a price may be above and below the reference, as multiples of it.
    """
    up, down = band
    return {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": limits.precision,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": limits.precision,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": _text(tick),
                "maxPrice": _text("1000000"),
                "tickSize": _text(tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": _text(step),
                "maxQty": _text(limits.max_quantity),
                "stepSize": _text(step),
            },
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": _text("0"),
                "maxQty": _text(limits.max_market_quantity),
                "stepSize": _text("0"),
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": up,
                "bidMultiplierDown": down,
                "askMultiplierUp": up,
                "askMultiplierDown": down,
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": _text(MIN_NOTIONAL[quote]),
                "applyMinToMarket": True,
                "maxNotional": _text("9000000"),
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": [
            "EXPIRE_TAKER",
            "EXPIRE_MAKER",
            "EXPIRE_BOTH",
            "DECREMENT",
            "TRANSFER",
        ],
    }


def _text(value: Decimal | str) -> str:
    return f"{Decimal(value):.8f}"
