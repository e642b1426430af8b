"""The configuration, read once: options over environment over project file over user file over defaults.

Every value remembers where it came from. A key that does not exist is an error
that names the nearest one: a limit that was mistyped must not be a limit that
is silently absent.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from etf_trader.errors import ConfigError, NotFound, UsageError

APP = "etf-trader"
PROJECT_FILE = "etf.toml"
FOREIGN_VARIABLES = ("ETF_CONFIG", "ETF_TEST_", "ETF_LOCAL_")
"""Variables that begin like ours and are no settings."""


class DatabaseUrl(str):
    """Where a database is; its password shows nowhere but in the connection."""

    __slots__ = ()

    def masked(self) -> str:
        """Return the URL without its password."""
        return _without_password(self)

    def __repr__(self) -> str:
        return repr(self.masked())


def _without_password(text: str) -> str:
    return re.sub(r"(password=)[^&\s]*", r"\1***", re.sub(r"(://[^:/@]*):[^\s]*@", r"\1:***@", text))


class ExchangeSettings(Struct, frozen=True, kw_only=True):
    """The paper exchange."""

    database: Annotated[DatabaseUrl, Meta(description="its own database: a file or a URL")]
    market: Annotated[Literal["model", "recording"], Meta(description="where its order books come from")] = "model"
    seed: Annotated[int, Meta(ge=0, description="of the model market")] = 1
    recordings: Annotated[Path | None, Meta(description="folder of recorded books")] = None
    exchange_info: Annotated[Path | None, Meta(description="file with the symbols' rules")] = None
    clock: Annotated[Literal["wall", "stepped"], Meta(description="real time, or time that moves by steps")]
    account: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9._-]{1,64}$",
            title="1 to 64 letters, digits, dots, dashes or underscores",
            description="which account of the exchange is traded on",
        ),
    ] = "paper"
    deposit: Annotated[Decimal, Meta(description="first deposit, in USDT")] = Decimal(1_000_000)
    fees: Annotated[
        str | None,
        Meta(
            pattern=r"^[A-Z0-9]+=[0-9.]+( [A-Z0-9]+=[0-9.]+)*$",
            title='fees in bps by quote asset, like "FDUSD=0 USDC=9.5"',
            description="of the model market in bps by quote asset, where they are not 10",
        ),
    ] = None


class BinanceSettings(Struct, frozen=True, kw_only=True):
    """Binance, where orders go there."""

    url: Annotated[
        str | None,
        Meta(
            pattern=r"^https?://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?/?$",
            title="a server on this machine, like http://127.0.0.1:8899",
            description="where the environment local is",
        ),
    ] = None
    admin: Annotated[
        str | None,
        Meta(
            pattern=r"^https?://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?/?$",
            title="a server on this machine, like http://127.0.0.1:8900",
            description="where the stepped clock of the environment local is moved",
        ),
    ] = None
    admin_token: Annotated[
        Path | None, Meta(description="file with the token of binance.admin, written by etf exchange serve")
    ] = None
    allow_withdraw_key: Annotated[bool, Meta(description="trade live with a key that may also withdraw")] = False


class SolverSettings(Struct, frozen=True, kw_only=True):
    """How plans are found."""

    method: Annotated[Literal["auto", "linprog"], Meta(description="auto: a closed form where there is one")] = (
        "auto"
    )
    depth: Annotated[
        int, Meta(ge=1, le=5000, description="the most levels of a book that are read; the first look shows 100")
    ] = 1000


class IndexSettings(Struct, frozen=True, kw_only=True):
    """The sample index that `etf init` makes."""

    initial_float: Annotated[Decimal, Meta(description="float of the sample index, in USDT")] = msgspec.field(
        name="float", default=Decimal(600)
    )


class TradeSettings(Struct, frozen=True, kw_only=True):
    """How orders are sent."""

    slack_ticks: Annotated[int, Meta(ge=0, le=100, description="ticks beyond the plan's last level")] = 1
    reserve_bps: Annotated[
        Decimal, Meta(description="headroom in the cash reserved for an order without limit")
    ] = Decimal(200)
    max_cross_spread: Annotated[
        Decimal, Meta(description="widest spread, in bps, at which your own orders trade with each other")
    ] = Decimal(50)
    reconcile_every: Annotated[
        int, Meta(ge=1, le=86_400, description="seconds between comparisons of the books with the venue")
    ] = 300


class ScheduleSettings(Struct, frozen=True, kw_only=True):
    """What is taken for granted about the market when an order is spread over time."""

    period: Annotated[int, Meta(ge=1, le=86_400, description="seconds between the batches of a schedule")] = 60
    recovery: Annotated[
        Decimal, Meta(description="seconds after which 37% of what was taken is still missing")
    ] = Decimal(20)
    waiting: Annotated[Decimal, Meta(description="what an hour of waiting is worth to you, in bps")] = Decimal(1)
    volatility: Annotated[Decimal, Meta(description="how far prices move in a day, in percent")] = Decimal("3.6")
    turnover: Annotated[
        Decimal, Meta(description="volume of a day, as a multiple of a side's depth in 100 bps")
    ] = Decimal(15)
    participation: Annotated[Decimal, Meta(description="share of the volume that pov takes, in percent")] = (
        Decimal(10)
    )


class Settings(Struct, frozen=True, kw_only=True):
    """The whole configuration; `sources` says for each key where its value came from."""

    database: Annotated[DatabaseUrl, Meta(description="the ledger's database: a file or a URL")]
    environment: Annotated[
        Literal["paper", "demo", "testnet", "live", "local"], Meta(description="where orders go")
    ] = "paper"
    live: Annotated[bool, Meta(description="trade with real money")] = False
    holder: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9._-]{1,64}$",
            title="1 to 64 letters, digits, dots, dashes or underscores",
            description="whose units and cash",
        ),
    ] = "self"
    host: Annotated[str | None, Meta(description="the name of this machine in leases; the system's own")] = None
    exchange: ExchangeSettings
    binance: BinanceSettings
    solver: SolverSettings
    index: IndexSettings
    trade: TradeSettings
    schedule: ScheduleSettings
    sources: dict[str, str]
    project_file: Path | None
    user_file: Path

    @classmethod
    def load(
        cls,
        *,
        cwd: Path,
        config_path: Path | None = None,
        environ: Mapping[str, str],
        overrides: Mapping[str, str] | None = None,
        user_file: Path | None = None,
    ) -> Settings:
        """Return the configuration in force in `cwd`.

        Args:
            cwd: Where the search for etf.toml begins, upwards.
            config_path: The project file, when it was named.
            environ: The environment; `ETF_EXCHANGE_SEED` sets `exchange.seed`.
            overrides: Values by key, from options.
            user_file: The user's file; by default in the platform's folder.

        Raises:
            ConfigError: a file cannot be read, or a key or value is wrong; says where.
        """
        project = find_project_file(cwd, config_path, environ)
        user = user_file or default_user_file()
        values = _defaults(project)
        for path in (user, project):
            if path is not None and (path is project or path.is_file()):
                values |= _from_file(path)
        values |= _from_environment(environ, cwd)
        for name, text in (overrides or {}).items():
            values[name] = _value(_key(name, "an option"), text, "an option", cwd, from_text=True)
        return _settings(values, project, user)

    def get(self, key: str) -> Any:
        """Return the value of a dotted key.

        Raises:
            NotFound: there is no such key; names the nearest.
        """
        attribute = find_key(key).attribute
        section = key.rpartition(".")[0]
        return getattr(getattr(self, section) if section else self, attribute)


class Key(NamedTuple):
    """A setting: its dotted name, the type of its value, and what it means."""

    name: str
    attribute: str
    type: Any
    meaning: str
    default: Any


class Value(NamedTuple):
    """A value and where it came from."""

    value: Any
    source: str


def _keys() -> dict[str, Key]:
    keys: dict[str, Key] = {}
    top = get_type_hints(Settings, include_extras=True)
    structs: dict[str, type[Struct]] = {"": Settings}
    structs |= {name: kind for name, kind in top.items() if isinstance(kind, type) and issubclass(kind, Struct)}
    for section, struct in structs.items():
        hints = get_type_hints(struct, include_extras=True)
        for part in msgspec.structs.fields(struct):
            if get_origin(hints[part.name]) is Annotated:
                name = f"{section}.{part.encode_name}".lstrip(".")
                kind = hints[part.name]
                default = None if part.default is msgspec.NODEFAULT else part.default
                keys[name] = Key(name, part.name, kind, get_args(kind)[1].description, default)
    return keys


KEYS = _keys()
"""Every setting, by its dotted name."""


def find_key(name: str) -> Key:
    """Return the setting of that name.

    Raises:
        NotFound: there is none; names the nearest.
    """
    if name not in KEYS:
        raise NotFound(f"there is no setting {name!r}{_did_you_mean(name)}", hint="etf config show lists them")
    return KEYS[name]


def find_project_file(cwd: Path, config_path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the project file that was named, or the nearest etf.toml from `cwd` upwards."""
    named = config_path or (Path(environ["ETF_CONFIG"]) if environ.get("ETF_CONFIG") else None)
    if named is not None:
        path = (cwd / named.expanduser()).resolve()
        if not path.is_file():
            how = "--config" if config_path is not None else "ETF_CONFIG"
            raise ConfigError(f"{how} names a file that is not there", where=str(path), hint="etf init makes one")
        return path
    for folder in (cwd, *cwd.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
    return None


def default_user_file() -> Path:
    """Return where the user's own configuration is looked for."""
    import platformdirs

    return Path(platformdirs.user_config_dir(APP)) / "config.toml"


def data_folder(project: Path | None) -> Path:
    """Return where databases lie by default: beside the project file, else in the platform's folder."""
    if project is not None:
        return project.parent
    import platformdirs

    return Path(platformdirs.user_data_dir(APP))


def masked(value: Any) -> Any:
    """Return `value` as it may be shown."""
    return value.masked() if isinstance(value, DatabaseUrl) else value


def _defaults(project: Path | None) -> dict[str, Value]:
    folder = data_folder(project)
    values = {key.name: Value(key.default, "default") for key in KEYS.values()}
    values["database"] = Value(_database("etf.db", folder), "default")
    values["exchange.database"] = Value(_database("exchange.db", folder), "default")
    return values


def _from_file(path: Path) -> dict[str, Value]:
    text = read_text(path)
    try:
        tree = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        raise ConfigError(f"not valid TOML: {reason[0].lower()}{reason[1:]}", where=str(path)) from error
    values = {}
    for name, given in _flat(tree).items():
        line = _line_of(text, name)
        source = f"{path}, line {line}" if line else str(path)
        values[name] = _value(_key(name, source), given, source, path.parent, from_text=False)
    return values


def read_text(path: Path) -> str:
    """Return the text of a configuration file."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"the configuration cannot be read: {reason}", where=str(path)) from error


def _from_environment(environ: Mapping[str, str], cwd: Path) -> dict[str, Value]:
    variables = {variable_of(name): key for name, key in KEYS.items()}
    values = {}
    for variable, text in environ.items():
        if not variable.startswith("ETF_") or variable.startswith(FOREIGN_VARIABLES) or not text:
            continue
        source = f"environment, {variable}"
        if variable not in variables:
            near = get_close_matches(variable, variables, n=1, cutoff=0.6)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{variable} is no setting{meant}", where="environment")
        key = variables[variable]
        values[key.name] = _value(key, text, source, cwd, from_text=True)
    return values


def variable_of(key: str) -> str:
    """Return the environment variable that sets `key`."""
    return "ETF_" + key.upper().replace(".", "_")


def _key(name: str, source: str) -> Key:
    if name not in KEYS:
        raise ConfigError(
            f"there is no setting {name!r}{_did_you_mean(name)}", where=source, hint="etf config show lists them"
        )
    return KEYS[name]


def _did_you_mean(name: str) -> str:
    near = get_close_matches(name, KEYS, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _value(key: Key, given: Any, source: str, folder: Path, *, from_text: bool) -> Value:
    """Return the checked value of a key as it was `given`; relative paths are relative to `folder`."""
    kind, constraint = get_args(key.type)[:2]
    try:
        if kind is DatabaseUrl:
            value: Any = _database(msgspec.convert(given, str), folder)
        elif Path in get_args(kind):
            value = (folder / Path(msgspec.convert(given, str)).expanduser()).resolve()
        elif kind is Decimal:
            value = msgspec.convert(given, Decimal)
            if not value.is_finite() or not 0 <= value <= Decimal("1e15"):
                raise msgspec.ValidationError
        else:
            given_kind = str if str in get_args(kind) else kind  # a pattern holds for a text, not for text or None
            value = msgspec.convert(given, Annotated[given_kind, constraint], strict=not from_text)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{key.name} must be {_expected(kind, constraint)}, not {_shown(given)}", where=source
        ) from error
    return Value(value, source)


def _expected(kind: Any, constraint: Meta) -> str:
    if get_origin(kind) is Literal:
        *first, last = (f'"{choice}"' for choice in get_args(kind))
        return f"{', '.join(first)} or {last}" if first else last
    if kind is int and constraint.le is not None:
        return f"a whole number from {constraint.ge} to {constraint.le}"
    if constraint.title is not None:
        return constraint.title
    if Path in get_args(kind):
        return "a path"
    names = {int: "a whole number, 0 or more", Decimal: "a number, 0 or more", bool: "true or false"}
    names |= {DatabaseUrl: "a file or a database URL", str: "a text"}
    return names[kind]


def _shown(given: Any) -> str:
    if isinstance(given, str):
        return f'"{_without_password(given)}"'
    if isinstance(given, bool):
        return str(given).lower()
    return "a section" if isinstance(given, Mapping) else str(given)


def _database(text: str, folder: Path) -> DatabaseUrl:
    """Return the URL of a database given as a URL or as the path of an SQLite file."""
    if not text.strip():
        raise msgspec.ValidationError
    scheme, separator, rest = text.partition("://")
    if not separator:
        return DatabaseUrl(f"sqlite:///{(folder / Path(text).expanduser()).resolve()}")
    backend = scheme.partition("+")[0]
    if backend == "sqlite" and rest.startswith("/") and len(rest) > 1 and rest != "/:memory:":
        return DatabaseUrl(f"{scheme}:///{(folder / rest[1:]).resolve()}")
    if backend in ("postgresql", "postgres"):
        return DatabaseUrl(f"postgresql+psycopg://{rest}" if scheme == backend else text)
    raise msgspec.ValidationError


def _settings(values: Mapping[str, Value], project: Path | None, user: Path) -> Settings:
    plain = {name: value.value for name, value in values.items()}
    sources = {name: value.source for name, value in values.items()}
    if plain["exchange.market"] == "recording" and plain["exchange.recordings"] is None:
        raise ConfigError(
            'exchange.market is "recording" and exchange.recordings is not set',
            where=sources["exchange.market"],
            hint="name the folder: etf config set exchange.recordings PATH",
        )
    if plain["binance.admin"] is not None and plain["binance.admin_token"] is None:
        raise ConfigError(
            "binance.admin is set and binance.admin_token is not",
            where=sources["binance.admin"],
            hint="name the file that etf exchange serve --admin-port writes",
        )
    if plain["exchange.clock"] is None:
        plain["exchange.clock"] = "stepped" if plain["exchange.market"] == "recording" else "wall"
    if plain["database"] == plain["exchange.database"]:
        raise ConfigError(
            "database and exchange.database are the same", where=sources["database"], hint="give each its own file"
        )

    def part(section: str) -> dict[str, Any]:
        keys = (key for key in KEYS.values() if key.name.rpartition(".")[0] == section)
        return {key.attribute: plain[key.name] for key in keys}

    return Settings(
        **part(""),
        exchange=ExchangeSettings(**part("exchange")),
        binance=BinanceSettings(**part("binance")),
        solver=SolverSettings(**part("solver")),
        index=IndexSettings(**part("index")),
        trade=TradeSettings(**part("trade")),
        schedule=ScheduleSettings(**part("schedule")),
        sources=sources,
        project_file=project,
        user_file=user,
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        key = prefix + name
        if isinstance(value, Mapping) and key not in KEYS:
            flat |= _flat(value, f"{key}.")
        else:
            flat[key] = value
    return flat


def _line_of(text: str, name: str) -> int | None:
    """Return the line on which a key stands, as far as a plain reading finds it."""
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        entry = re.match(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=", line)
        if header:
            section = header[1] + "."
        elif entry and section + re.sub(r"[\"' ]", "", entry[1]) == name:
            return number
    return None


def edit(path: Path, changes: Mapping[str, str], check: Callable[[Path], object] | None = None) -> None:
    """Write settings into a TOML file, its comments and other lines untouched; make the file if need be.

    Args:
        path: The file.
        changes: Values as they are typed, by dotted key.
        check: Called with a file that has the new content, in the same folder,
            before it takes the place of the old one; what it raises leaves the old one.

    Raises:
        UsageError: a value cannot be what was typed.
        NotFound: there is no such setting.
    """
    import tomlkit

    document = tomlkit.parse(read_text(path)) if path.is_file() else tomlkit.document()
    for name, text in changes.items():
        try:
            value = _value(find_key(name), text, "", path.parent, from_text=True).value
        except ConfigError as error:
            raise UsageError(error.message, hint=error.hint) from error
        section, _, last = name.rpartition(".")
        if section and section not in document:
            document.add(tomlkit.nl())
            document.add(section, tomlkit.table())
        table: Any = document[section] if section else document
        table[last] = value if isinstance(value, bool | int) else text
    write_private(path, tomlkit.dumps(document), check)


def write_private(path: Path, text: str, check: Callable[[Path], object] | None = None) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
