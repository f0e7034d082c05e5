"""A page of HTML that needs no network: sections, paragraphs, tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mhff.evaluate.plot import typeset
from mhff.evaluate.table import Table

STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: #1d2733;
       background: #fff; max-width: 66rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-bottom: .2rem;
     border-bottom: 1px solid #d5dbe1; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, li { max-width: 50rem; }
.about { color: #5b6876; margin-top: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th { text-align: right; vertical-align: bottom; font-weight: 600; color: #45525f;
     border-bottom: 1.5px solid #b9c2cb; padding: .25rem .6rem; max-width: 8rem; }
td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid #edf0f3; }
th.text, td.text { text-align: left; max-width: 24rem; }
tbody tr:hover { background: #f5f8fa; }
svg { max-width: 100%; height: auto; }
pre { background: #f5f7f9; padding: .8rem; font-size: .8rem; white-space: pre-wrap; }
nav a { margin-right: 1rem; color: #2a6f97; }
a { color: #2a6f97; }
@media print {
  body { font-size: 10pt; margin: 0; max-width: none; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  svg, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  pre { font-size: 7pt; }
}
"""
Section = tuple[str, str]
"""A heading and what stands below it, in HTML."""


def html_page(title: str, about: str, sections: Sequence[Section], style: str = STYLE) -> str:
    """A whole page: its title, a line about its origin, links to the sections, the sections."""
    links = "".join(f'<a href="#{anchor(name)}">{escape(name)}</a>' for name, _ in sections)
    body = "\n".join(
        f'<section id="{anchor(name)}"><h2>{escape(name)}</h2>\n{content}</section>'
        for name, content in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{style}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f'<p class="about">{escape(about)}</p>\n'
        f"<nav>{links}</nav>\n{body}\n</body></html>\n"
    )


def html_table(table: Table) -> str:
    """A table in HTML."""
    kinds = [' class="text"' if column.is_text else "" for column in table.columns]
    header = _row("th", kinds, [typeset(column.heading) for column in table.columns])
    rows = "\n".join(_row("td", kinds, cells) for cells in table.cells())
    return (
        f'<div class="scroll"><table><thead>{header}</thead>\n<tbody>{rows}</tbody></table></div>\n'
    )


def _row(tag: str, kinds: Sequence[str], cells: Sequence[str]) -> str:
    content = (
        f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
    )
    return f"<tr>{''.join(content)}</tr>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>\n"


def anchor(title: str) -> str:
    """The name by which links find a section."""
    return title.lower().replace(" ", "-")
