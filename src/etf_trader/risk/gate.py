"""The gate that every batch passes: nothing is sent that breaks a limit. Pure."""

from etf_trader.risk.checks import CHECKS
from etf_trader.risk.limits import RiskLimits
from etf_trader.risk.proposal import Proposal, Violation


def review(proposal: Proposal, limits: RiskLimits) -> list[Violation]:
    """Return every limit that `proposal` breaks; an empty list lets it pass."""
    return [violation for check in CHECKS for violation in check(proposal, limits)]
