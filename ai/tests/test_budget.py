"""What AI costs: held back before, settled after, and in the books whatever comes of it."""

import asyncio
import hashlib
from contextlib import aclosing
from datetime import timedelta
from itertools import count

import orjson
import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_member
from ai import asking, budget, prices
from ai.errors import AnswerRefused, AnswerUnusable, BudgetExceeded, Unfinished
from ai.jobs import end_abandoned_calls
from ai.models import AICall, AIMonth
from ai.openai_gateway import Delta
from ai.prices import Tokens
from ai.tests.factories import give_budget, make_purpose, make_question
from leads.quotas import current_month
from zevix.errors import NotConfigured, Rejected, Unanswered, Unreachable

pytestmark = pytest.mark.django_db

Outcome = AICall.Outcome


@pytest.fixture
def purpose(member, openai_server):
    give_budget(member.workspace, 100)
    return make_purpose(member)


def most(question):
    """What a question can cost at most: all its bytes in, all its tokens out."""
    body = orjson.dumps(question.as_body(), option=orjson.OPT_SORT_KEYS)
    return prices.cost(question.model, Tokens(input=len(body), output=question.max_output_tokens))


def books(workspace):
    return AIMonth.objects.values("month", "spent", "reserved").get(workspace=workspace)


def streamed(question, purpose):
    async def read():
        async with aclosing(asking.stream(question, purpose)) as pieces:
            return [piece async for piece in pieces]

    return async_to_sync(read)()


def asked(question, purpose):
    return [asking.ask(question, purpose)]


both = pytest.mark.parametrize("ask", [asked, pytest.param(streamed, marks=pytest.mark.django_db(transaction=True))])


@both
def test_an_answer_is_a_call_in_the_books_at_its_price(purpose, openai_server, ask):
    openai_server.reply("A helper.", tokens=(1_000, 200, 50))
    question = make_question()

    answer = ask(question, purpose)[-1]

    call = AICall.objects.get()
    body = orjson.dumps(openai_server.requests[0] | {}, option=orjson.OPT_SORT_KEYS)
    assert answer.text == "A helper."
    assert (call.workspace, call.user, call.action) == (purpose.workspace, purpose.user, "chat")
    assert (call.outcome, call.model, call.error, call.attempts) == (Outcome.COMPLETED, "gpt-4o-mini", "", 1)
    assert (call.input_tokens, call.cached_tokens, call.output_tokens) == (1_000, 200, 50)
    assert call.cost == 165  # 800 × 0.15 + 200 × 0.075 + 50 × 0.60
    assert call.finished_at >= call.created_at
    assert call.duration_ms >= 0
    if ask is asked:
        assert call.input_hash == hashlib.sha256(body).hexdigest()
    assert books(purpose.workspace) == {"month": current_month(), "spent": 165, "reserved": 0}


def test_while_it_is_under_way_the_most_that_it_can_cost_is_held_back(purpose, openai_server):
    question = make_question()

    call = budget.reserve(question.as_body(), output=100, workspace=purpose.workspace, user=None, action="chat")
    before = books(purpose.workspace)
    budget.settle(call, Outcome.COMPLETED, Tokens(10, 0, 1))

    assert before == {"month": current_month(), "spent": 0, "reserved": most(question)}
    assert books(purpose.workspace) == {"month": current_month(), "spent": 3, "reserved": 0}


@both
def test_beyond_the_budget_nothing_is_asked(purpose, openai_server, ask):
    question = make_question(max_output_tokens=20_000)
    cents = most(question) // 10_000  # a little less than it can cost
    give_budget(purpose.workspace, cents)

    with pytest.raises(BudgetExceeded) as refusal:
        ask(question, purpose)

    assert (refusal.value.code, refusal.value.status) == ("ai_budget_exceeded", 403)
    assert str(refusal.value) == "This month's AI budget of 0.01 US dollars is used up, or would be by this."
    assert openai_server.requests == []
    assert AICall.objects.count() == 0


def test_a_plan_without_ai_asks_nothing_even_where_ai_costs_nothing(purpose, openai_server, settings):
    settings.AI_PRICES = {"gpt-4o-mini": (0, 0, 0)}
    give_budget(purpose.workspace, 0)

    with pytest.raises(BudgetExceeded):
        asking.ask(make_question(), purpose)

    assert openai_server.requests == []


def test_other_workspaces_spend_their_own(purpose, openai_server, stranger):
    give_budget(stranger.workspace, 100)
    openai_server.reply("A helper.", tokens=(100, 0, 0))

    asking.ask(make_question(), make_purpose(stranger))

    assert books(stranger.workspace)["spent"] == 15
    assert not AIMonth.objects.filter(workspace=purpose.workspace, spent__gt=0).exists()


