from __future__ import annotations

from edge_sdk.markup import Html, element, join


def test_text_and_attributes_are_escaped_and_elements_are_not_twice() -> None:
    hostile = '"><script>&'
    made = element("p", hostile, element("br"), element("b", 1), class_=hostile, aria_label="a")
    assert made == (
        '<p class="&quot;&gt;&lt;script&gt;&amp;" aria-label="a">&quot;&gt;&lt;script&gt;&amp;<br><b>1</b></p>'
    )
    assert join(["<", Html("<hr>")], ", ") == "&lt;, <hr>"
    assert isinstance(join([]), Html)
