"""A small table of market caps around the day on which stepped clocks begin, 2026-01-05."""

CAPS = """date,symbol,name,market_cap,volume
2026-01-01,BTC,Bitcoin,"1,800",90
2026-01-01,ETH,Ethereum,400,90
2026-01-01,USDT,Tether,140,90
2026-01-01,XRP,XRP,120,5
2026-01-01,LINK,Chainlink,80,90
2026-01-01,NOPE,Nope,70,90
2026-01-06,DENT,Dent,9000,90
"""
