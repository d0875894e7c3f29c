"""Plans and subscriptions in the admin."""

import pytest
from django.urls import reverse

from accounts.models import Workspace
from accounts.tests.factories import make_workspace
from billing import entitlements
from billing.models import FREE, Plan, Subscription
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

PLANS = reverse("admin:billing_plan_changelist")
SUBSCRIPTIONS = reverse("admin:billing_subscription_changelist")


def page_of(row, view="change"):
    return reverse(f"admin:billing_{row._meta.model_name}_{view}", args=[row.pk])


@pytest.fixture
def browser(operator, in_admin):
    return in_admin(operator)


@pytest.fixture
def free():
    return Plan.objects.get(code=FREE)


@pytest.fixture
def pro():
    return Plan.objects.get(code="pro")


def test_the_operator_changes_what_a_plan_allows(browser, free):
    workspace = make_workspace()

    browser.post(page_of(free), filled(browser.get(page_of(free)), monthly_leads="75"))

    assert entitlements.plan_of(workspace).monthly_leads == 75


def test_the_free_plans_code_stays(browser, free):
    form = filled(browser.get(page_of(free)))

    browser.post(page_of(free), form | {"code": "gratis", "name": "Gratis"})

    free.refresh_from_db()
    assert "code" not in form
    assert (free.code, free.name) == (FREE, "Gratis")


@pytest.mark.parametrize("bulk", [False, True])
def test_the_free_plan_is_not_deleted(bulk, browser, free):
    if bulk:
        browser.post(PLANS, {"action": "delete_selected", "_selected_action": [free.pk], "post": "yes"})
    else:
        browser.post(page_of(free, "delete"), {"post": "yes"})

    assert Plan.objects.filter(pk=free.pk).exists()


@pytest.mark.parametrize("bulk", [False, True])
def test_a_plan_that_a_workspace_has_is_not_deleted(bulk, browser, pro):
    Subscription.objects.create(workspace=make_workspace(), plan=pro)

    if bulk:
        answer = browser.post(PLANS, {"action": "delete_selected", "_selected_action": [pro.pk], "post": "yes"})
    else:
        answer = browser.post(page_of(pro, "delete"), {"post": "yes"})

    assert answer.status_code in (200, 403)
    assert Plan.objects.filter(pk=pro.pk).exists()


def test_a_plan_that_nobody_has_is_deleted(browser, pro):
    browser.post(page_of(pro, "delete"), {"post": "yes"})

    assert not Plan.objects.filter(pk=pro.pk).exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "pro"}, "code"),
        ({"code": "two words"}, "code"),
        ({"code": "x" * 51}, "code"),
        ({"name": ""}, "name"),
        ({"monthly_leads": "-1"}, "monthly_leads"),
        ({"monthly_leads": "99999999999999999999"}, "monthly_leads"),
        ({"monthly_leads": "many"}, "monthly_leads"),
    ],
)
def test_a_plan_that_can_not_be_is_refused_at_the_field(changes, field, browser):
    answer = browser.post(
        reverse("admin:billing_plan_add"), {"code": "team", "name": "Team", "monthly_leads": "1000"} | changes
    )

    assert answer.context["adminform"].form.errors.keys() == {field}


def test_a_workspace_is_given_a_plan_and_has_the_free_one_again_without_it(browser, pro, free):
    workspace = make_workspace()

    browser.post(reverse("admin:billing_subscription_add"), {"workspace": workspace.pk, "plan": pro.pk})
    given = entitlements.plan_of(workspace)
    browser.post(page_of(Subscription.objects.get(), "delete"), {"post": "yes"})

    assert given == pro
    assert entitlements.plan_of(workspace) == free


def test_a_subscription_stays_with_its_workspace(browser, pro, free):
    given = Subscription.objects.create(workspace=make_workspace(), plan=pro)

    browser.post(page_of(given), filled(browser.get(page_of(given)), plan=free.pk) | {"workspace": make_workspace().pk})

    assert Subscription.objects.get().workspace == given.workspace
    assert Subscription.objects.get().plan == free


def test_the_catalogue_has_no_plan_and_a_workspace_only_one(browser, pro):
    given = Subscription.objects.create(workspace=make_workspace(), plan=pro)

    answers = [
        browser.post(reverse("admin:billing_subscription_add"), {"workspace": workspace.pk, "plan": pro.pk})
        for workspace in (Workspace.objects.catalogue(), given.workspace)
    ]

    assert [answer.context["adminform"].form.errors.keys() for answer in answers] == [{"workspace"}, {"workspace"}]


@pytest.mark.parametrize(("path", "cost"), [(PLANS, 4), (SUBSCRIPTIONS, 5)])
def test_a_list_costs_the_same_with_one_row_and_with_three(path, cost, browser, pro, django_assert_num_queries):
    Plan.objects.exclude(pk=pro.pk).delete()
    for number in (1, 3):
        while Subscription.objects.count() < number:
            plan, _ = Plan.objects.get_or_create(code=f"plan-{number}", name="Tailored", monthly_leads=1)
            Subscription.objects.create(workspace=make_workspace(), plan=plan)

        with django_assert_num_queries(cost):
            browser.get(path)
