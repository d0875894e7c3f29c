"""The gateway against a server that speaks as OpenAI does, and fails in every way that it may."""

import asyncio
import gc
import time
import traceback
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import openai
import pytest
from asgiref.sync import async_to_sync
from pydantic import BaseModel, Field
from structlog.testing import capture_logs

from ai import openai_gateway
from ai.errors import AnswerRefused, AnswerUnusable, Unfinished
from ai.openai_gateway import Delta, Tool
from ai.prices import Tokens
from ai.tests.factories import make_question
from zevix.errors import NotConfigured, Rejected, Unanswered, Unreachable


class Verdict(BaseModel):
    score: int = Field(ge=0, le=100)
    reason: str
    tags: list[str]
    until: str | None = None


LOOK_UP = Tool(
    "look_up",
    "Looks a word up.",
    {
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
        "additionalProperties": False,
    },
)


def streamed(question):
    async def read():
        async with aclosing(openai_gateway.stream(question)) as pieces:
            return [piece async for piece in pieces]

    return async_to_sync(read)()


def test_an_answer_comes_with_what_it_took_and_nothing_is_kept_over_there(openai_server):
    openai_server.reply("A helper.", tokens=(120, 20, 7))

    answer = openai_gateway.ask(make_question("Who are you?", temperature=0.2))

    assert (answer.text, answer.tokens, answer.attempts) == ("A helper.", Tokens(120, 20, 7), 1)
    assert openai_server.requests == [
        {
            "model": "gpt-4o-mini",
            "instructions": "Answer in one sentence.",
            "input": [{"role": "user", "content": "Who are you?"}],
            "max_output_tokens": 100,
            "temperature": 0.2,
            "store": False,
        }
    ]


def test_an_answer_of_a_form_is_an_instance_of_it(openai_server):
    openai_server.reply({"score": 7, "reason": "Old\0.", "tags": ["a"], "until": None})

    answer = openai_gateway.ask(make_question(form=Verdict))

    assert answer.form == Verdict(score=7, reason="Old.", tags=["a"])


@pytest.mark.parametrize("text", ['{"score": ', "{}", '{"score": 101, "reason": "", "tags": [], "until": null}', "[]"])
def test_an_answer_of_another_form_is_unusable_and_says_what_it_took(openai_server, text):
    openai_server.malformed(text)

    with pytest.raises(AnswerUnusable) as caught:
        openai_gateway.ask(make_question(form=Verdict))

    assert caught.value.tokens.output > 0


def test_tools_that_the_model_wants_used_come_with_items_that_the_next_question_takes(openai_server):
    openai_server.tool_call("look_up", {"word": "Zaun"})
    openai_server.reply("A fence.")

    first = openai_gateway.ask(make_question(tools=[LOOK_UP], form=Verdict))
    (call,) = first.tool_calls
    output = {"type": "function_call_output", "call_id": call.id, "output": "fence"}
    second = openai_gateway.ask(make_question(input=[*first.items, output], tools=[LOOK_UP]))

    assert (call.name, call.arguments, first.form) == ("look_up", '{"word": "Zaun"}', None)
    assert second.text == "A fence."


def test_what_a_message_said_is_taken_back_too(openai_server):
    first = openai_gateway.ask(make_question())

    again = openai_gateway.ask(make_question(input=[*first.items, {"role": "user", "content": "And?"}]))

    assert again.text == "All right."


def test_a_stream_is_the_text_piece_by_piece_and_then_the_answer(openai_server):
    openai_server.reply("One two three.", tokens=(10, 0, 3))

    pieces = streamed(make_question())

    assert pieces[:-1] == [Delta("One "), Delta("two "), Delta("three.")]
    assert (pieces[-1].text, pieces[-1].tokens) == ("One two three.", Tokens(10, 0, 3))


