"""How commands are declared, and how their help reads.

    app = group()

    @command(app, "list", examples=("etf order list", "etf order list --json"), csv="orders")
    def list_orders(index: IndexOption = None) -> None:
        \"\"\"List orders, the newest first.\"\"\"

Every command gets `--json`, `--format`, `--config`, `-q` and `-v` by itself, and one
that has a list `--out` and `--overwrite`, with html and xlsx among its formats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from etf_trader.cli.invocation import invocation
from etf_trader.cli.later import LATER
from etf_trader.errors import UsageError

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context, HelpFormatter, Parameter

Function = TypeVar("Function", bound=Callable[..., None])

LONGEST = 200
"""Letters of what a group says about a command: its whole first sentence."""

_NEGATIVE = re.compile(r"-[.\d]")

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

WHAT = "What"
LIMITS = "Limits"
HOW = "How"
OUTPUT = "Output"
SECTIONS = (WHAT, LIMITS, HOW, OUTPUT)
"""The sections of a command's help, in their order; an option names its own with `rich_help_panel`."""


def group() -> typer.Typer:
    """Return an empty group of commands; its help line stands in the table of `cli.app`."""
    app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, context_settings=HELP_OPTIONS)
    app.callback()(_nothing)
    return app


def single() -> typer.Typer:
    """Return the place of one command that is no group."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    examples: Sequence[str],
    csv: str | None = None,
    files: bool | None = None,
    is_of_account: bool = True,
) -> Callable[[Function], Function]:
    """Declare a command.

    Args:
        app: What `group` or `single` returned.
        name: What is typed; the function's name when not given.
        examples: The commonest uses, as they are pasted; "command   remark" may explain one.
        csv: The list of the JSON document that `--format csv` prints; None refuses csv.
        files: Whether it prints html and xlsx, and into a file; when not given, if it has a list.
        is_of_account: Whether it tells of the configured account; a file of one that does not names none.
    """
    files = csv is not None if files is None else files
    kind = type("Command", (Command,), {"csv": csv, "files": files, "is_of_account": is_of_account})
    return app.command(name, cls=kind, epilog="\n".join(examples), context_settings=HELP_OPTIONS)


class Command(TyperCommand):
    """A command that takes the shared options and prints its help in sections."""

    csv: ClassVar[str | None] = None
    files: ClassVar[bool] = False
    is_of_account: ClassVar[bool] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = {name for param in self.params for name in param.opts}
        shared = shared_options(csv=self.csv is not None, files=self.files)
        if self._is_of_an_index:
            self.params.append(_index_option())
        self.params = [*self.params, *(each for each in shared if not own & set(each.opts))]

    @property
    def _is_of_an_index(self) -> bool:
        """Whether its first argument is an index: then `--index` may be typed in its place, as elsewhere."""
        return next((param.name for param in self.params if param.param_type_name == "argument"), "") == "index"

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if self._is_of_an_index:
            args = _index_first(args)
        # A number below zero is a value: its check answers, not the search for an option of that name.
        own = {name for param in self.get_params(ctx) for name in param.opts}
        if any(_NEGATIVE.match(each) and each not in own for each in args):
            ctx.ignore_unknown_options = True
        with _naming(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Context) -> Any:
        this = invocation()
        this.command, this.csv, this.files = ctx.command_path, self.csv, self.files
        this.is_of_account = self.is_of_account
        if this.format is not None or this.out is not None:
            this.output()  # a format or a file that cannot be is refused before anything is done
        return super().invoke(ctx)

    def format_help_text(self, ctx: Context, formatter: HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(formatter, (self.epilog or "").splitlines())

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Print nothing: the epilog holds the examples, which stand on top."""

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        write_options(self.get_params(ctx), ctx, formatter)


