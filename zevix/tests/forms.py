"""What a browser would send if somebody pressed the button of a page's form."""

from html.parser import HTMLParser
from typing import Any


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Any] = {}
        self.area: str | None = None
        self.select: str | None = None

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        given = {name: value or "" for name, value in attributes}
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "input" and name and kind not in ("submit", "button"):
            if kind not in ("checkbox", "radio"):
                self.found[name] = given.get("value", "")
            elif "checked" in given:
                self.found[name] = given.get("value", "on")
        elif tag == "textarea":
            self.area = name
            self.found[name] = ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and "selected" in given:
            self.found[self.select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.area = None
        elif tag == "select":
            self.select = None

    def handle_data(self, data: str) -> None:
        if self.area:
            self.found[self.area] += data


def filled(page: Any, **changes: Any) -> dict[str, Any]:
    """The form on a page as it was served, with ``changes``; None takes a field away, as an unticked box does."""
    parser = _Fields()
    parser.feed(page.content.decode())
    # a browser drops the line break that follows <textarea>
    found = {name: value.removeprefix("\n") for name, value in parser.found.items()} | changes
    return {name: value for name, value in found.items() if value is not None}
