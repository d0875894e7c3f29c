"""Pieces that come slowly: who waits for them is told so, and who goes away ends them."""

import asyncio
from contextlib import aclosing

import pytest
from asgiref.sync import async_to_sync

from zevix.event_streams import event, with_patience


class Slow:
    """Numbers, each after a while; knows how it ended."""

    def __init__(self, seconds, count=2, error=None):
        self.seconds, self.count, self.error = seconds, count, error
        self.is_closed = False

    async def numbers(self):
        try:
            for number in range(self.count):
                await asyncio.sleep(self.seconds)
                yield number
            if self.error:
                raise self.error
        finally:
            self.is_closed = True


def all_of(slow, patience):
    async def collected():
        return [piece async for piece in with_patience(slow.numbers(), patience)]

    return async_to_sync(collected)()


def test_pieces_come_in_their_order():
    assert all_of(Slow(0, count=100), patience=5) == list(range(100))


def test_a_silence_is_told_as_often_as_it_lasts():
    pieces = all_of(Slow(0.25), patience=0.1)

    assert pieces[:2] == [None, None]
    assert [piece for piece in pieces if piece is not None] == [0, 1]


def test_what_goes_wrong_comes_after_the_pieces_before_it():
    slow = Slow(0, count=1, error=ValueError("broken"))

    with pytest.raises(ValueError, match="broken"):
        all_of(slow, patience=5)
    assert slow.is_closed


def test_whoever_goes_away_ends_it():
    slow = Slow(0.01, count=1_000)

    async def first():
        async with aclosing(with_patience(slow.numbers(), 5)) as pieces:
            return await anext(pieces)

    assert async_to_sync(first)() == 0
    assert slow.is_closed


def test_an_event_is_on_lines_of_its_own():
    assert event("delta", {"text": "a\nb"}) == b'event: delta\ndata: {"text":"a\\nb"}\n\n'
