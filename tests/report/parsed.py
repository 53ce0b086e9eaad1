"""A page read back by a parser that knows nothing of how it was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

# Elements that HTML closes by itself.
VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]


@dataclass
class Page(HTMLParser):
    """Its elements in order, and its text; fails where elements are not closed in order."""

    html: str
    elements: list[Element] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.feed(self.html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [element.attributes for element in self.elements if element.tag in tags]

    def references(self) -> list[str]:
        """Everything that an attribute or a style would fetch or lead to."""
        names = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href", "formaction"}
        return [v or "" for element in self.elements for name, v in element.attributes.items() if name in names]
