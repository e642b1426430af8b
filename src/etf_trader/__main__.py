"""`python -m etf_trader` is `etf`."""

from etf_trader.cli.app import main

if __name__ == "__main__":
    main()
