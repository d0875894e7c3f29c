"""Sections of a document, cut into passages: between paragraphs, else lines, else sentences, else words."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ai.knowledge.sections import Section

WANTED, LONGEST = 1_200, 1_500  # characters of a passage
OVERLAP = 150  # characters of the passage before that it may begin with, so that what refers back is understood
_HEADING = 300  # characters of a heading
# where a text may be parted, the best places first; a bound belongs to the piece before it
_BOUNDS = (r"\n\n", r"\n", r"(?<=[.!?…])[\"»“”’)\]]*\s", r"\s")


def cut(sections: Iterable[Section]) -> Iterator[Section]:
    """Passages of at most `LONGEST` characters, in order, none of them over more than one section. Nothing is left out; the same is cut the same."""
    for section in sections:
        for text in _passages(_tidy(section.text)):
            yield replace(section, text=text, heading=section.heading[:_HEADING])


def _tidy(text: str) -> str:
    """With one blank between words, and one blank line between paragraphs."""
    lines = re.sub(r"\r\n?", "\n", text)
    lines = re.sub(r"[^\S\n]+", " ", lines)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", lines)).strip()


def _passages(text: str) -> Iterator[str]:
    start, passage = "", ""
    for piece in _pieces(text):
        if passage and len(start + passage + piece.rstrip()) > WANTED:
            yield (start + passage).strip()
            start, passage = _again(passage), ""
        passage += piece
    if passage:
        yield (start + passage).strip()


def _pieces(text: str, bounds: tuple[str, ...] = _BOUNDS) -> Iterator[str]:
    """The text in pieces that leave room for the overlap, each parted at the best bounds that make it so; a longer word is cut."""
    longest = LONGEST - OVERLAP
    if not bounds:
        yield from (text[start : start + longest] for start in range(0, len(text), longest))
        return
    for piece in _parted(text, bounds[0]):
        if len(piece.rstrip()) <= longest:
            yield piece
        else:
            yield from _pieces(piece, bounds[1:])


def _parted(text: str, bound: str) -> Iterator[str]:
    start = 0
    for found in re.finditer(bound, text):
        yield text[start : found.end()]
        start = found.end()
    if start < len(text):
        yield text[start:]


def _again(passage: str) -> str:
    """What of its end the next one begins with: whole sentences where they are short enough, else words."""
    said = passage.rstrip()
    end = said[-OVERLAP + 2 :]
    if len(end) < len(said):
        bound = re.search(_BOUNDS[2], end) or re.search(_BOUNDS[3], end)
        end = end[bound.end() :] if bound else ""
    return end + passage[len(said) :] if end else ""
