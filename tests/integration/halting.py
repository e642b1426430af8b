"""The submit of `submitting`, on deep books: `python -m tests.integration.halting FOLDER SIDE QUANTITY KEY`."""

import sys
from pathlib import Path

from tests.integration import submitting
from tests.integration.test_halting import deep_market

from etf_trader.money import money_context

if __name__ == "__main__":
    with money_context():
        sys.exit(submitting.main(Path(sys.argv[1]), *sys.argv[2:5], market=deep_market()))
