"""The names of the ledger's accounts.

Inside the venue account: treasury, order, index, float, fee payable, and the fee inventory. Their sum
is what the venue holds for us. Units of an index live in position, order and redeemed
accounts; what is outstanding stands against `issued`.
"""

MARKET = "market"
VENUE_FEES = "venue_fees"
FEE_INVENTORY = "fee_inventory"
"""What is kept to pay fees with, and the cash that orders paid it for those."""

SWAPPED = "swapped"
"""Where a coin goes, and its successor comes from, when the venue exchanges one for the other."""

_INSIDE = ("treasury:", "order:", "index:", "float:", "fee_payable:", FEE_INVENTORY)
WITH_LOTS = ("order:", "index:", "float:", "fee_payable:", FEE_INVENTORY)
"""How the names begin of the accounts whose coins are kept in lots."""


def treasury(holder: str) -> str:
    """Cash that belongs to a holder and to no index."""
    return f"treasury:{holder}"


def capital(holder: str) -> str:
    """Where a holder's money comes from and goes to, outside."""
    return f"capital:{holder}"


def order(order_id: int) -> str:
    """What an index order has reserved, bought, or not yet sold."""
    return f"order:{order_id}"


def index(index_id: int) -> str:
    """Exactly units outstanding x basket."""
    return f"index:{index_id}"


def index_float(index_id: int) -> str:
    """The owner's capital beside the units."""
    return f"float:{index_id}"


def fee_payable(index_id: int) -> str:
    """Management fee taken out of the basket and not paid out."""
    return f"fee_payable:{index_id}"


def position(position_id: int) -> str:
    """Units that a holder owns and has not offered."""
    return f"position:{position_id}"


def redeemed(order_id: int) -> str:
    """Units whose baskets an order is selling: given up, not yet cancelled."""
    return f"redeemed:{order_id}"


def issued(index_id: int) -> str:
    """The other side of all units that were ever created."""
    return f"issued:{index_id}"


def unit(index_id: int) -> str:
    """The asset name of an index's units."""
    return f"unit:{index_id}"


def is_inside(account: str) -> bool:
    """Whether what the account holds lies at the venue (units apart)."""
    return account.startswith(_INSIDE)


def position_of(account: str) -> int | None:
    """Return the number of the position whose units the account holds; None for other accounts."""
    kind, _, number = account.partition(":")
    return int(number) if kind == "position" else None


def is_unit(asset: str) -> bool:
    """Whether the asset is the units of an index."""
    return asset.startswith("unit:")