@both
@pytest.mark.parametrize(
    ("break_it", "raised", "outcome", "error"),
    [
        (lambda server: server.refuse("No."), AnswerRefused, Outcome.REFUSED, "AnswerRefused: refusal"),
        (lambda server: server.incomplete(), Unfinished, Outcome.INCOMPLETE, "Unfinished: max_output_tokens"),
    ],
)
def test_what_came_to_nothing_costs_what_it_took(purpose, openai_server, ask, break_it, raised, outcome, error):
    break_it(openai_server)

    with pytest.raises(raised):
        ask(make_question(), purpose)

    call = AICall.objects.get()
    assert (call.outcome, call.error, call.output_tokens > 0) == (outcome, error, True)
    assert call.cost == prices.cost("gpt-4o-mini", Tokens(call.input_tokens, 0, call.output_tokens))
    assert books(purpose.workspace) == {"month": current_month(), "spent": call.cost, "reserved": 0}


@both
@pytest.mark.parametrize(
    ("break_it", "outcome", "error"),
    [
        (lambda server: server.failed("It broke"), Outcome.INCOMPLETE, "Unfinished: server_error"),
        (lambda server: server.fail(504), Outcome.FAILED, "Unanswered: server_error"),
    ],
)
def test_where_the_server_may_have_worked_and_does_not_say_all_that_was_held_back_is_taken(
    purpose, openai_server, ask, break_it, outcome, error
):
    break_it(openai_server)
    question = make_question()

    with pytest.raises((Unfinished, Unanswered)):
        ask(question, purpose)

    call = AICall.objects.get()
    assert (call.outcome, call.error) == (outcome, error)
    assert books(purpose.workspace)["spent"] == call.cost > most(question) * 0.9
    assert books(purpose.workspace)["reserved"] == 0


def test_an_answer_without_its_usage_costs_what_was_held_back(purpose, openai_server):
    openai_server.garbage('{"status": "completed", "output": []}', kind="application/json")

    asking.ask(make_question(), purpose)

    assert books(purpose.workspace) == {"month": current_month(), "spent": most(make_question()), "reserved": 0}


@both
@pytest.mark.parametrize(
    ("break_it", "raised", "attempts"),
    [
        (lambda server: server.fail(429, retry_after=0, times=3), Unreachable, 3),
        (lambda server: server.fail(400, code="invalid_value"), Rejected, 1),
    ],
)
def test_what_the_server_did_not_do_costs_nothing(purpose, openai_server, ask, break_it, raised, attempts):
    break_it(openai_server)

    with pytest.raises(raised):
        ask(make_question(), purpose)

    call = AICall.objects.get()
    assert (call.outcome, call.cost, call.attempts) == (Outcome.FAILED, 0, attempts)
    assert books(purpose.workspace) == {"month": current_month(), "spent": 0, "reserved": 0}


def test_without_a_key_nothing_is_written(purpose, settings):
    settings.OPENAI_API_KEY = ""

    with pytest.raises(NotConfigured):
        asking.ask(make_question(), purpose)

    assert AICall.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_who_stops_listening_pays_what_was_held_back(purpose, openai_server):
    openai_server.reply("One two three.")

    async def first_piece():
        async with aclosing(asking.stream(make_question(), purpose)) as pieces:
            return await anext(pieces)

    assert async_to_sync(first_piece)() == Delta("One ")
    call = AICall.objects.get()
    assert (call.outcome, call.reserved, call.cost > 0) == (Outcome.ABANDONED, 0, True)
    assert books(purpose.workspace)["spent"] == call.cost


@pytest.mark.django_db(transaction=True)
def test_a_listener_that_is_cancelled_pays_what_was_held_back(purpose, openai_server):
    openai_server.reply("One two three.")
    openai_server.slow(between_deltas=5)

    async def cancelled():
        async def read():
            async with aclosing(asking.stream(make_question(), purpose)) as pieces:
                async for _ in pieces:
                    begun.set()

        begun = asyncio.Event()
        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert async_to_sync(cancelled)() is True
    assert [call.outcome for call in AICall.objects.all()] == [Outcome.ABANDONED]


def test_vectors_are_paid_for_by_the_batch(purpose, openai_server):
    vectors = asking.embed(["red roof"] * 300, purpose)

    calls = AICall.objects.order_by("pk")
    assert [len(vectors), len(vectors[0])] == [300, 1536]
    assert [call.input_tokens for call in calls] == [768, 132]
    assert [call.cost for call in calls] == [16, 3]  # 0.02 for a token, rounded up
    assert books(purpose.workspace)["spent"] == 19