def test_a_stream_may_want_tools_used(openai_server):
    openai_server.tool_call("look_up", {"word": "Zaun"})

    (answer,) = streamed(make_question(tools=[LOOK_UP]))

    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("look_up", '{"word": "Zaun"}')]


def ask(question):
    return [openai_gateway.ask(question)]


both = pytest.mark.parametrize("asked", [ask, streamed])


@both
def test_an_answer_that_stops_midway_is_no_answer(openai_server, asked):
    openai_server.incomplete("content_filter")

    with pytest.raises(Unfinished) as caught:
        asked(make_question())

    assert (caught.value.details["reason"], caught.value.tokens.output) == ("content_filter", 4)


@both
def test_a_refusal_is_said_in_the_models_words(openai_server, asked):
    openai_server.refuse("I can't help with that.")

    with pytest.raises(AnswerRefused) as caught:
        asked(make_question())

    assert str(caught.value) == "OpenAI declined to answer: I can't help with that."


@both
def test_an_answer_that_failed_over_there_is_no_answer(openai_server, asked):
    openai_server.failed("It broke over Ann Smith's record")

    with pytest.raises(Unfinished) as caught:
        asked(make_question())

    assert (caught.value.details["reason"], caught.value.tokens) == ("server_error", None)


@pytest.mark.parametrize("cleanly", [True, False])
def test_a_stream_that_ends_early_is_no_answer(openai_server, cleanly):
    openai_server.cut_after(2, cleanly=cleanly)

    with pytest.raises(Unfinished):
        streamed(make_question())

    assert len(openai_server.requests) == 1


def test_an_error_in_the_midst_of_a_stream_is_no_answer(openai_server):
    openai_server.error_event("It broke")

    with pytest.raises(Unfinished):
        streamed(make_question())


@pytest.mark.parametrize(
    "text",
    ["<html>", "null", "[]", "{}", '{"output": 3, "status": "completed"}', '{"status": "completed", "output": [1]}'],
)
def test_something_that_is_no_answer_of_the_api_is_unusable(openai_server, text):
    openai_server.garbage(text, kind="application/json")

    with pytest.raises(AnswerUnusable):
        openai_gateway.ask(make_question())


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        "data: <html>\n\n",
        "data: [1]\n\n",
        "data: null\n\n",
        'data: {"type": "response.completed", "response": 3}\n\n',
        'data: {"type": "response.completed"}\n\n',
        'data: {"type": "response.output_text.delta", "delta": 3}\n\n',
        'data: {"error": "no"}\n\n',
    ],
)
def test_a_stream_of_something_else_is_no_answer(openai_server, text):
    openai_server.garbage(text, kind="text/event-stream")

    with pytest.raises((Unfinished, AnswerUnusable)):
        streamed(make_question())


@both
@pytest.mark.parametrize("status", [429, 500, 503, 408, 409])
def test_what_the_server_did_not_do_is_asked_again(openai_server, asked, status):
    openai_server.fail(status, retry_after=0, times=2)
    openai_server.reply("At last.")

    answer = asked(make_question())[-1]

    assert (answer.text, answer.attempts, len(openai_server.requests)) == ("At last.", 3, 3)


@both
def test_a_server_that_stays_busy_is_unreachable(openai_server, asked):
    openai_server.fail(429, code="rate_limit_exceeded", retry_after=0, times=9)

    with pytest.raises(Unreachable) as caught:
        asked(make_question())

    assert caught.value.details == {
        "vendor": "OpenAI",
        "reason": "HTTP 429, rate_limit_exceeded",
        "kind": "rate_limit_exceeded",
        "attempts": 3,
    }


@both
@pytest.mark.parametrize(
    ("status", "code"), [(429, "insufficient_quota"), (400, "invalid_value"), (404, None), (422, None)]
)
def test_what_would_be_refused_again_is_not_asked_again(openai_server, asked, status, code):
    openai_server.fail(status, code=code)

    with pytest.raises(Rejected):
        asked(make_question())

    assert len(openai_server.requests) == 1


