"""Whatever happens to a quota, in whatever order: the books are right, and what they say is what a plain model says."""

from dataclasses import dataclass, field

import pgtrigger
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_member, make_user
from billing.models import TopUp
from leads import auditing, exports, ledger, quotas, refunds
from leads.errors import AdjustsTooFar, AllOwned, QuotaExhausted
from leads.models import Export, Lead, Usage, UsageEntry
from leads.tests.factories import give_plan, make_catalogue_lead

pytestmark = pytest.mark.django_db

LEADS = 12


@dataclass
class Model:
    """A quota in a few lines: each lead that is owned with the month of its charge, and what is left."""

    plan: int = 50
    used: int = 0
    from_credit: int = 0
    credit: int = 0
    month: int = 0
    owned: dict[int, int] = field(default_factory=dict)
    refunded: set[int] = field(default_factory=set)

    def export(self, wanted):
        for lead in wanted:
            room = self.used - self.from_credit < self.plan
            if lead not in self.owned and (room or self.credit):
                self.owned[lead] = self.month
                self.used += 1
                self.from_credit += not room
                self.credit -= not room

    def refund(self, dead):
        for lead in dead:
            if lead not in self.owned or lead in self.refunded:
                continue
            self.refunded.add(lead)
            if self.owned[lead] != self.month or not self.used:
                self.credit += 1
            else:
                self.used -= 1
                self.credit += bool(self.from_credit)
                self.from_credit -= bool(self.from_credit)

    def adjust(self, leads, credits):
        if self.used + leads >= self.from_credit and self.credit + credits >= 0:
            self.used, self.credit = self.used + leads, self.credit + credits

    def next_month(self):
        self.used = self.from_credit = 0
        self.month += 1


_numbers = st.sets(st.integers(0, LEADS - 1), min_size=1, max_size=5).map(sorted)
_acts = st.lists(
    st.one_of(
        st.tuples(st.just("export"), _numbers),
        st.tuples(st.just("refund"), _numbers),
        st.tuples(st.just("top_up"), st.integers(1, 4)),
        st.tuples(st.just("adjust_leads"), st.integers(-4, 4).filter(bool)),
        st.tuples(st.just("adjust_credit"), st.integers(-4, 4).filter(bool)),
        st.tuples(st.just("plan"), st.integers(0, 6)),
        st.tuples(st.just("month"), st.none()),
    ),
    max_size=12,
)


class Real:
    """The same acts upon Zevix."""

    def __init__(self):
        self.member, self.operator = make_member(), make_user(is_superuser=True)
        self.leads = [make_catalogue_lead(email=f"lead{number}@practice.example") for number in range(LEADS)]
        self.months = 0

    @property
    def workspace(self):
        return self.member.workspace

    def export(self, wanted):
        try:
            exports.export(
                [str(self.leads[number].pk) for number in wanted], by=self.member.user, workspace=self.workspace
            )
        except (AllOwned, QuotaExhausted):
            pass

    def refund(self, dead):
        # one by one, since which of several goes back to credit depends on their order
        for number in dead:
            refunds.report_dead([self.leads[number].email])
            # what is bought from now on is thought alive again
            Lead.objects.filter(pk=self.leads[number].pk).update(email_status="unknown")

    def top_up(self, leads):
        pack = TopUp.objects.create(
            workspace=self.workspace, leads=leads, currency="usd", amount=1, session_id=f"cs_{TopUp.objects.count()}"
        )
        for _ in range(2):
            ledger.credit_top_up(pack.pk)

    def adjust(self, **sums):
        try:
            ledger.adjust(self.workspace, **sums, reason="so", by=self.operator)
        except AdjustsTooFar:
            pass

    def next_month(self):
        """What was this month is now one of 2020."""
        self.months += 1
        with pgtrigger.ignore("leads.Usage:is_the_sum_of_its_entries", "leads.UsageEntry:stays_as_it_is"):
            for model in (Usage, UsageEntry, Export):
                model.objects.filter(month=quotas.current_month()).update(month=f"2020-{self.months:02}")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=_acts)
def test_any_life_of_a_quota_ends_as_the_model_says_with_right_books(db, acts):
    with transaction.atomic():
        real, model = Real(), Model()
        for act, value in acts:
            match act:
                case "export":
                    real.export(value)
                    model.export(value)
                case "refund":
                    real.refund(value)
                    model.refund(value)
                case "top_up":
                    real.top_up(value)
                    model.credit += value
                case "adjust_leads":
                    real.adjust(leads=value)
                    model.adjust(value, 0)
                case "adjust_credit":
                    real.adjust(credits=value)
                    model.adjust(0, value)
                case "plan":
                    give_plan(real.workspace, value)
                    model.plan = value
                case "month":
                    real.next_month()
                    model.next_month()

        now = quotas.standing(real.workspace)
        assert (now.used, now.from_credit, now.credit) == (model.used, model.from_credit, model.credit)
        assert [line for check in auditing.CHECKS for line in auditing.differences(check)] == []
        transaction.set_rollback(True)
