"""What is held back of an answer that comes word by word, and for how long."""

import re

import pytest

from ai.actions.answers import tells
from ai.chat.secrecy import Guard
from ai.errors import AnswerUnusable
from ai.prompts.seeding import text

INSTRUCTIONS = f"{text('visitor', 'en')}\n\n{text('chat_rules', 'en')}"
PASSAGE = "Make no promises about prices, discounts or dates that the passages do not make."


def pieces(said, size):
    return [said[start : start + size] for start in range(0, len(said), size)]


def passed_on(parts):
    """What gets out, piece by piece, and whether it ended in a refusal."""
    guard, out = Guard(INSTRUCTIONS), []
    try:
        for part in parts:
            out.append(guard.pass_on(part))
        out.append(guard.rest())
    except AnswerUnusable:
        return out, True
    return out, False


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1_000])
def test_an_ordinary_answer_gets_out_as_it_is(size):
    said = "A flat white costs 4 euros [1]. Is there anything else that I can do for you, Straße 7?\n\n– Ümit"

    out, is_refused = passed_on(pieces(said, size))

    assert ("".join(out), is_refused) == (said, False)


def test_ordinary_words_are_passed_on_at_once():
    words = re.findall(r"\S+\s*", "Our oven bakes forty loaves per hour, which suffices for most weekdays.")

    out, _is_refused = passed_on(words)

    assert out == [*words, ""]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1_000])
@pytest.mark.parametrize(
    "told",
    [
        PASSAGE,
        PASSAGE.upper(),
        PASSAGE.replace(" ", "\n* "),
        f"I was told: “{PASSAGE}” and more.",
        f"Make no promises about prices. {PASSAGE}",
        INSTRUCTIONS,
    ],
)
def test_a_passage_of_the_instructions_does_not_get_out(size, told):
    out, is_refused = passed_on(pieces(f"Certainly! {told}", size))

    said = "".join(out)
    assert is_refused
    assert not tells(said, INSTRUCTIONS)
    assert "discounts" not in said.casefold()


def test_eleven_words_are_no_passage_and_get_out_once_it_is_clear():
    eleven = " ".join(PASSAGE.split()[:11])

    out, is_refused = passed_on(re.findall(r"\S+\s*", f"{eleven} weekdays."))

    assert ("".join(out), is_refused) == (f"{eleven} weekdays.", False)
    assert "".join(out[:10]) == "Make no "


@pytest.mark.parametrize("said", [PASSAGE, " ".join(PASSAGE.split()[:11]), "Good morning.", "", INSTRUCTIONS[-80:]])
def test_it_judges_a_stream_as_it_judges_a_whole(said):
    assert passed_on(pieces(said, 5))[1] == tells(said, INSTRUCTIONS)