def test_a_wait_that_is_asked_for_is_kept(openai_server):
    openai_server.fail(429, retry_after=0.4)
    began = time.monotonic()

    openai_gateway.ask(make_question())

    assert 0.4 <= time.monotonic() - began < 2


@pytest.mark.parametrize(
    "wait",
    [11, "99999999999", format_datetime(datetime.now(UTC) + timedelta(hours=1))],
    ids=["seconds", "ages", "a date"],
)
def test_a_wait_that_is_too_long_is_left_to_the_asker(openai_server, wait):
    openai_server.fail(429, retry_after=wait)

    with pytest.raises(Unreachable):
        openai_gateway.ask(make_question())

    assert len(openai_server.requests) == 1


@both
def test_an_answer_that_does_not_come_in_time_is_not_asked_for_again(openai_server, asked, settings):
    settings.OPENAI_TIMEOUT = 0.2
    openai_server.slow(5)

    with pytest.raises(Unanswered):
        asked(make_question())

    openai_server.slow(0)
    assert len(openai_server.requests) == 1


@both
def test_a_connection_that_breaks_after_the_question_is_not_tried_again(openai_server, asked):
    openai_server.cut_after(0)

    with pytest.raises((Unanswered, Unfinished)):
        asked(make_question())

    assert len(openai_server.requests) == 1


def test_a_proxy_that_gives_up_waiting_is_not_asked_again(openai_server):
    openai_server.fail(504)

    with pytest.raises(Unanswered):
        openai_gateway.ask(make_question())

    assert len(openai_server.requests) == 1


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1/v1"])
def test_an_address_that_is_none_is_unreachable(openai_server, settings, address):
    settings.OPENAI_BASE_URL = address

    with pytest.raises(Unreachable) as caught:
        openai_gateway.ask(make_question())

    assert type(caught.value) is Unreachable


def test_a_server_that_is_not_there_is_tried_again_and_unreachable(openai_server):
    openai_server.down()

    with pytest.raises(Unreachable) as caught:
        openai_gateway.ask(make_question())

    assert (type(caught.value), caught.value.details["attempts"]) == (Unreachable, 3)


def test_kept_connections_that_the_server_closed_do_no_harm(openai_server):
    openai_gateway.ask(make_question())
    openai_server.down()
    openai_server.up()

    assert openai_gateway.ask(make_question()).text == "All right."


@both
def test_neither_keys_nor_what_was_asked_get_into_errors_or_logs(openai_server, asked, settings):
    person = " ".join(["Ann", "Smith"])  # so that lines of this test in tracebacks do not name her
    secret = settings.OPENAI_API_KEY = "-".join(["sk", "secret"])
    openai_server.fail(500, retry_after=0, message=f"About {person}: no", code=f"About {person}")

    with capture_logs() as logs, pytest.raises(Rejected) as wrong_key:
        asked(make_question(person))
    settings.OPENAI_API_KEY = openai_server.key
    openai_server.fail(400, message=f"About {person}: no", code=f"About {person}")
    with capture_logs() as more, pytest.raises(Rejected) as wrong:
        asked(make_question(person))

    chains = "".join("".join(traceback.format_exception(error.value)) for error in (wrong_key, wrong))
    told = f"{chains} {wrong_key.value.details} {wrong.value.details} {logs} {more}"
    assert "OPENAI_API_KEY is not accepted" in told
    assert secret not in told
    assert person not in told


@both
@pytest.mark.parametrize("key", ["", "sk-ключ"])
def test_without_a_key_it_is_not_configured(settings, asked, key):
    settings.OPENAI_API_KEY = key

    with pytest.raises(NotConfigured):
        asked(make_question())


