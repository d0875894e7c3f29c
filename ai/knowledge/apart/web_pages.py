"""The text of a web page, under its headings; what a visitor would not see is left out."""

import codecs
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from ai.knowledge.apart.refusing import CannotRead, Part

_UNSEEN = {"head", "script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select", "textarea", "canvas", "audio", "video"}  # fmt: skip
_EMPTY = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BREAKS = {"br": "\n", "tr": "\n", "li": "\n- ", "td": " | ", "th": " | ", "dt": "\n", "dd": "\n"}
_BLOCKS = {
    "p", "div", "section", "article", "header", "footer", "main", "aside", "nav", "ul", "ol", "dl", "table", "blockquote",
    "pre", "form", "fieldset", "figure", "figcaption", "address", "details", "summary", "hr",
}  # fmt: skip
_HIDDEN = re.compile(r"(display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)


def read(data: bytes) -> Iterator[Part]:
    """A section for each heading that has text below it, named with those above it. Raises CannotRead."""
    page = _Page()
    page.feed(_decoded(data))
    page.close()
    page.end_section()
    if not page.parts:
        raise CannotRead("empty")
    yield from page.parts


def _decoded(data: bytes) -> str:
    for bom, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):  # fmt: skip
        if data.startswith(bom):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[Part] = []
        self._text: list[str] = []
        self._headings: dict[int, str] = {}
        self._heading: list[str] | None = None  # while one is read
        self._unseen = ""  # the element that is left out, and how many of its name are open
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen == "p" and (tag in _BLOCKS or tag in _HEADINGS):
            self._unseen = ""  # a paragraph ends where the next block begins
        if self._unseen:
            self._depth += tag == self._unseen
        elif tag not in _EMPTY and (tag in _UNSEEN or _is_hidden(dict(attrs))):
            self._unseen, self._depth = tag, 1
        elif tag in _HEADINGS:
            self.end_section()
            self._heading = []
        else:
            self._add("\n\n" if tag in _BLOCKS else _BREAKS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            self._depth -= tag == self._unseen
            if not self._depth:
                self._unseen = ""
        elif tag in _HEADINGS:
            self._end_heading(_HEADINGS[tag])
        elif tag in _BLOCKS:
            self._add("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._add(re.sub(r"\s+", " ", data))

    def end_section(self) -> None:
        """What was read since the last heading is a section."""
        if self._heading is not None:
            self._end_heading(6)
        if text := "".join(self._text).strip():
            self.parts.append((" › ".join(self._headings.values()), None, text))
        self._text = []

    def _end_heading(self, level: int) -> None:
        title = " ".join("".join(self._heading or []).split())
        self._heading = None
        self._headings = {above: text for above, text in self._headings.items() if above < level}
        if title:
            self._headings[level] = title

    def _add(self, text: str) -> None:
        (self._text if self._heading is None else self._heading).append(text)


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(attributes.get("style") or ""))
    )
