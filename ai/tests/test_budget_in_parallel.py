"""Questions at once, on real transactions: never beyond the budget, and books that are right."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from accounts.tests.factories import make_member
from ai import asking, budget
from ai.errors import BudgetExceeded
from ai.models import AICall, AIMonth
from ai.openai_gateway import Answer
from ai.prices import Tokens
from ai.tests.factories import give_budget, make_purpose, make_question

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 16


def at_once(act):
    """What each of the threads returned or refused, all released at the same moment."""
    start = Barrier(THREADS)

    def run(number):
        try:
            connection.ensure_connection()
            start.wait()
            return act(number)
        except BudgetExceeded as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_questions_at_once_never_hold_back_more_than_the_budget():
    member = make_member()
    give_budget(member.workspace, 1)  # 10,000 millionths, for three of them
    body = make_question().as_body()

    outcomes = at_once(
        lambda _: budget.reserve(body, output=5_000, workspace=member.workspace, user=None, action="chat")
    )

    held = [outcome for outcome in outcomes if isinstance(outcome, AICall)]
    month = AIMonth.objects.get()
    assert len(held) == 3
    assert (month.reserved, month.spent) == (sum(call.reserved for call in held), 0)


def test_answers_at_once_are_all_in_the_books_and_within_the_budget(openai_server):
    member = make_member()
    give_budget(member.workspace, 1)
    openai_server.reply("A helper.", tokens=(200, 0, 4_900))
    openai_server.slow(0.05)

    outcomes = at_once(lambda _: asking.ask(make_question(max_output_tokens=5_000), make_purpose(member)))

    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    month = AIMonth.objects.get()
    assert len(answers) == 3
    assert (month.reserved, month.spent) == (0, 3 * 2_970)
    assert len(openai_server.requests) == 3


def test_a_call_settled_by_many_at_once_is_settled_once():
    member = make_member()
    give_budget(member.workspace, 1)
    call = budget.reserve(make_question().as_body(), output=100, workspace=member.workspace, user=None, action="chat")

    at_once(lambda number: budget.settle(call, AICall.Outcome.COMPLETED, Tokens(100 * (number + 1))))

    month = AIMonth.objects.get()
    assert (month.reserved, month.spent) == (0, AICall.objects.get().cost)
