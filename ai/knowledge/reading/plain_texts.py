"""Text, and Markdown with its headings."""

import io
import re
from collections.abc import Iterator

from ai.knowledge.sections import Section
from ai.knowledge.texts import plain
from leads.imports.reading.encodings import detect_encoding

# source: CommonMark 0.31, 4.2 to 4.5
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def decoded(data: bytes) -> str:
    """UTF-8, UTF-16 or Windows-1252, whichever it is. Raises UnreadableFile."""
    return plain(data.decode(detect_encoding(io.BytesIO(data))))


def markdown(text: str) -> Iterator[Section]:
    """A section for each heading that has text below it, named with those above it."""
    headings: dict[int, str] = {}
    lines: list[str] = []
    for level, line in _told(text.splitlines()):
        if not level:
            lines.append(line)
            continue
        yield Section("\n".join(lines), " › ".join(headings.values()))
        headings = {above: title for above, title in headings.items() if above < level} | (
            {level: line} if line else {}
        )
        lines = []
    yield Section("\n".join(lines), " › ".join(headings.values()))


def _told(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Each line with the level of the heading that it is, or 0."""
    fence = ""
    skipped = False
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if skipped:
            skipped = False
        elif fence or _FENCE.match(line):
            fence = _fence(line, fence)
            yield 0, line
        elif found := _HEADING.fullmatch(line):
            yield len(found[1]), (found[2] or "").strip()
        elif line.strip() and not line.startswith("    ") and not _is_listed(line) and _UNDERLINE.fullmatch(below):
            skipped = True
            yield (1 if "=" in below else 2), line.strip()
        else:
            yield 0, line


def _fence(line: str, fence: str) -> str:
    """The fence that is open after the line."""
    found = _FENCE.match(line)
    if not found:
        return fence
    if not fence:
        return found[1]
    return "" if found[1].startswith(fence) and not line.strip().strip(fence[0]) else fence


def _is_listed(line: str) -> bool:
    return bool(re.match(r"\s*([-*+>|]|\d+[.)])\s", line))
