"""What is asked of an account stays within what Pipedrive allows, whoever asks: on real transactions, each thread with a gate of its own."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.utils import timezone

from crm.errors import BudgetSpent
from crm.models import Connection, TokenMeter
from crm.pipedrive.limits import Gate, Lane, first_free
from zevix.errors import Unreachable

START = datetime(2026, 11, 21, tzinfo=UTC)
WINDOW = 2.0  # seconds, as Pipedrive counts


def at(*seconds):
    return [START + timedelta(seconds=one) for one in seconds]


def after(seconds):
    return at(seconds)[0]


# The moment that is free ----------------------------------------------------------------------------------------------------


def test_with_room_in_the_window_the_turn_is_now():
    assert first_free(at(0.0, 1.0), after(1.5), 3) == after(1.5)


def test_in_a_full_window_the_turn_comes_a_little_later_than_two_seconds_after_the_oldest():
    assert first_free(at(0.0, 1.0, 1.2), after(1.5), 3) == after(2.1)


def test_moments_that_are_given_already_count():
    assert first_free(at(0.0, 0.1, 2.1, 2.2), after(1.0), 2) == after(4.2)


def test_a_gap_between_given_moments_is_used():
    assert first_free(at(0.0, 4.0, 4.1), after(1.0), 2) == after(1.0)


def test_a_moment_before_given_ones_leaves_their_window_as_it_may_be():
    assert first_free(at(2.0, 2.1), after(1.0), 2) == after(4.1)


def test_a_limit_that_was_lowered_holds_from_now_on():
    assert first_free(at(0.0, 0.1, 0.2, 0.3), after(0.4), 1) == after(2.4)


# Gates ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def account(member):
    return Connection.objects.create(workspace=member.workspace)


def gate(account, lane=Lane.INTERACTIVE, *, seconds=None):
    return Gate(account.pk, account.workspace_id, lane, None if seconds is None else time.monotonic() + seconds)


def meter_of(account, **fields):
    """Its meter, with these fields where they are given."""
    meter, _ = TokenMeter.objects.update_or_create(connection=account, workspace=account.workspace, defaults=fields)
    return meter


def most_within_a_window(moments):
    moments = sorted(moments)
    return max(sum(first <= moment < first + WINDOW for moment in moments) for first in moments)


def in_threads(count, act):
    """What each of the threads returned, all released at the same moment."""
    start = Barrier(count)

    def run(number):
        try:
            connection.ensure_connection()
            start.wait()
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def entering(account, lane, *, times, is_search=False):
    """An act for a thread: it enters so often, and tells when."""

    def act(_):
        own = gate(account, lane)
        moments = []
        for _ in range(times):
            own.enter(1, is_search=is_search)
            moments.append(time.monotonic())
        return moments

    return act


def entering_for(account, lane, seconds):
    def act(_):
        own = gate(account, lane)
        ends = time.monotonic() + seconds
        moments = []
        while time.monotonic() < ends:
            own.enter(1, is_search=False)
            moments.append(time.monotonic())
        return moments

    return act


def flat(lists):
    return [one for some in lists for one in some]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lane", Lane)
def test_six_at_once_never_ask_more_than_the_limit_in_any_two_seconds(account, lane):
    moments = flat(in_threads(6, entering(account, lane, times=9)))

    assert len(moments) == 54
    assert most_within_a_window(moments) <= 20
    assert TokenMeter.objects.get().spent == 54


@pytest.mark.django_db(transaction=True)
def test_searches_keep_their_own_limit(account):
    moments = flat(in_threads(6, entering(account, Lane.INTERACTIVE, times=4, is_search=True)))

    assert most_within_a_window(moments) <= 10


@pytest.mark.django_db(transaction=True)
def test_in_the_background_alone_four_fifths_of_the_rate_are_used(account):
    moments = sorted(flat(in_threads(8, entering_for(account, Lane.BACKGROUND, 6.3))))

    took = moments[-1] - moments[0]
    assert len(moments) / took >= 0.8 * 20 / WINDOW
    assert most_within_a_window(moments) <= 18


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_an_answer_passes_eight_in_the_background(account):
    def act(number):
        if number < 8:
            return entering_for(account, Lane.BACKGROUND, 5)(number)
        time.sleep(2.5)  # until the others have taken all they may
        began = time.monotonic()
        entering(account, Lane.INTERACTIVE, times=6)(number)
        return time.monotonic() - began

    *moments, took = in_threads(9, act)

    assert len(flat(moments)) > 20
    assert took < 2


@pytest.mark.django_db(transaction=True)
def test_the_days_tokens_are_never_exceeded(account):
    meter_of(account, daily_limit=100, burst_limit=1000)

    def act(_):
        own = gate(account)
        entered = 0
        try:
            for _ in range(10):
                own.enter(5, is_search=False)
                entered += 1
        except BudgetSpent:
            pass
        return entered

    entered = in_threads(6, act)

    assert sum(entered) == 20
    assert TokenMeter.objects.get().spent == 100


@pytest.mark.django_db(transaction=True)
def test_who_waits_while_the_account_is_closed_waits_for_its_opening(account):
    meter_of(account, burst_limit=1)
    gate(account).enter(1, is_search=False)
    began = time.monotonic()

    waiting = Thread(target=lambda: in_threads(1, lambda _: gate(account).enter(1, is_search=False)))
    waiting.start()
    time.sleep(0.5)
    gate(account).told(429, {"retry-after": "3"})
    waiting.join()

    assert time.monotonic() - began >= 3.4
    assert TokenMeter.objects.get().spent == 2


@pytest.mark.django_db
def test_no_network_is_waited_for_inside_a_transaction(account, django_db_blocker):
    from django.db import transaction

    with transaction.atomic(), pytest.raises(RuntimeError):
        gate(account).enter(1, is_search=False)


@pytest.mark.django_db
def test_the_background_leaves_a_fifth_of_the_days_tokens(account):
    meter_of(account, daily_limit=100, day=timezone.now().date(), spent=79)

    gate(account, Lane.BACKGROUND).enter(1, is_search=False)
    with pytest.raises(BudgetSpent) as refused:
        gate(account, Lane.BACKGROUND).enter(1, is_search=False)
    gate(account).enter(20, is_search=True)

    assert TokenMeter.objects.get().spent == 100
    until = refused.value.details["until"]
    assert (until.tzinfo, until.hour, until.minute) == (UTC, 0, 0)
    assert timedelta() < until - timezone.now() <= timedelta(days=1)


@pytest.mark.django_db
def test_with_a_new_day_in_utc_there_are_new_tokens(account):
    yesterday = timezone.now().date() - timedelta(days=1)
    meter_of(account, daily_limit=100, day=yesterday, spent=100)

    gate(account).enter(5, is_search=False)

    meter = TokenMeter.objects.get()
    assert (meter.day, meter.spent) == (timezone.now().date(), 5)


@pytest.mark.django_db
def test_a_turn_that_comes_too_late_is_not_waited_for(account):
    meter_of(account, burst_limit=1)
    gate(account).enter(1, is_search=False)
    began = time.monotonic()

    with pytest.raises(Unreachable):
        gate(account, seconds=1).enter(1, is_search=False)

    assert time.monotonic() - began < 0.5
    meter = TokenMeter.objects.get()
    assert (meter.spent, len(meter.requested)) == (1, 1)


# What it is told ------------------------------------------------------------------------------------------------------------


def closed_for(account):
    """Seconds, rounded."""
    return round((TokenMeter.objects.get(connection=account).closed_until - timezone.now()).total_seconds())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"x-ratelimit-reset": "4"}, 4),
        ({"retry-after": "soon"}, 2),
        ({"retry-after": "-5"}, 2),
        ({"retry-after": "999999999999"}, 2),
        ({"retry-after": "99999999"}, 86_400),
        ({}, 2),
    ],
)
def test_after_too_many_requests_nothing_is_asked_for_as_long_as_we_are_told(account, headers, seconds):
    gate(account).told(429, headers)

    assert closed_for(account) == seconds
    with pytest.raises(Unreachable):
        gate(account, seconds=1).enter(1, is_search=False)


@pytest.mark.django_db
def test_without_a_word_on_when_to_go_on_the_waits_double_up_to_a_minute(account):
    waits = []
    for _ in range(7):
        gate(account).told(429, {})
        waits.append(closed_for(account))
        TokenMeter.objects.update(closed_until=timezone.now())

    assert waits == [2, 4, 8, 16, 32, 60, 60]


@pytest.mark.django_db
def test_of_several_refused_together_one_counts(account):
    for _ in range(8):
        gate(account).told(429, {})

    assert closed_for(account) == 2


@pytest.mark.django_db
def test_after_a_success_the_waits_are_short_again(account):
    gate(account).told(429, {})
    TokenMeter.objects.update(closed_until=timezone.now())
    own = gate(account)
    own.enter(1, is_search=False)
    own.told(200, {})

    gate(account).told(429, {})

    assert closed_for(account) == 2


@pytest.mark.django_db
def test_a_success_that_was_under_way_makes_no_wait_shorter(account):
    gate(account).told(429, {})
    TokenMeter.objects.update(closed_until=timezone.now())
    own = gate(account)
    own.enter(1, is_search=False)
    gate(account).told(429, {})
    own.told(200, {})
    TokenMeter.objects.update(closed_until=timezone.now())

    gate(account).told(429, {})

    assert closed_for(account) == 8


@pytest.mark.django_db
def test_a_page_of_html_that_forbids_closes_the_account_for_a_while(account):
    gate(account).told(403, {"content-type": "text/html; charset=UTF-8"})

    assert closed_for(account) == 60


@pytest.mark.django_db
def test_what_a_user_may_not_do_closes_nothing(account):
    meter_of(account)

    gate(account).told(403, {"content-type": "application/json"})

    assert TokenMeter.objects.get().closed_until is None


@pytest.mark.django_db
def test_when_the_days_tokens_are_used_up_there_nothing_is_asked_until_midnight(account):
    gate(account).told(429, {"x-daily-requests-left": "0", "retry-after": "1"})

    for lane in Lane:
        with pytest.raises(BudgetSpent):
            gate(account, lane).enter(1, is_search=False)


@pytest.mark.django_db
def test_tokens_that_others_have_spent_are_learnt_when_there_are_too_few(account):
    meter_of(account, daily_limit=1000)

    gate(account).told(429, {"x-daily-requests-left": "15", "retry-after": "1"})

    meter = TokenMeter.objects.get()
    assert (meter.day, meter.spent, closed_for(account)) == (timezone.now().date(), 985, 1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("told", "limit"), [("40", 40), ("0", 20), ("-1", 20), ("a lot", 20), ("4" * 30, 20), ("99999", 20), ("٤٠", 20)]
)
def test_the_limit_is_learnt_from_an_answer(account, told, limit):
    own = gate(account)
    own.enter(1, is_search=False)

    own.told(200, {"x-ratelimit-limit": told})

    assert TokenMeter.objects.get().burst_limit == limit


@pytest.mark.django_db
def test_the_limit_of_searches_is_not_taken_for_that_of_all_requests(account):
    own = gate(account)
    own.enter(20, is_search=True)

    own.told(200, {"x-ratelimit-limit": "10"}, is_search=True)

    assert TokenMeter.objects.get().burst_limit == 20


@pytest.mark.django_db
def test_an_answer_that_tells_nothing_new_costs_no_query(account, django_assert_num_queries):
    own = gate(account)
    own.enter(1, is_search=False)

    with django_assert_num_queries(0):
        own.told(200, {"x-ratelimit-limit": "20"})
