"""The formats that other programs show: html for a browser, xlsx for a spreadsheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etf_trader.cli.exhibit import Exhibit
from etf_trader.cli.output import Page
from etf_trader.clock import SystemClock


def file_content(
    form: str,
    schema: str,
    payload: Mapping[str, Any],
    draw: Callable[[Page], None],
    empty: Mapping[str, Sequence[str]],
    exhibit: Callable[[], Exhibit] | None,
) -> str | bytes:
    """Return a result as html or xlsx; `empty` names the columns of lists that may have no row."""
    now = SystemClock().now()
    if form == "html":
        from etf_trader.cli.html_page import html_of

        return html_of(schema, payload, draw, Exhibit() if exhibit is None else exhibit(), now)
    from etf_trader.cli.origin import origin
    from etf_trader.cli.workbook import workbook_document

    return workbook_document(schema, payload, empty, origin(schema, payload, now), now)
