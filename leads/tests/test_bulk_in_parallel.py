"""Acts upon many leads at the same moment, and one whose worker is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from accounts import roles
from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from leads import bulk, jobs, leaving
from leads.bulk import Change
from leads.errors import NoSuchMembers
from leads.history import Author
from leads.models import BulkChange, Lead, LeadVersion
from leads.selections import Selection
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent


def many(workspace, count):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_lead (workspace_id, company, status) SELECT %s, 'Practice ' || n, 'NEW' FROM generate_series(1, %s) AS n",
            [workspace.pk, count],
        )


@pytest.mark.parametrize("attempt", range(3))
def test_acts_upon_the_same_leads_wait_for_one_another_and_none_is_lost(attempt):
    member = make_member()
    many(member.workspace, 400)
    ids = list(Lead.objects.order_by("pk").values_list("pk", flat=True))

    def act(selection, change):
        return lambda: bulk.start(selection, change, workspace=member.workspace, by=Author.of(member))

    done = at_once(
        [
            act(Selection(ids=ids), Change({"score": 1}, add_tags=["a"])),
            act(Selection(ids=ids[::-1]), Change({"city": "Akron"}, add_tags=["b"])),
            act(Selection(filter={}), Change(users=[member.user_id])),
            act(Selection(filter={"search": "practice"}), Change({"status": "WON"})),
        ]
    )

    assert [change.changed_count for change in done] == [400] * 4
    assert Lead.objects.filter(
        score=1, city="Akron", status="WON", assigned_user=member.user, tags__contains=["a", "b"], version=5
    ).count() == 400  # fmt: skip


def test_a_lead_that_another_act_deletes_meanwhile_is_neither_changed_nor_brought_back():
    member = make_member()
    leads = [make_lead(member.workspace) for _ in range(50)]
    ids = [lead.pk for lead in leads]

    changed, deleted = at_once(
        [
            lambda: bulk.start(Selection(ids=ids), Change({"score": 1}), workspace=member.workspace, by=Author.of(member)),
            lambda: bulk.start(Selection(ids=ids), Change(delete=True), workspace=member.workspace, by=Author.of(member)),
        ]
    )  # fmt: skip

    assert deleted.changed_count == 50
    assert changed.changed_count in (0, 50)
    assert Lead.objects.count() == 0


@pytest.mark.parametrize("attempt", range(3))
def test_a_member_who_leaves_at_this_moment_keeps_no_lead(attempt):
    admin = make_member()
    agent = make_member(Role.AGENT, admin.workspace)
    many(admin.workspace, 200)

    def give():
        try:
            bulk.start(
                Selection(filter={}), Change(users=[agent.user_id]), workspace=admin.workspace, by=Author.of(admin)
            )
        except NoSuchMembers:
            return "refused"
        return "given"

    given, _left = at_once([give, lambda: roles.remove([agent])])
    released = leaving.release(agent.user_id, admin.workspace_id)

    assert released == (200 if given == "given" else 0)
    assert not Lead.objects.filter(assigned_user=agent.user).exists()


def test_an_act_whose_worker_is_killed_goes_on_where_it_was(settings):
    settings.BULK_INLINE_LEADS = 10
    member = make_member()
    many(member.workspace, 30_000)
    change = bulk.start(
        Selection(filter={"status": "NEW"}), Change({"status": "WON"}), workspace=member.workspace, by=Author.of(member)
    )
    url = f"{django_settings.DATABASE_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "procrastinate", "worker", "--queues", "imports"], cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not BulkChange.objects.get(pk=change.pk).cursor:
        assert time.monotonic() < end
        time.sleep(0.02)

    worker.send_signal(signal.SIGKILL)
    worker.wait()
    change.refresh_from_db()
    left = Lead.objects.filter(status="NEW").count()
    jobs.change_in_bulk(bulk_id=change.pk)

    assert (change.status, change.progress, 0 < left < 30_000) == ("running", 100 * (30_000 - left) // 30_000, True)
    change.refresh_from_db()
    assert (change.status, change.matched_count, change.changed_count) == ("completed", 30_000, 30_000)
    assert Lead.objects.filter(status="WON", version=2).count() == 30_000
    assert LeadVersion.objects.filter(pgh_context__act=f"bulk:{change.pk}").count() == 30_000
