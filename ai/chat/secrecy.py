"""Instructions stay inside, also while an answer is passed on word by word."""

import re
from collections import defaultdict

from django.utils.translation import gettext as _

from ai.actions.answers import TELLING, words
from ai.errors import AnswerUnusable
from ai.openai_gateway import VENDOR

_HELD = 3  # words of the instructions in a row, from which on they are held back until it is clear how they go on
_TOKEN = re.compile(r"\w+")


class Guard:
    """Passes on what is said, and holds its end back as long as that may become a passage of the instructions."""

    def __init__(self, instructions: str) -> None:
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(words(instructions)):
            self._places[word].append(place)
        self._in_a_row: dict[int, int] = {}  # place in the instructions → words that were said as they stand up to it
        self._begins: list[int] = []  # of all words read
        self._text = ""
        self._read = self._said = 0  # characters

    def pass_on(self, text: str) -> str:
        """What can be said by now. Raises AnswerUnusable where the instructions are told; of that passage two words have been said at most."""
        self._text += text
        is_open = False
        for token in _TOKEN.finditer(self._text, self._read):
            is_open = token.end() == len(self._text)  # it may go on
            if not is_open:
                self._take(token)
        longest = max(self._in_a_row.values(), default=0)
        return self._say(self._begins[-longest] if longest + is_open >= _HELD else len(self._text))

    def rest(self) -> str:
        """What is left to be said, once nothing comes after it. Raises AnswerUnusable."""
        for token in _TOKEN.finditer(self._text, self._read):
            self._take(token)
        return self._say(len(self._text))

    def _take(self, token: re.Match[str]) -> None:
        for word in words(token[0]):
            self._in_a_row = {place: self._in_a_row.get(place - 1, 0) + 1 for place in self._places.get(word, ())}
            self._begins.append(token.start())
            if max(self._in_a_row.values(), default=0) >= TELLING:
                raise AnswerUnusable(vendor=VENDOR, reason=_("it repeats its instructions"))
        self._read = token.end()

    def _say(self, end: int) -> str:
        begin, self._said = self._said, max(self._said, end)
        return self._text[begin : self._said]
