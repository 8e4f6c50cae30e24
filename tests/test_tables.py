from __future__ import annotations

from html.parser import HTMLParser

import jinja2
import pytest

from edge_sdk.tables import Table

TABLE = Table(
    head=("name", "MB", "what"),
    rows=[("deepsign", "0.27", "signatures"), ("net", "12.00", "")],
    text=["name", "what"],
    note="As shipped.",
)
HOSTILE = "<script>alert(1)</script> | **b** `c` [d](http://e) \\ &amp; \x1b[31m\nred"


class Cells(HTMLParser):
    """What a reader sees, and the tags that the page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def test_plain_text_is_aligned() -> None:
    assert TABLE.plain().splitlines() == [
        "As shipped.",
        "name         MB  what",
        "deepsign   0.27  signatures",
        "net       12.00",
    ]


def test_markdown() -> None:
    assert TABLE.markdown().splitlines() == [
        "As shipped.",
        "",
        "| name | MB | what |",
        "| --- | ---: | --- |",
        "| deepsign | 0.27 | signatures |",
        "| net | 12.00 |  |",
    ]
    assert TABLE.markdown().endswith("|\n")


def test_html_says_which_columns_are_words() -> None:
    assert TABLE.html() == (
        '<p class="muted">As shipped.</p><div class="scroll"><table>'
        '<tr><th class="text">name</th><th>MB</th><th class="text">what</th></tr>'
        '<tr><td class="text">deepsign</td><td>0.27</td><td class="text">signatures</td></tr>'
        '<tr><td class="text">net</td><td>12.00</td><td class="text"></td></tr></table></div>'
    )


@pytest.mark.parametrize("table", [Table(("a",), []), Table(("a", "b"), (), note="nothing")])
def test_a_table_without_rows_has_its_head(table: Table) -> None:
    assert len(table) == 0
    assert "a" in table.plain()
    assert "| a |" in table.markdown()
    assert "<th>a</th>" in table.html()


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells in a table of 3 columns"):
        Table(("a", "b", "c"), [("1", "2")])


@pytest.mark.parametrize("field", ["head", "rows", "note"])
def test_hostile_text_is_shown_and_does_nothing(field: str) -> None:
    values = {"head": ("a",), "rows": [("b",)], "note": "c"}
    values[field] = {"head": (HOSTILE,), "rows": [(HOSTILE,)], "note": HOSTILE}[field]
    table = Table(**values)
    page = Cells(table.html())
    assert page.tags == {"p", "div", "table", "tr", "th", "td"}
    assert HOSTILE in "".join(page.seen)
    plain = table.plain()
    assert "\x1b" not in plain
    assert plain.count("\n") == 2
    markdown = table.markdown()
    assert markdown.count("\n") == 5
    assert "&lt;script>" in markdown
    assert "\\| \\*\\*b\\*\\* \\`c\\` \\[d](http://e) \\\\ &amp;amp;" in markdown


def test_a_template_takes_a_table_as_it_is_and_escapes_the_rest() -> None:
    template = jinja2.Environment(autoescape=True).from_string("{{ name }}{{ table }}")
    page = template.render(table=Table(("a",), [("<b>",)]), name="<i>")
    assert page == '&lt;i&gt;<div class="scroll"><table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table></div>'