def test_other_questions_go_on_while_one_waits_for_its_next_try(openai_server):
    openai_server.fail(429, retry_after=0.5)

    async def both_at_once():
        began = time.monotonic()

        async def read():
            async with aclosing(openai_gateway.stream(make_question())) as pieces:
                return [piece async for piece in pieces]

        first = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        await read()
        took = time.monotonic() - began
        await first
        return took

    assert async_to_sync(both_at_once)() < 0.45


def test_connections_of_an_event_loop_are_kept_in_it_and_closed_with_it(openai_server, recwarn):
    gc.collect()  # what tests before left behind would be told here
    recwarn.clear()
    clients = []

    async def twice():
        for _ in range(2):
            clients.append(await openai_gateway.connections.async_client())
            async with aclosing(openai_gateway.stream(make_question())) as pieces:
                async for _ in pieces:
                    pass

    async_to_sync(twice)()
    gc.collect()

    assert clients[0] is clients[1]
    assert clients[0].is_closed()
    assert [warning for warning in recwarn if warning.category is ResourceWarning] == []


def test_a_stream_that_nobody_reads_on_is_hung_up(openai_server):
    openai_server.reply("One two three.")

    async def first_piece():
        async with aclosing(openai_gateway.stream(make_question())) as pieces:
            return await anext(pieces)

    assert async_to_sync(first_piece)() == Delta("One ")


def test_texts_become_vectors_near_to_those_alike(openai_server):
    vectors, tokens, attempts = openai_gateway.embed(["red roof", "red house", "blue sky"], dimensions=64)

    def nearness(one, other):
        return sum(a * b for a, b in zip(vectors[one], vectors[other], strict=True))

    assert [len(vector) for vector in vectors] == [64, 64, 64]
    assert nearness(0, 1) > nearness(0, 2)
    assert (tokens, attempts) == (Tokens(input=9), 1)


def test_an_embedding_model_of_one_length_is_not_asked_for_another(openai_server, settings):
    settings.OPENAI_EMBEDDING_MODEL = "text-embedding-ada-002"

    vectors, _, _ = openai_gateway.embed(["red roof"], dimensions=1536)

    assert [len(vector) for vector in vectors] == [1536]
    with pytest.raises(AnswerUnusable):
        openai_gateway.embed(["red roof"], dimensions=64)


@pytest.mark.parametrize("text", ["<html>", "{}", '{"data": [{"index": 0, "embedding": ["x"]}]}', '{"data": []}'])
def test_something_that_is_no_embedding_is_unusable(openai_server, text):
    openai_server.garbage(text, kind="application/json")

    with pytest.raises(AnswerUnusable):
        openai_gateway.embed(["red roof"], dimensions=64)


def test_texts_go_in_batches_that_the_server_takes():
    texts = ["a"] * 300 + ["b" * 200_000] * 3

    batches = list(openai_gateway.batches(texts))

    assert [len(batch) for batch in batches] == [256, 45, 1, 1]
    assert [text for batch in batches for text in batch] == texts
    assert list(openai_gateway.batches([])) == []


def test_the_stand_in_refuses_what_openai_refuses(openai_server):
    client = openai.OpenAI(api_key=openai_server.key, base_url=openai_server.url, max_retries=0)
    lax = {"format": {"type": "json_schema", "name": "V", "strict": True, "schema": Verdict.model_json_schema()}}

    def refusal(**body):
        with pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(**{"model": "gpt-4o-mini", "input": "Hello"} | body)
        return caught.value.code

    with client:
        assert refusal(model="gpt-none") == "model_not_found"
        assert refusal(temperature="hot") == "invalid_type"
        assert refusal(temperature=2.1) == "decimal_above_max_value"
        assert refusal(max_output_tokens=15) == "integer_below_min_value"
        assert refusal(extra_body={"colour": "red"}) == "unknown_parameter"
        assert (
            refusal(input=[{"role": "user", "content": [{"type": "input_text", "text": "a", "b": 1}]}])
            == "unknown_parameter"
        )
        assert refusal(text=lax) == "invalid_json_schema"
