"""What the tests of analyses share: an answer, a workspace that may ask, and a run to its end."""

import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from ai.analysis import running, starting
from ai.tests.factories import give_budget
from leads.models import Lead
from leads.selections import Selection

SOON = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
FOUND = {
    "status": "CONTACTED",
    "needs_action": True,
    "next_action_at": SOON.isoformat(),
    "next_action_description": "Call Anna about the offer.",
    "last_contact": None,
    "score": 70,
    "reason": "She asked for a price.",
}
FIELDS = ("status", "needs_action", "next_action_at", "next_action_description", "last_contact", "score")
FILE = "company,email,notes\nClinic One,one@x.example,asked for a price\nClinic Two,two@x.example,\n"


@pytest.fixture(name="member")
def member_with_ai(member, settings):
    """The admin of a workspace that may use AI."""
    settings.AI_ANALYSIS_PER_MINUTE = 0
    give_budget(member.workspace, 10_000)
    return member


def work(run):
    """Do a run to its end, as its job does."""
    while running.work(run, is_last_try=True, leave_off=lambda: False) is not None:
        pass
    run.refresh_from_db()
    return run


def analyze(member, *leads):
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    return work(run)


def lead_of(body):
    """The lead that a question is about."""
    (text,) = re.findall(r'name="lead">\n(.*?)\n</data-', body["input"][0]["content"], re.DOTALL)
    return orjson.loads(text)


def import_file(api, text=FILE, **options):
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return api.post(f"/import/leads?{query}", text, content_type="text/csv").json()


def facts(lead):
    return Lead.objects.filter(pk=lead.pk).values(*FIELDS).get()
