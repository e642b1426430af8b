"""`etf`: the table of commands, and the one place where errors become sentences and exit codes.

A command's module is imported when the command is typed, not before: `etf
--help` knows the table alone.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperOption

from etf_trader import __version__
from etf_trader.cli.commands import HELP_OPTIONS, Group, shared_options, write_examples
from etf_trader.cli.invocation import Invocation, invoked
from etf_trader.errors import EtfError, UsageError
from etf_trader.money import money_context

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context, HelpFormatter, Parameter
    from typer._click.exceptions import ClickException
    from typer._click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """Where a command lives, what it does in one line, and under which heading it is listed."""

    module: str
    text: str
    section: str


NEAR = 0.65
"""How alike two options are before one is suggested for the other: `--rate` is not `--format`."""

COMMANDS = {
    "init": Entry("init", "Make the configuration, the databases and a sample index.", "Start"),
    "demo": Entry("demo", "Play the whole story on paper, in a minute.", "Start"),
    "doctor": Entry("doctor", "Check that everything etf needs is in order.", "Start"),
    "version": Entry("version", "Print the versions of etf and what it runs on.", "Start"),
    "index": Entry("index", "Create, list, show, value, fund and close indices.", "Index"),
    "rebalance": Entry("rebalance", "Bring an index back to its rulebook at the least cost.", "Index"),
    "schedule": Entry("schedule", "Let cron rebalance what is due, every hour.", "Index"),
    "backtest": Entry("backtest", "Show what a rulebook would have come to on past prices.", "Index"),
    "quote": Entry("quote", "Show what buying or selling units would cost, at any size.", "Trade"),
    "submit": Entry("submit", "Buy or sell units of an index.", "Trade"),
    "cancel": Entry("cancel", "Cancel what still works.", "Trade"),
    "order": Entry("order", "List orders, or show one.", "Trade"),
    "position": Entry("position", "List positions, or show one.", "Trade"),
    "queue": Entry("queue", "Show what waits for the venue, and the slots.", "Trade"),
    "plan": Entry("plan", "Show a plan, or prove it again.", "Trade"),
    "treasury": Entry("treasury", "Show, deposit or withdraw a holder's free cash.", "Money"),
    "reconcile": Entry("reconcile", "Book what the venue did and the ledger does not know yet.", "Money"),
    "report": Entry("report", "Report fills, holdings, rebalances, loss, costs, gains.", "Report"),
    "risk": Entry("risk", "Show or set the limits on what may be sent.", "Safety"),
    "halt": Entry("halt", "Stop all sending at once.", "Safety"),
    "resume": Entry("resume", "Trade again after a halt.", "Safety"),
    "ledger": Entry("ledger", "Prove the books, or export them.", "Safety"),
    "exchange": Entry("exchange", "Show, fund, move on or reset the paper exchange.", "Venue"),
    "market": Entry("market", "Show, watch or record order books.", "Venue"),
    "worker": Entry("worker", "Work the open orders.", "Venue"),
    "config": Entry("config", "Show or change the configuration.", "Venue"),
    "db": Entry("db", "Look at, upgrade, back up or restore the databases.", "Venue"),
}
"""Every command of this version, in the order of the help."""

EXAMPLES = (
    "etf demo                                        the whole story on paper, in a minute",
    "etf submit buy --index 1 --qty 100 --dry-run    what 100 units would cost now",
)


class Root(Group):
    """The commands of `etf`, each imported when it is typed."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> AnyCommand | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        made = typer.main.get_command(import_module(f"etf_trader.cli.{entry.module}").app)
        if isinstance(made, Group):
            made.help = entry.text
        return made

    def format_help_text(self, ctx: Context, formatter: HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(formatter, EXAMPLES)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            rows = [(name, entry.text) for name, entry in COMMANDS.items() if entry.section == section]
            with formatter.section(section):
                formatter.write_dl([(f"{name:<10}", text) for name, text in rows])

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            sys.stdout.write(ctx.get_help() + "\n")
            ctx.exit()
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        from typer._click.shell_completion import CompletionItem

        matches = [name for name in COMMANDS if name.startswith(incomplete)]
        return [CompletionItem(name, help=COMMANDS[name].text) for name in matches]


def root() -> AnyCommand:
    """Return the command `etf`."""
    app = typer.Typer(
        cls=Root,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_OPTIONS,
        help="Run crypto index funds on Binance from the command line.",
    )
    app.callback()(_root)
    made = typer.main.get_command(app)
    version = TyperOption(
        param_decls=["--version"],
        callback=_print_version,
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Print the version and leave.",
    )
    made.params = [*shared_options(csv=True, files=True, out=False), version, *made.params]
    return made


def _root() -> None:
    pass


def _print_version(ctx: Context, _param: Parameter, given: bool | None) -> None:
    if given and not ctx.resilient_parsing:
        sys.stdout.write(f"etf-trader {__version__}\n")
        ctx.exit()


GARBAGE_AFTER = 50_000
"""Imports make many objects and no garbage: collecting as often as Python does costs a tenth of a start."""


class Terminated(SystemExit):
    """The process was asked to end."""


def main() -> NoReturn:
    """Run `etf` and leave with its exit code."""
    gc.set_threshold(GARBAGE_AFTER)
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    code = run(sys.argv[1:])
    _flush()
    # Everything is committed and printed: taking hundreds of modules apart would only take time.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error is told on stderr."""
    this = Invocation(arguments=tuple(arguments))
    try:
        with invoked(this), money_context():
            code = _invoke(list(arguments), this)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as stop:
        return _tell(str(stop) or "interrupted", 130, "interrupted", arguments, this)
    except Terminated:
        return _tell("terminated", 143, "terminated", arguments, this)
    except Exception as error:  # noqa: BLE001 - the outermost place: whatever it is, it becomes a sentence
        return _fail(error, arguments, this)


def _invoke(arguments: list[str], this: Invocation) -> int:
    command = root()
    if "_ETF_COMPLETE" in os.environ:
        command.main(args=arguments, prog_name="etf", obj=this)
    try:
        with command.make_context("etf", arguments, obj=this) as context:
            command.invoke(context)
    except typer.Exit as leave:
        return leave.exit_code
    return 0


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(143)


def _flush() -> None:
    """Flush what was printed; a reader that has gone away is no error."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with suppress(OSError):
        sys.stderr.flush()


def _fail(error: Exception, arguments: Sequence[str], this: Invocation) -> int:
    known = _translate(error)
    if known is not None:
        if this.verbose and error.__cause__ is not None:
            _print_traceback(error)
        return _tell(known.message, known.exit_code, known.code, arguments, this, known.where, known.hint)
    if _wants(arguments, "-v", "--verbose"):
        _print_traceback(error)
    cause = str(error).strip().splitlines()
    message = f"a bug: {type(error).__name__}{': ' + cause[0] if cause else ''}"
    return _tell(message, 1, "bug", arguments, this, None, "etf -v shows the traceback; please report it")


def _translate(error: Exception) -> EtfError | None:
    """Return what an error means to the person who typed the command; None for a bug."""
    from typer._click.exceptions import ClickException

    if isinstance(error, EtfError):
        return error
    if isinstance(error, ClickException):
        return _usage(error)
    if isinstance(error, typer.Abort):
        return EtfError("nothing was done: the question was not answered")
    if isinstance(error, OSError) and error.strerror is not None:
        where = str(error.filename) if error.filename is not None else None
        return EtfError(_lower(error.strerror), where=where, hint="repair it and repeat the command")
    return None


def _usage(error: ClickException) -> UsageError:
    from typer._click.exceptions import BadOptionUsage, BadParameter, MissingParameter, NoSuchOption
    from typer._click.exceptions import UsageError as ClickUsageError

    context = error.ctx if isinstance(error, ClickUsageError) else None
    path = context.command_path if context is not None else "etf"
    hint = f"{path} --help"
    if isinstance(error, NoSuchOption):
        return _no_option(path, error.option_name, context.command.get_params(context) if context else [])
    if isinstance(error, MissingParameter) and error.param is not None:
        return UsageError(f"{path} needs {_parameter(error.param)}", hint=hint)
    if isinstance(error, BadParameter):
        error.message = re.sub(r"is not a valid (int|integer)\b", "is not a whole number", error.message)
        name = f"{_parameter(error.param)}: " if error.param is not None else ""
        return UsageError(name + _lower(error.message), hint=hint)
    if isinstance(error, BadOptionUsage) and "requires" in error.message:
        return UsageError(f"{error.option_name} needs a value", hint=hint)
    if context is not None and isinstance(context.command, Group) and not context.args:
        return UsageError(f"{path} needs a command", hint=hint)
    if found := re.fullmatch(r"Got unexpected extra argument\(s\) \((.+)\)", error.format_message()):
        return UsageError(f"{path} does not take '{found[1]}'", hint=hint)
    return UsageError(_lower(error.format_message()), hint=hint)


def _no_option(path: str, typed: str, params: Sequence[Parameter]) -> UsageError:
    # Without the dashes, which all have in common: they would make any two names alike.
    name = typed.lstrip("-")
    if name in {param.name for param in params if param.param_type_name == "argument"}:
        return UsageError(f"{path} takes its {name} without {typed}", hint=f"{path} {name.upper()}")
    options = [param for param in params if param.param_type_name == "option"]
    known = [each.lstrip("-") for param in options for each in param.opts if len(each) > 2]
    near = get_close_matches(name, known, n=1, cutoff=NEAR)
    meant = f"; did you mean --{near[0]}?" if near else ""
    return UsageError(f"{path} has no option {typed}{meant}", hint=f"{path} --help")


def _parameter(param: Parameter) -> str:
    return param.opts[0] if param.param_type_name == "option" else param.human_readable_name.upper()


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _print_traceback(error: Exception) -> None:
    import traceback

    traceback.print_exception(error)


def _tell(
    message: str,
    code: int,
    name: str,
    arguments: Sequence[str],
    this: Invocation,
    where: str | None = None,
    hint: str | None = None,
) -> int:
    """Print an error and return its exit code."""
    from etf_trader.cli.output import error_json, error_text

    wants_json = this.format == "json" or _wants(arguments, "--json", "--format=json")
    wants_json = wants_json or "--format json" in " ".join(arguments)
    tell: Any = error_json if wants_json else error_text
    try:
        sys.stdout.flush()
    except OSError:
        _flush()
    try:
        sys.stderr.write(tell(message, exit_code=code, code=name, where=where, hint=hint))
        sys.stderr.flush()
    except OSError:
        pass
    return code


def _wants(arguments: Sequence[str], *names: str) -> bool:
    """Whether one of `names` was typed, also when the command line could not be understood."""
    typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(name in typed for name in names)
