"""What notebooks show of our results: small pieces of HTML that load nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """A title and a table of two columns; everything is escaped."""
    return table_html(title, (), [[name, value] for name, value in facts.items()])


def table_html(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A title and a table; everything is escaped."""
    top = f"<thead><tr>{_cells(head, 'th')}</tr></thead>" if head else ""
    body = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in rows)
    caption = f'<caption style="text-align: left; font-weight: bold">{escape(title)}</caption>'
    return f"<table>{caption}{top}<tbody>{body}</tbody></table>"


def _cells(values: Sequence[object], kind: str) -> str:
    return "".join(f'<{kind} style="text-align: left">{escape(str(value))}</{kind}>' for value in values)