class Group(TyperGroup):
    """A group that lists its commands in the order of their declaration and suggests the nearest name."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            names = ", ".join(self.list_commands(ctx))
            raise UsageError(f"{ctx.command_path} needs a command: {names}", hint=f"{ctx.command_path} --help")
        with _naming(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, AnyCommand | None, list[str]]:
        name = args[0]
        if ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        typed = f"{ctx.command_path} {name}"
        later = LATER.get(typed.partition(" ")[2])
        if later is not None:
            raise UsageError(f"{typed} comes with a later version", hint=later)
        near = get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no command {typed}{meant}", hint=f"{ctx.command_path} --help lists them")

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Print each command with its whole sentence, over two lines where it has to."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(limit=LONGEST)) for name, each in found if each and not each.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        write_options(self.get_params(ctx), ctx, formatter)


@contextmanager
def _naming(ctx: Context) -> Iterator[None]:
    """Say of which command an option without its value was: the parser does not."""
    from typer._click.exceptions import BadOptionUsage

    try:
        yield
    except BadOptionUsage as error:
        error.ctx = error.ctx or ctx
        raise


def write_examples(formatter: HelpFormatter, examples: Sequence[str]) -> None:
    """Print examples, never wrapped: they are there to be pasted."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def write_options(params: Sequence[Parameter], ctx: Context, formatter: HelpFormatter) -> None:
    """Print arguments and options under the section each belongs to."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in params:
        record = param.get_help_record(ctx)
        if record is not None:
            panel = getattr(param, "rich_help_panel", None)
            default = WHAT if param.param_type_name == "argument" else OUTPUT
            sections.setdefault(panel if isinstance(panel, str) else default, []).append(record)
    order = [*SECTIONS, *(name for name in sections if name not in SECTIONS)]
    for name in order:
        if name in sections:
            with formatter.section(name):
                formatter.write_dl(sections[name])


def shared_options(*, csv: bool, files: bool, out: bool | None = None) -> list[TyperOption]:
    """Return the options that every command takes; what they say goes to the `Invocation`.

    Args:
        csv: Whether it prints csv.
        files: Whether it prints html and xlsx.
        out: Whether it writes into a file; when not given, if it prints html and xlsx.
    """
    choices = ["table", "json", *(["csv"] if csv else []), *(["html", "xlsx"] if files else [])]

    def choose(ctx: Context, _param: Parameter, value: str | None) -> None:
        if value is None or ctx.resilient_parsing:
            return
        if value not in choices:
            *most, last = choices
            told = f"{', '.join(most)} or {last}"
            raise UsageError(f"{ctx.command_path} cannot print {value!r}: --format takes {told}")
        invocation().format = value

    return [
        _shared(["--json"], _set("format", "json"), "The same as --format json.", is_flag=True),
        _shared(["--format"], choose, "How to print the result.  [default: table]", metavar="|".join(choices)),
        *(_file_options() if (files if out is None else out) else []),
        _shared(["-q", "--quiet"], _set("quiet", True), "No notes and no progress.", is_flag=True),
        _shared(["-v", "--verbose"], _set("verbose", True), "Say more.", is_flag=True),
        _shared(["--config"], _config, "Use this configuration file.", metavar="FILE"),
    ]


def _file_options() -> list[TyperOption]:
    told = "Write the result to a file; its ending (.html, .xlsx, .csv, .json, .txt) says how."
    return [
        _shared(["--out"], _out, told, metavar="FILE"),
        _shared(["--overwrite"], _set("overwrite", True), "Replace whatever file is there.", is_flag=True),
    ]


def _out(ctx: Context, _param: Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        invocation().out = value


def _shared(names: list[str], callback: Callable[..., None], text: str, **changes: Any) -> TyperOption:
    return TyperOption(param_decls=names, callback=callback, help=text, expose_value=False, **changes)


def _index_option() -> TyperOption:
    """Return `--index` for the help; what it says is an argument before it is parsed."""
    return TyperOption(
        param_decls=["--index"],
        help="The same, as an option.",
        metavar="INDEX",
        expose_value=False,
        rich_help_panel=WHAT,
    )


def _index_first(args: list[str]) -> list[str]:
    """Return what was typed with the value of `--index` as the first argument.

    Raises:
        UsageError: `--index` was typed twice.
    """
    end = args.index("--") if "--" in args else len(args)
    places = [place for place, each in enumerate(args[:end]) if each == "--index" or each.startswith("--index=")]
    if len(places) > 1:
        raise UsageError("--index was typed twice", hint="name one index")
    if not places or (args[places[0]] == "--index" and places[0] + 1 == end):
        return args
    (place,) = places
    _, equals, value = args[place].partition("=")
    rest = args[place + 1 :] if equals else args[place + 2 :]
    return [value if equals else args[place + 1], *args[:place], *rest]


def _set(name: str, value: object) -> Callable[[Context, Parameter, bool | None], None]:
    def callback(ctx: Context, _param: Parameter, given: bool | None) -> None:
        if given and not ctx.resilient_parsing:
            setattr(invocation(), name, value)

    return callback


def _config(ctx: Context, _param: Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        invocation().config = Path(value)


def _nothing() -> None:
    pass
