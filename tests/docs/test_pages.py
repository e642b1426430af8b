"""The pages say what the code does: commands, links, settings, codes, schemas, sums, transcripts."""

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from tests.docs.test_commands import GROUPS, TREE, check_typed
from tests.forks import ended, fork

from etf_trader import errors
from etf_trader.cli.later import LATER
from etf_trader.config import KEYS, variable_of
from etf_trader.errors import EtfError
from etf_trader.events import events
from etf_trader.exchange.tables import metadata as exchange_metadata
from etf_trader.execution.tables import leases
from etf_trader.index.definition import read_definition
from etf_trader.index.tables import indices
from etf_trader.ledger.tables import transactions
from etf_trader.money import plain
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.tables import index_orders
from etf_trader.risk.halts import TradingState
from etf_trader.risk.limits import LIMITS, RiskLimits
from etf_trader.risk.tables import risk_limits

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
OWN_TABLES = (events, leases, indices, transactions, index_orders, risk_limits)
"""A table of every module that has some: importing them fills the metadata."""

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


demo_writer = load_script("write_demo")
SECONDS = 60


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def table_after(page: str, first_heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading."""
    lines = page.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def words_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_sentences_exist(page: Path) -> None:
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for named in re.findall(r"`(etf [a-z][^`]*)`", prose):
        for each in spelled_out(named):
            words = each.split()
            path = " ".join(words[:2])
            if path in TREE or path in GROUPS:
                if path in GROUPS and len(words) == 2:
                    continue  # a whole group
                check_typed(each)
            else:
                assert path.removeprefix("etf ") in LATER, f"{page.name}: {each}"


def spelled_out(named: str) -> Iterator[str]:
    """Yield `etf db status` and `etf db backup` of `etf db status|backup`."""
    head, bar, tail = named.partition("|")
    if not bar or "-" in head:
        yield named
        return
    start, _, first = head.rpartition(" ")
    for last in (first, *tail.split("|")):
        yield f"{start} {last}"


def test_commands_in_other_pages_can_be_typed() -> None:
    for page in (ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"):
        for _, content in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in content.splitlines():
                if line.startswith("etf "):
                    check_typed(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors_of(target), f"{page.name}: {link}"


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_index_of_the_docs() -> None:
    index = text_of("README.md")
    for page in DOCS.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def test_every_setting_stands_in_the_docs_with_its_variable_and_default() -> None:
    rows = {words_in(row[0])[0]: row for row in table_after(text_of("configuration.md"), "key")}
    assert list(rows) == list(KEYS)
    for name, row in rows.items():
        assert words_in(row[1]) == [variable_of(name)]
        default = KEYS[name].default
        if default is not None:
            written = str(default).lower() if isinstance(default, bool) else default
            assert words_in(row[2]) == [plain(written) if isinstance(written, Decimal) else str(written)], name


def test_the_examples_of_configuration_files_are_accepted(tmp_path: Path) -> None:
    from etf_trader.config import Settings

    examples = [content for kind, content in BLOCK.findall(text_of("configuration.md")) if kind == "toml"]
    assert len(examples) == 2
    for content in examples:
        (tmp_path / "etf.toml").write_text(content, encoding="utf-8")
        settings = Settings.load(cwd=tmp_path, environ={}, user_file=tmp_path / "none.toml")
        assert any("etf.toml" in source for source in settings.sources.values())


def every_error() -> Iterator[type[EtfError]]:
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, EtfError):
            yield each


def test_exit_codes_in_the_docs_are_those_of_the_errors() -> None:
    pages = [table_after(text_of("errors.md"), "exit"), table_after((ROOT / "README.md").read_text(), "code")]
    for rows in pages:
        written = {int(number) for row in rows for number in row[0].split(",")}
        assert written == {0, 7, 130, 143} | {each.exit_code for each in every_error()}


def test_codes_of_errors_in_the_docs_are_those_of_the_errors() -> None:
    written = {
        (word, int(row[1])) for row in table_after(text_of("errors.md"), "`code`") for word in words_in(row[0])
    }
    beside = {("bug", 1), ("interrupted", 130), ("terminated", 143)}
    assert written == beside | {(each.code, each.exit_code) for each in every_error()}


def test_every_json_schema_stands_in_the_docs() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/etf_trader/cli").glob("*.py"))
    emitted = set(re.findall(r'(?:emit|json_document)\(\s*"(etf\.[a-z_]+/\d+)"', source)) - {"etf.thing/1"}
    rows = table_after(text_of("json.md"), "schema")
    assert {words_in(row[0])[0] for row in rows} == emitted


def test_every_stop_stands_in_the_docs() -> None:
    written = {words_in(row[0])[0].partition("(")[0] for row in table_after(text_of("errors.md"), "word")}
    modules = (
        "solver/stops.py",
        "solver/trial.py",
        "solver/shared.py",
        "solver/route_trial.py",
        "execution/manager.py",
        "execution/turns.py",
        "execution/risk_review.py",
        "risk/halts.py",
        "execution/rebalancing.py",
        "execution/together.py",
    )
    source = "".join(
        (ROOT / "src/etf_trader" / name).read_text(encoding="utf-8")
        for name in (*modules, "execution/settlement.py")
    )
    for word in written:
        assert re.search(rf'"{word}["(]', source), word
    names = re.search(r"^_NAMES = \((.*)\)$", source, flags=re.MULTILINE)
    assert names is not None
    assert set(re.findall(r'"(\w+)"', names[1])) <= written
    for words in re.findall(r"Ending\([^()]*\(([^()]*)\)\)", source):
        assert set(re.findall(r'"(\w+)"', words)) <= written


def test_every_risk_limit_stands_in_the_docs_with_its_unit_and_default() -> None:
    rows = {words_in(row[0])[0]: row for row in table_after(text_of("risk.md"), "limit")}
    assert list(rows) == list(LIMITS)
    for name, row in rows.items():
        default = getattr(RiskLimits(), name)
        assert row[2:4] == [LIMITS[name].unit, "off" if default is None else plain(default)], name
    told = {words_in(row[0])[0]: row[1:] for row in table_after(text_of("errors.md"), "limit")}
    for name, row in rows.items():
        assert told[name] == [f"{row[3]} {row[2]}" if row[3] != "off" else "off", LIMITS[name].meaning], name


def test_every_state_of_an_account_stands_in_the_docs() -> None:
    written = [words_in(row[0])[0] for row in table_after(text_of("risk.md"), "state")]
    assert written == [str(each) for each in TradingState]


def test_every_stop_of_a_plan_stands_in_the_page_of_the_solver() -> None:
    written = {words_in(row[0])[0].partition("(")[0] for row in table_after(text_of("solver.md"), "`stopped_by`")}
    source = (ROOT / "src/etf_trader/solver/stops.py").read_text(encoding="utf-8")
    names = re.search(r"^_NAMES = \((.*)\)$", source, flags=re.MULTILINE)
    assert names is not None
    assert written == {"filled", *re.findall(r'"(\w+)"', names[1])}
    told = {words_in(row[0])[0].partition("(")[0] for row in table_after(text_of("errors.md"), "word")}
    assert written <= told


def test_every_way_to_find_a_plan_stands_in_the_page_of_the_solver() -> None:
    from etf_trader.cli.certificates import METHODS

    written = {word for row in table_after(text_of("solver.md"), "value of `method`") for word in words_in(row[0])}
    assert written == set(METHODS)


def test_every_state_of_an_order_stands_in_the_docs() -> None:
    page = text_of("errors.md")
    written = {word for row in table_after(page, "of an order") for word in words_in(row[0])}
    assert written == {str(each) for each in IndexOrderStatus}
    written = {word for row in table_after(page, "of an order to the venue") for word in words_in(row[0])}
    assert written == {str(each) for each in AssetOrderStatus}


def test_every_table_of_our_database_stands_in_the_docs() -> None:
    written = {word for row in table_after(text_of("architecture.md"), "table") for word in words_in(row[0])}
    assert written == set(transactions.metadata.tables)
    assert not OWN_TABLES[0].metadata.tables.keys() & set(exchange_metadata.tables) - {"account", "balance"}


def test_the_import_arrow_in_the_docs_is_the_contract() -> None:
    written = re.search(r"^```\n(cli > .*?)^```", text_of("architecture.md"), flags=re.MULTILINE | re.DOTALL)
    assert written is not None
    contract = re.search(
        r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
    )
    assert contract is not None
    layers = [
        " | ".join(name.strip() for name in layer.split("|") if not name.strip().startswith("("))
        for layer in re.findall(r'"([^"]+)"', contract[1])
    ]
    assert " > ".join(layer for layer in layers if layer) == " ".join(written[1].split())


def test_the_files_named_in_the_architecture_exist() -> None:
    prose = BLOCK.sub("", text_of("architecture.md"))
    for named in re.findall(r"`([a-z_/]+\.py|[a-z_]+/)`", prose):
        places = [ROOT / named, ROOT / "src" / "etf_trader" / named]
        places += [ROOT / "src" / "etf_trader" / folder / named for folder in ("execution", "venue")]
        assert any(place.exists() for place in places), named


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_index_files_in_the_docs_can_be_read(page: Path, tmp_path: Path) -> None:
    for kind, content in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind.startswith("toml") and "symbol =" in content:
            file = tmp_path / "index.toml"
            file.write_text(content, encoding="utf-8")
            found = read_definition(file)
            assert found.assets or found.rules is not None


def test_the_index_of_the_demo_is_the_example() -> None:
    from etf_trader.cli.demo import INDEX_FILE

    assert INDEX_FILE in text_of("index-files.md")


def sums() -> Iterator[tuple[str, list[str]]]:
    for kind, content in BLOCK.findall(text_of("accounting.md")):
        if kind == "sums":
            for line in content.splitlines():
                label, equation = re.split(r"\s{2,}", line, maxsplit=1)
                yield label, equation.split(" = ")


def computed(expression: str) -> Decimal:
    """Return what an expression of numbers, + - x and brackets comes to, exactly."""
    assert re.fullmatch(r"[0-9.+x() -]+", expression), expression
    code = re.sub(r"[0-9]+(?:\.[0-9]+)?", lambda number: f"D('{number[0]}')", expression.replace("x", "*"))
    value: Decimal = eval(code, {"D": Decimal, "__builtins__": {}})
    return value


def test_the_sums_of_the_worked_example_are_right() -> None:
    found = list(sums())
    assert len(found) > 30
    for label, sides in found:
        for left, right in pairwise(map(computed, sides)):
            assert left == right, f"{label}: {left} is not {right}"


def test_the_worked_example_has_the_numbers_of_the_test_that_runs_it() -> None:
    """The results on the page are those that the program is held to."""
    source = (ROOT / "tests/integration/test_worked_example.py").read_text(encoding="utf-8")
    held = {Decimal(number) for number in re.findall(r'D\("(-?[0-9.]+)"\)', source)}
    for label in ("cash paid", "cash received", "loss", "delay", "spread", "depth", "fee", "rounding"):
        results = [computed(sides[-1]) for name, sides in sums() if name == label]
        assert results
        assert set(results) <= held, f"{label}: {results}"


def ended_fork(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[str, int]:
    """Run `etf` as `demo_writer.ended` does."""
    said = folder.parent / "said"
    said.unlink(missing_ok=True)
    code = ended(fork(words, folder, environment, (said, said)), SECONDS)
    return said.read_text(encoding="utf-8"), code


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands of a page be forks."""
    monkeypatch.setattr(demo_writer, "ended", ended_fork)


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("page", demo_writer.PAGES, ids=lambda page: page.name)
def test_transcripts_are_what_the_commands_print(page: Path) -> None:
    if page == demo_writer.RECORDED and not (demo_writer.recordings() / "recordings-2021").is_dir():
        pytest.skip("recordings absent: set ETF_TEST_DATA to the folder that holds recordings-2021")
    assert page.read_text(encoding="utf-8") == demo_writer.page_of(page), "python scripts/write_demo.py"


@pytest.mark.usefixtures("forks")
def test_the_page_of_the_demo_is_what_the_demo_prints() -> None:
    assert text_of("demo.md") == demo_writer.demo_page(), "python scripts/write_demo.py"