def test_vectors_that_fail_midway_are_paid_for_up_to_there(purpose, openai_server):
    openai_server.garbage("{}", kind="application/json", when=lambda body: len(body["input"]) == 44)

    with pytest.raises(AnswerUnusable):
        asking.embed(["red roof"] * 300, purpose)

    assert [call.outcome for call in AICall.objects.order_by("pk")] == [Outcome.COMPLETED, Outcome.FAILED]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_asked_in_a_transaction(purpose, openai_server):
    with pytest.raises(RuntimeError), transaction.atomic():
        asking.ask(make_question(), purpose)

    assert openai_server.requests == []


def test_a_call_whose_process_was_killed_is_settled_at_what_was_held_back(purpose):
    question = make_question()
    asked = {"output": 100, "workspace": purpose.workspace, "user": None, "action": "chat"}
    killed = budget.reserve(question.as_body(), **asked)
    AICall.objects.filter(pk=killed.pk).update(created_at=timezone.now() - budget.ALIVE_FOR - timedelta(seconds=1))
    alive = budget.reserve(question.as_body(), **asked)

    end_abandoned_calls(timestamp=0)
    end_abandoned_calls(timestamp=0)
    budget.settle(killed, Outcome.COMPLETED, Tokens(10, 0, 1))

    killed.refresh_from_db()
    alive.refresh_from_db()
    assert (killed.outcome, killed.cost) == (Outcome.ABANDONED, most(question))
    assert alive.outcome == Outcome.RUNNING
    assert books(purpose.workspace) == {
        "month": current_month(),
        "spent": most(question),
        "reserved": most(question),
    }


def test_reserving_and_settling_take_few_queries(purpose, django_assert_num_queries):
    with django_assert_num_queries(6):  # with the two of a savepoint, since a test is a transaction
        call = budget.reserve(
            make_question().as_body(), output=100, workspace=purpose.workspace, user=purpose.user, action="chat"
        )
    with django_assert_num_queries(1):
        budget.settle(call, Outcome.COMPLETED, Tokens(10, 0, 1))


@pytest.mark.parametrize(
    ("model", "cost"),
    [("gpt-4o-mini", 1_000), ("gpt-4o-mini-2024-07-18", 1_000), ("gpt-4o-2024-08-06", 3_000), ("gpt-none", 3_000)],
)
def test_a_model_costs_what_the_table_says_and_an_unknown_one_what_the_dearest_does(settings, model, cost):
    settings.AI_PRICES = {"gpt-4o-mini": (1, 0.5, 2), "gpt-4o": (3, 1, 10)}

    assert prices.cost(model, Tokens(input=1_000)) == cost


_calls = st.integers(0, 9)
_tokens = st.builds(
    lambda fresh, cached, out: Tokens(fresh + cached, cached, out),
    st.integers(0, 5_000),
    st.integers(0, 5_000),
    st.integers(0, 5_000),
)
_acts = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(1, 20_000)),
        st.tuples(st.just("settle"), _calls, _tokens | st.none()),
        st.tuples(st.just("release"), _calls),
        st.tuples(st.just("sweep"), _calls),
        st.tuples(st.just("next_month")),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=_acts)
def test_whatever_happens_each_months_sums_are_those_of_its_calls(db, acts):
    member, calls, months = make_member(), [], count(1)
    give_budget(member.workspace, 5)

    for act, *told in acts:
        call = calls[told[0] % len(calls)] if calls and act in ("settle", "release", "sweep") else None
        match act:
            case "reserve":
                try:
                    body = make_question().as_body()
                    calls.append(
                        budget.reserve(body, output=told[0], workspace=member.workspace, user=None, action="chat")
                    )
                except BudgetExceeded:
                    pass
            case "settle" if call:
                budget.settle(call, Outcome.COMPLETED, told[1])
            case "release" if call:
                budget.release(call)
            case "sweep" if call:
                AICall.objects.filter(pk=call.pk).update(created_at=timezone.now() - timedelta(hours=1))
                budget.end_abandoned()
            case "next_month":
                # what was this month is now one of 2020; its calls may end yet
                number = f"2020-{next(months):02}"
                AIMonth.objects.filter(workspace=member.workspace, month=current_month()).update(month=number)
                AICall.objects.filter(workspace=member.workspace, month=current_month()).update(month=number)

    for month in AIMonth.objects.filter(workspace=member.workspace):
        rows = list(AICall.objects.filter(workspace=member.workspace, month=month.month))
        assert (month.spent, month.reserved) == (sum(row.cost for row in rows), sum(row.reserved for row in rows))
        assert month.reserved == sum(row.reserved for row in rows if row.outcome == Outcome.RUNNING)
