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
    beta: float
    """Daily log return per unit of the common factor's."""
    own_volatility: float
    """Daily standard deviation of the log return beyond the factor's part."""
    depth: int
    """Mean USDT on one side within 100 bps of mid."""
    eighths: int
    """Depth grows as distance^(eighths / 8) from 10 to 100 bps; before it at least, beyond it at most linearly."""
    touch: int
    """Mean USDT at the best price beyond what the depth curve puts there."""
    wide: int
    """In how many of 256 seconds the spread is two ticks or more; two more draws may widen it further."""
    recovery: float
    """Seconds after which 1/e of what was taken at the touch is still missing."""


class Limits(NamedTuple):
    """What the exchange's filters allow in one order of a coin."""

    max_quantity: str
    """Coins (LOT_SIZE)."""
    max_market_quantity: str
    """Coins (MARKET_LOT_SIZE)."""
    precision: int = 8
    """Decimals of the coin on the exchange."""


MARKET_VOLATILITY = 0.0359
"""Daily standard deviation of the common factor's log return."""

# fmt: off
COINS = (
    Coin("BTC",  "91529.74",   "0.01",       "0.00001", 0.52, 0.0111, 16_000_000, 6,  140_000, 4,   1.5),
    Coin("ETH",  "3144.71",    "0.01",       "0.0001",  0.98, 0.0164, 8_600_000,  5,  34_000,  10,  2.0),
    Coin("SOL",  "134.12",     "0.01",       "0.001",   1.08, 0.0227, 6_000_000,  7,  10_000,  8,   2.0),
    Coin("BNB",  "895.43",     "0.01",       "0.001",   0.58, 0.0173, 4_600_000,  7,  10_000,  100, 2.0),
    Coin("XRP",  "2.0908",     "0.0001",     "1",       1.03, 0.0222, 3_800_000,  7,  8_000,   20,  2.0),
    Coin("DOGE", "0.14952",    "0.00001",    "1",       1.29, 0.0161, 3_200_000,  8,  6_000,   16,  2.0),
    Coin("TRX",  "0.294",      "0.0001",     "0.1",     0.33, 0.0166, 2_000_000,  8,  5_000,   4,   3.0),
    Coin("ADA",  "0.4006",     "0.0001",     "0.1",     1.31, 0.026,  1_850_000,  8,  5_000,   6,   3.0),
    Coin("LINK", "13.42",      "0.01",       "0.01",    1.23, 0.0178, 1_700_000,  8,  5_000,   4,   3.0),
    Coin("LTC",  "82.26",      "0.01",       "0.001",   0.94, 0.0237, 1_590_000,  8,  4_000,   30,  3.0),
    Coin("AVAX", "14.25",      "0.01",       "0.01",    1.25, 0.0196, 1_490_000,  8,  4_000,   4,   3.0),
    Coin("UNI",  "5.85",       "0.001",      "0.01",    1.32, 0.0315, 1_400_000,  9,  3_000,   30,  4.0),
    Coin("BCH",  "639.2",      "0.1",        "0.001",   0.78, 0.0266, 1_320_000,  9,  3_000,   30,  4.0),
    Coin("DOT",  "2.143",      "0.001",      "0.01",    1.16, 0.0175, 880_000,    9,  2_000,   10,  5.0),
    Coin("XLM",  "0.233",      "0.0001",     "1",       1.01, 0.0223, 750_000,    9,  2_000,   10,  5.0),
    Coin("SHIB", "0.00000904", "0.00000001", "1",       1.04, 0.0159, 707_000,    9,  2_000,   4,   5.0),
    Coin("ATOM", "2.341",      "0.001",      "0.01",    1.08, 0.0201, 402_000,    10, 1_500,   20,  8.0),
    Coin("MANA", "0.3077",     "0.0001",     "1",       1.2,  0.035,  254_000,    12, 1_000,   60,  15.0),
    Coin("ZIL",  "0.01104",    "0.00001",    "0.1",     1.2,  0.035,  215_000,    10, 1_000,   30,  15.0),
    Coin("DENT", "0.000955",   "0.000001",   "1",       1.2,  0.04,   166_000,    8,  1_000,   40,  20.0),
)
"""Most liquid first."""

LIMITS = {
    "BTC":   Limits("9000",        "129.84957276"),
    "ETH":   Limits("9000",        "3125.75267907"),
    "SOL":   Limits("90000",       "64306.31937238"),
    "BNB":   Limits("900000",      "4883.5223682"),
    "XRP":   Limits("9222449",     "4886361.72803347"),
    "DOGE":  Limits("9000000",     "19499637"),
    "TRX":   Limits("9000000",     "6926732.6"),
    "ADA":   Limits("900000",      "1922825"),
    "LINK":  Limits("90000",       "79751.87"),
    "LTC":   Limits("90000",       "16571.044"),
    "AVAX":  Limits("90000",       "40749.41"),
    "UNI":   Limits("90000",       "58302.41"),
    "BCH":   Limits("90000",       "1700.607"),
    "DOT":   Limits("90000",       "133560.54"),
    "XLM":   Limits("9000000",     "3502136"),
    "SHIB":  Limits("46116860414", "46116860414",      2),
    "ATOM":  Limits("90000",       "84879.08"),
    "MANA":  Limits("900000",      "483384"),
    "ZIL":   Limits("9000000",     "7776599.2"),
    "DENT":  Limits("90000000",    "92141578"),
}
# fmt: on
