"""What the model market knows about each coin, currency and pair; `docs/market-model.md` has the sources."""

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


class Currency(NamedTuple):
    """The parameters of a stable coin, and of its market against USDT."""

    asset: str
    middle: float
    """USDT per coin at the epoch; between two ticks."""
    swing: float
    """How far from the middle, as a fraction of USDT, it never goes."""
    daily_volatility: float
    """Of the path that leads it between the ends of its swing: the standard deviation of a day, in swings."""
    depth: int
    """Mean USDT on one side within 100 bps of mid."""
    eighths: int
    """As of a coin."""
    touch: int
    """Mean USDT at the best price beyond what the depth curve puts there."""
    wide: int
    """As of a coin."""
    recovery: float
    """As of a coin."""


class Pair(NamedTuple):
    """The parameters of a coin's market against something else than USDT."""

    base: str
    quote: str
    share: float
    """Its depth as a fraction of the depth of the base against USDT."""
    spread: int
    """Ticks between the best prices, at least."""
    max_market_quantity: str
    """Coins (MARKET_LOT_SIZE)."""
    tick: str = ""
    """Grid of prices, quote; empty: that of the base against USDT."""
    max_quantity: str = ""
    """Coins (LOT_SIZE); empty: as against USDT."""


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

TURNOVER = {
    "BTC": 132, "ETH": 197, "SOL": 99,  "BNB": 82,  "XRP": 79,  "DOGE": 62, "TRX": 42,
    "ADA": 41,  "LINK": 39, "LTC": 37,  "AVAX": 38, "UNI": 35,  "BCH": 28,  "DOT": 26,
    "XLM": 20,  "SHIB": 18, "ATOM": 15, "MANA": 15, "ZIL": 15,  "DENT": 15,
    "USDC": 15, "FDUSD": 15,
}
"""Traded value of a day, in the mean, as a multiple of the depth of one side within 100 bps; by base asset."""

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

# fmt: off
CURRENCIES = (
    Currency("USDC",  0.99985, 0.0006, 0.15, 100_000_000, 4, 15_000_000, 2, 2.0),
    Currency("FDUSD", 0.99845, 0.0015, 0.15, 30_000_000,  4, 4_000_000,  4, 4.0),
)
"""The currencies beside USDT, most liquid first."""

CURRENCY_LIMITS = {
    "USDC":  Limits("10000000", "42216516.48117154"),
    "FDUSD": Limits("10000000", "49250632.0251046"),
}

CURRENCY_TICK, CURRENCY_STEP = "0.0001", "1"
COIN_BAND, CURRENCY_BAND = ("5", "0.2"), ("1.2", "0.8")
"""How far above and below the reference a price may be."""

PAIRS = (
    Pair("BTC",  "USDC",  0.34,  2, "30.94034205"),
    Pair("ETH",  "USDC",  0.3,   2, "549.56578033"),
    Pair("SOL",  "USDC",  0.18,  1, "5338.42195815"),
    Pair("BNB",  "USDC",  0.44,  2, "320.05821757"),
    Pair("XRP",  "USDC",  0.155, 1, "288030.48117154"),
    Pair("DOGE", "USDC",  0.22,  1, "837476.35983263"),
    Pair("TRX",  "USDC",  0.05,  1, "47460.51129707"),
    Pair("ADA",  "USDC",  0.13,  1, "246358.1627615"),
    Pair("LINK", "USDC",  0.09,  1, "5810.84359832"),
    Pair("LTC",  "USDC",  0.05,  2, "827.34648117"),
    Pair("AVAX", "USDC",  0.1,   1, "3986.06062761"),
    Pair("UNI",  "USDC",  0.12,  2, "6961.91577405"),
    Pair("BCH",  "USDC",  0.06,  2, "100.15730543"),
    Pair("DOT",  "USDC",  0.09,  1, "12179.75962343"),
    Pair("SHIB", "USDC",  0.11,  1, "5030150011.25"),
    Pair("ATOM", "USDC",  0.1,   1, "8930.23100418"),
    Pair("BTC",  "FDUSD", 0.24,  5, "43.78397058"),
    Pair("ETH",  "FDUSD", 0.18,  5, "949.07071464"),
    Pair("SOL",  "FDUSD", 0.083, 2, "11822.54962761"),
    Pair("BNB",  "FDUSD", 0.066, 5, "2158.56102928"),
    Pair("XRP",  "FDUSD", 0.059, 2, "758264.41422594"),
    Pair("DOGE", "FDUSD", 0.043, 2, "4359076.55648535"),
    Pair("ADA",  "FDUSD", 0.11,  1, "219562.70878661"),
    Pair("LINK", "FDUSD", 0.07,  1, "7104.69874476"),
    Pair("LTC",  "FDUSD", 0.05,  3, "840.77732635"),
    Pair("AVAX", "FDUSD", 0.08,  1, "3103.76016736"),
    Pair("UNI",  "FDUSD", 0.03,  3, "1965.05606694"),
    Pair("BCH",  "FDUSD", 0.06,  3, "106.14781589"),
    Pair("DOT",  "FDUSD", 0.04,  2, "5919.45665271"),
    Pair("SHIB", "FDUSD", 0.07,  1, "3411068365.7"),
    Pair("ATOM", "FDUSD", 0.05,  2, "4022.85774058"),
    Pair("ETH",  "BTC",   0.4,   1, "2255.71583723",   "0.00001",    "100000"),
    Pair("SOL",  "BTC",   0.1,   4, "16055.366682",    "0.0000001",  "90000000"),
    Pair("BNB",  "BTC",   0.15,  2, "3187.67367782",   "0.000001",   "100000"),
    Pair("XRP",  "BTC",   0.1,   1, "1615106.22594142", "0.00000001", "90000000"),
    Pair("ADA",  "BTC",   0.1,   1, "929107.6627615",  "0.00000001", "90000000"),
    Pair("SOL",  "ETH",   0.05,  2, "8348.88373221",   "0.00001",    "92141578"),
    Pair("BNB",  "ETH",   0.05,  1, "582.09314225",    "0.0001",     "9000000"),
    Pair("MANA", "ETH",   0.1,   2, "78542",           "0.0000001",  "90000000"),
)
"""By quote, in the order of COINS."""
# fmt: on
