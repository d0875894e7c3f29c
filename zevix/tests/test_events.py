"""The event log: numbered from 1 in each workspace, without gaps, in the order of the commits."""

import time
from random import Random
from threading import Event as Signal
from threading import Thread

import pytest
from django.db import connection, transaction

from accounts.models import Workspace
from accounts.tests.factories import make_workspace
from accounts.tests.threads import at_once
from zevix import events
from zevix.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

THREADS, EACH = 8, 25


def log_of(workspace):
    """``(seq, data)`` of a workspace's events, by number."""
    return list(Event.objects.filter(workspace=workspace).order_by("seq").values_list("seq", "data"))


def numbers(workspace):
    return [seq for seq, _data in log_of(workspace)]


def record(workspace, **data):
    with transaction.atomic():
        events.record(workspace.pk, "lead.created", data)


class Held:
    """A transaction that has recorded an event and stays open until it is let go."""

    def __init__(self, workspace: Workspace, **data: object) -> None:
        self._recorded, self._may_commit = Signal(), Signal()
        self._thread = Thread(target=self._run, args=(workspace, data))
        self._thread.start()
        assert self._recorded.wait(10)

    def _run(self, workspace, data):
        try:
            with transaction.atomic():
                events.record(workspace.pk, "lead.created", data)
                self._recorded.set()
                self._may_commit.wait(10)
        finally:
            connection.close()

    def commit(self) -> None:
        self._may_commit.set()
        self._thread.join(10)


@pytest.fixture
def impatient(db):
    """A statement that waits for a lock fails soon, instead of holding up the tests."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def test_an_event_is_written_with_its_workspace_type_and_data():
    workspace = make_workspace()

    record(workspace, id=5)

    event = Event.objects.get()
    assert (event.workspace, event.seq, event.type, event.data) == (workspace, 1, "lead.created", {"id": 5})


def test_events_of_one_transaction_are_numbered_in_the_order_in_which_they_were_recorded():
    workspace = make_workspace()

    with transaction.atomic():
        for number in range(5):
            events.record(workspace.pk, "lead.created", {"n": number})

    assert log_of(workspace) == [(number + 1, {"n": number}) for number in range(5)]


def test_an_event_has_no_number_before_its_transaction_commits():
    workspace = make_workspace()

    with transaction.atomic():
        events.record(workspace.pk, "lead.created", {})
        before = numbers(workspace)

    assert before == [None]
    assert numbers(workspace) == [1]


def test_a_transaction_that_is_rolled_back_leaves_no_gap():
    workspace = make_workspace()
    record(workspace, n=1)

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        events.record(workspace.pk, "lead.created", {"n": "lost"})
        raise ZeroDivisionError
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            events.record(workspace.pk, "lead.created", {"n": "lost"})
            raise ZeroDivisionError
        events.record(workspace.pk, "lead.created", {"n": 2})

    assert log_of(workspace) == [(1, {"n": 1}), (2, {"n": 2})]


def test_a_transaction_that_fails_at_its_commit_leaves_no_gap():
    workspace = make_workspace()
    other = make_workspace()
    record(workspace, n=1)

    with pytest.raises(Exception, match="violates foreign key"), transaction.atomic():
        events.record(workspace.pk, "lead.created", {"n": "lost"})
        Event(workspace_id=other.pk + 1000, type="lead.created").save()
    record(workspace, n=2)

    assert log_of(workspace) == [(1, {"n": 1}), (2, {"n": 2})]


def test_numbers_follow_the_commits_not_the_recordings(impatient):
    workspace = make_workspace()
    slow = Held(workspace, who="recorded first")

    record(workspace, who="committed first")
    seen_meanwhile = log_of(workspace)
    slow.commit()

    assert seen_meanwhile == [(1, {"who": "committed first"})]
    assert log_of(workspace) == [(1, {"who": "committed first"}), (2, {"who": "recorded first"})]


def test_nobody_waits_for_a_transaction_that_is_still_at_work(impatient):
    workspace = make_workspace()
    record(workspace)
    slow = Held(workspace)

    started = time.monotonic()
    for _ in range(5):
        record(workspace)
    took = time.monotonic() - started
    slow.commit()

    assert took < 1
    assert numbers(workspace) == [1, 2, 3, 4, 5, 6, 7]


def test_two_workspaces_count_each_for_itself(impatient):
    mine, theirs = make_workspace(), make_workspace()
    slow = Held(theirs)

    for _ in range(3):
        record(mine)
    slow.commit()
    with transaction.atomic():
        events.record(theirs.pk, "lead.created", {})
        events.record(mine.pk, "lead.created", {})

    assert (numbers(mine), numbers(theirs)) == ([1, 2, 3, 4], [1, 2])


def test_many_writers_leave_neither_gap_nor_double_and_a_reader_misses_nothing():
    workspace = make_workspace()
    writing = Signal()
    read: list[int | None] = []

    def write(writer):
        random = Random(writer)
        for number in range(EACH):
            lost = number % 5 == 4
            try:
                with transaction.atomic():
                    events.record(workspace.pk, "lead.created", {"writer": writer, "n": number})
                    time.sleep(random.random() / 500)
                    if lost:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                pass

    def follow():
        """Read on from the last number seen, as a client does that resumes."""
        try:
            while True:
                done = writing.is_set()
                last = read[-1] if read else 0
                found = Event.objects.filter(workspace=workspace, seq__gt=last).order_by("seq")
                read.extend(found.values_list("seq", flat=True))
                if done:
                    return
        finally:
            connection.close()

    reader = Thread(target=follow)
    reader.start()
    writers = [lambda writer=writer: write(writer) for writer in range(THREADS)]
    at_once(writers)
    writing.set()
    reader.join(20)

    kept = THREADS * EACH * 4 // 5
    assert numbers(workspace) == list(range(1, kept + 1))
    assert read == list(range(1, kept + 1))
    for writer in range(THREADS):
        mine = [data["n"] for _seq, data in log_of(workspace) if data["writer"] == writer]
        assert mine == sorted(mine)


def test_a_workspace_goes_with_its_log():
    workspace, other = make_workspace(), make_workspace()
    record(workspace)
    record(other)

    workspace.delete()

    assert list(Event.objects.values_list("workspace", flat=True)) == [other.pk]
    record(other)
    assert numbers(other) == [1, 2]
