"""`etf index create`: an index from weights, or from a file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import WHAT, command
from etf_trader.cli.index_facts import facts_of
from etf_trader.cli.index_rules import left_out_sentences, tell_doubts
from etf_trader.cli.index_show import draw_basket, draw_routes, float_advice
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import count, money
from etf_trader.cli.options import CapsColumnsOption, CapsOption, caps_of, option, read_decimal, read_positive
from etf_trader.cli.output import Page
from etf_trader.cli.services import in_loop, services
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.index.definition import IndexDefinition
    from etf_trader.index.determination import Determination
    from etf_trader.rebalance.determining import Caps

SymbolArgument = Annotated[
    str | None, typer.Argument(help="What it is called: capitals and digits.", metavar="[SYMBOL]")
]
FileOption = Annotated[Path | None, option("--file", WHAT, "Read the index from this TOML file.", "FILE")]
WeightOption = Annotated[
    list[str] | None,
    option("--weight", WHAT, "A constituent and its weight; the weights sum to 1. Repeat it.", "ASSET=WEIGHT"),
]
NameOption = Annotated[str | None, option("--name", WHAT, "Its full name.", "TEXT")]
RouteOption = Annotated[
    list[str] | None,
    option(
        "--route",
        WHAT,
        "A currency whose books orders may use, the quote among them. Repeat it.  [default: USDT]",
        "CURRENCY",
    ),
]
StartValueOption = Annotated[
    Decimal | None,
    option("--start-value", WHAT, "What one unit is worth at the start.  [default: 1000]", "PRICE", read_positive),
]
FloatOption = Annotated[
    Decimal | None,
    option(
        "--float",
        WHAT,
        "Cash for lot steps and least orders, from your treasury.  [default: 0]",
        "AMOUNT",
        read_decimal,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf index`."""
    seen = (
        "etf index create --file top8.toml",
        "etf index create BIG3 --weight BTC=0.5 --weight ETH=0.3 --weight SOL=0.2 --float 600",
        "etf index create DUO --weight BTC=0.6 --weight ETH=0.4 --route USDT --route USDC",
    )
    command(app, "create", examples=seen)(create)


def create(
    symbol: SymbolArgument = None,
    file: FileOption = None,
    weight: WeightOption = None,
    name: NameOption = None,
    route: RouteOption = None,
    start_value: StartValueOption = None,
    float_: FloatOption = None,
    caps: CapsOption = None,
    caps_columns: CapsColumnsOption = None,
) -> None:
    """Create an index from weights or from a file; its basket is made at the prices of now."""
    definition = _definition(symbol, file, weight or [], name, route or [], start_value, float_)
    with services() as opened:
        definition, found = _determined(opened, definition, caps_of(caps, caps_columns))
        if definition.rules is not None:
            tell_doubts(opened, definition.rules, definition.quote, caps_of(caps, caps_columns))
        made = in_loop(opened.administration.create_index(definition, settings().solver.depth))
        (facts,) = facts_of(opened, [made])

    def draw(page: Page) -> None:
        page.line(
            f"Created index {made.id}, {made.symbol}: {count(len(definition.assets), 'constituent')}, one unit is "
            f"{money(facts.nav or made.start_value)} {made.quote}, float {money(definition.float_cash)}."
        )
        draw_routes(page, made)
        draw_basket(page, facts)
        if found is not None and definition.rules is not None:
            for sentence in left_out_sentences(definition.rules, found):
                page.line(sentence)
        for sentence in float_advice(facts):
            page.line(sentence)
        page.line(f"Next: etf submit buy --index {made.id} --qty 100 --dry-run")

    output().emit("etf.index/1", facts.document(), draw)


def _definition(
    symbol: str | None,
    file: Path | None,
    weights: list[str],
    name: str | None,
    routes: list[str],
    start_value: Decimal | None,
    float_cash: Decimal | None,
) -> IndexDefinition:
    from etf_trader.errors import UsageError
    from etf_trader.index.definition import definition_from_options, read_definition

    if file is not None:
        others: dict[str, object] = {"SYMBOL": symbol, "--weight": weights or None, "--name": name}
        others |= {"--route": routes or None, "--start-value": start_value, "--float": float_cash}
        beside = [option for option, value in others.items() if value is not None]
        if beside:
            raise UsageError(
                f"--file says everything: {', '.join(beside)} cannot stand beside it",
                hint="write it into the file",
            )
        return read_definition(file)
    if symbol is None:
        raise UsageError(
            "the index has no symbol",
            hint="etf index create BIG3 --weight BTC=0.5 --weight ETH=0.5, or --file index.toml",
        )
    return definition_from_options(
        symbol,
        weights,
        name=name,
        routes=routes,
        start_value=Decimal(1000) if start_value is None else start_value,
        float_cash=ZERO if float_cash is None else float_cash,
    )


def _determined(
    opened: Services, definition: IndexDefinition, caps: Caps | None
) -> tuple[IndexDefinition, Determination | None]:
    """Return the index with the weights of today, where its rulebook makes them, and who is in and who is not."""
    rules = definition.rules
    if rules is None or definition.weights:
        if caps is not None:
            from etf_trader.rebalance.determining import refuse_caps

            refuse_caps(caps)
        return definition, None
    from etf_trader.rebalance.determining import determine_now

    in_loop(opened.administration.markets(definition))  # a name that was mistyped is no coin that is left out
    now = opened.clock.now()
    found = in_loop(determine_now(opened.venue, rules, definition.quote, now, caps=caps))
    return definition.with_weights(found.weights), found
