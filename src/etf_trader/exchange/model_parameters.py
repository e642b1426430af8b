"""What the model market knows about each coin; `docs/market-model.md` says where every figure comes from."""

from typing import NamedTuple


class Coin(NamedTuple):
    """The parameters of one coin's market against USDT."""

    asset: str
    price: str
    """USDT per coin at the epoch."""
    tick: str
    """Grid of prices, USDT."""
    step: str
    """Grid of quantities, coins."""
    max_quantity: str
    """Largest quantity of one order, coins (LOT_SIZE)."""
    max_market_quantity: str
    """Largest quantity of one market order, coins (MARKET_LOT_SIZE)."""
    beta: float
    """Daily log return per unit of the common factor's."""
    own_volatility: float
    """Daily standard deviation of the log return beyond the factor's part."""
    depth: int
    """Mean USDT on one side within 100 bps of mid."""
    eighths: int
    """Within 100 bps depth grows as distance^(eighths / 8), beyond it as distance^min(1, eighths / 8)."""
    touch: int
    """Mean USDT at the best price beyond what the depth curve puts there."""
    wide: int
    """In how many of 256 seconds the spread is two ticks or more; two more draws may widen it further."""
    recovery: float
    """Seconds after which 1/e of what was taken at the touch is still missing."""
    precision: int = 8
    """Decimals of the coin on the exchange."""


MARKET_VOLATILITY = 0.0359
"""Daily standard deviation of the common factor's log return."""

COINS = (
    Coin(
        "BTC", "91529.74", "0.01", "0.00001", "9000", "129.84957276", 0.52, 0.0111, 16_000_000, 6, 120_000, 4, 1.0
    ),
    Coin("ETH", "3144.71", "0.01", "0.0001", "9000", "3125.75267907", 0.98, 0.0164, 8_600_000, 5, 25_000, 10, 1.0),
    Coin("SOL", "134.12", "0.01", "0.001", "90000", "64306.31937238", 1.08, 0.0227, 6_000_000, 7, 10_000, 8, 1.5),
    Coin("BNB", "895.43", "0.01", "0.001", "900000", "4883.5223682", 0.58, 0.0173, 4_600_000, 7, 10_000, 100, 1.5),
    Coin(
        "XRP", "2.0908", "0.0001", "1", "9222449", "4886361.72803347", 1.03, 0.0222, 3_800_000, 7, 8_000, 20, 1.5
    ),
    Coin("DOGE", "0.14952", "0.00001", "1", "9000000", "19499637", 1.29, 0.0161, 3_200_000, 8, 6_000, 16, 2.0),
    Coin("TRX", "0.294", "0.0001", "0.1", "9000000", "6926732.6", 0.33, 0.0166, 2_000_000, 8, 5_000, 4, 3.0),
    Coin("ADA", "0.4006", "0.0001", "0.1", "900000", "1922825", 1.31, 0.026, 1_850_000, 8, 5_000, 6, 3.0),
    Coin("LINK", "13.42", "0.01", "0.01", "90000", "79751.87", 1.23, 0.0178, 1_700_000, 8, 5_000, 4, 3.0),
    Coin("LTC", "82.26", "0.01", "0.001", "90000", "16571.044", 0.94, 0.0237, 1_590_000, 8, 4_000, 30, 3.0),
    Coin("AVAX", "14.25", "0.01", "0.01", "90000", "40749.41", 1.25, 0.0196, 1_490_000, 8, 4_000, 4, 3.0),
    Coin("UNI", "5.85", "0.001", "0.01", "90000", "58302.41", 1.32, 0.0315, 1_400_000, 9, 3_000, 30, 4.0),
    Coin("BCH", "639.2", "0.1", "0.001", "90000", "1700.607", 0.78, 0.0266, 1_320_000, 9, 3_000, 30, 4.0),
    Coin("DOT", "2.143", "0.001", "0.01", "90000", "133560.54", 1.16, 0.0175, 880_000, 9, 2_000, 10, 5.0),
    Coin("XLM", "0.233", "0.0001", "1", "9000000", "3502136", 1.01, 0.0223, 750_000, 9, 2_000, 10, 5.0),
    Coin(
        "SHIB",
        "0.00000904",
        "0.00000001",
        "1",
        "46116860414",
        "46116860414",
        1.04,
        0.0159,
        707_000,
        9,
        2_000,
        4,
        5.0,
        2,
    ),
    Coin("ATOM", "2.341", "0.001", "0.01", "90000", "84879.08", 1.08, 0.0201, 402_000, 10, 1_500, 20, 8.0),
    Coin("MANA", "0.3077", "0.0001", "1", "900000", "483384", 1.2, 0.035, 254_000, 12, 1_000, 60, 15.0),
    Coin("ZIL", "0.01104", "0.00001", "0.1", "9000000", "7776599.2", 1.2, 0.035, 215_000, 10, 1_000, 30, 15.0),
    Coin("DENT", "0.000955", "0.000001", "1", "90000000", "92141578", 1.2, 0.04, 166_000, 8, 1_000, 40, 20.0),
)
"""Most liquid first."""
