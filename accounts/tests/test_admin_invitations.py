"""Invitations in the admin."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts import invitations
from accounts.errors import AlreadyMember
from accounts.models import Invitation, Membership, Role, Workspace
from accounts.tests.factories import make_member, make_workspace

pytestmark = pytest.mark.django_db

LIST, ADD = reverse("admin:accounts_invitation_changelist"), reverse("admin:accounts_invitation_add")
EVE = "eve@example.com"


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def invite(member, email=EVE):
    return invitations.invite(email, Role.AGENT, by=member.user, workspace=member.workspace, language="en")


def add(browser, workspace, email=EVE, role=Role.AGENT, **more):
    return browser.post(ADD, {"workspace": workspace.pk, "email": email, "role": role}, follow=True, **more)


def test_an_admin_invites_and_is_shown_the_link_once(member, in_admin):
    browser = in_admin(member.user)

    answer = add(browser, member.workspace, "Eve@Example.com", Role.MANAGER, headers={"Accept-Language": "de"})

    made = Invitation.objects.get()
    link = invitations.link_of(made)
    assert (made.email, made.role, made.invited_by, made.workspace) == (EVE, "manager", member.user, member.workspace)
    assert [re.search(r"http\S+", sentence)[0] for sentence in said(answer) if "http" in sentence] == [link]
    assert invitations.token_of(made) not in browser.get(LIST).content.decode()
    assert ProcrastinateJob.objects.get(args__invitation_id=made.pk).args["language"] == "de"


def test_inviting_again_renews_the_invitation(member, in_admin):
    first = invitations.token_of(invite(member))

    add(in_admin(member.user), member.workspace)

    assert invitations.token_of(Invitation.objects.get()) != first


def test_a_member_is_not_invited(member, in_admin):
    answer = add(in_admin(member.user), member.workspace, member.user.email)

    assert said(answer) == [str(AlreadyMember.message)]
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("email", ["", "nobody", "İ" * 240 + "@example.com", "a\x00@example.com"])
def test_what_is_no_address_is_refused_at_the_field(member, in_admin, email):
    answer = add(in_admin(member.user), member.workspace, email)

    assert "email" in answer.context["adminform"].form.errors


def test_nobody_is_invited_into_the_catalogue_or_somebody_elses_workspace(operator, member, stranger, in_admin):
    Membership.objects.create(user=member.user, workspace=stranger.workspace, role=Role.MANAGER)

    answers = [
        add(in_admin(operator), Workspace.objects.catalogue()),
        add(in_admin(member.user), stranger.workspace),
        add(in_admin(member.user), make_workspace()),
    ]

    assert all("workspace" in answer.context["adminform"].form.errors for answer in answers)
    assert not Invitation.objects.exists()


def test_the_operator_invites_into_every_workspace(operator, stranger, in_admin):
    add(in_admin(operator), stranger.workspace)

    assert Invitation.objects.get().invited_by == operator


def test_a_manager_sees_the_invitations_and_does_nothing_with_them(member, in_admin):
    row = invite(member)
    browser = in_admin(make_member(Role.MANAGER, member.workspace).user)

    shown = browser.get(LIST)
    refused = browser.get(ADD)
    for action in ("revoke", "resend"):
        browser.post(LIST, {"action": action, "_selected_action": [row.pk]})

    assert list(shown.context["cl"].result_list) == [row]
    assert refused.status_code == 403
    assert Invitation.objects.open().get() == row
    assert ProcrastinateJob.objects.filter(args__invitation_id=row.pk).count() == 1


def test_an_admin_revokes_and_mails_again_in_their_own_workspaces_only(member, stranger, in_admin):
    mine, others = invite(member), invite(stranger)
    Membership.objects.create(user=member.user, workspace=stranger.workspace, role=Role.MANAGER)
    browser = in_admin(member.user)
    chosen = {"_selected_action": [mine.pk, others.pk]}

    resent = browser.post(LIST, {"action": "resend", **chosen}, follow=True)
    revoked = browser.post(LIST, {"action": "revoke", **chosen}, follow=True)

    assert said(resent) == ["1 invitation is mailed again."]
    assert said(revoked) == ["1 invitation is revoked."]
    assert Invitation.objects.open().get() == others
    assert [ProcrastinateJob.objects.filter(args__invitation_id=row.pk).count() for row in (mine, others)] == [2, 1]


def test_nobody_changes_or_deletes_an_invitation_by_hand(operator, member, in_admin):
    row = invite(member)
    browser = in_admin(operator)
    page = reverse("admin:accounts_invitation_change", args=[row.pk])

    shown = browser.get(page)
    answers = [
        browser.post(page, {"email": "x@example.com"}),
        browser.post(reverse("admin:accounts_invitation_delete", args=[row.pk]), {"post": "yes"}),
    ]

    assert shown.status_code == 200
    assert row.nonce not in shown.content.decode()
    assert [answer.status_code for answer in answers] == [403, 403]


def test_invitations_are_found_by_their_status_and_by_words(member, in_admin):
    now = timezone.now()
    changes = {
        "open": {},
        "expired": {"expires_at": now - timedelta(days=1)},
        "accepted": {"accepted_at": now},
        "revoked": {"revoked_at": now},
    }
    for status, fields in changes.items():
        Invitation.objects.filter(pk=invite(member, f"{status}@example.com").pk).update(**fields)
    browser = in_admin(member.user)

    found = {status: browser.get(LIST, {"status": status}).context["cl"].result_list for status in changes}
    named = browser.get(LIST, {"q": "revoked@"}).context["cl"].result_list

    assert {status: [row.email for row in rows] for status, rows in found.items()} == {
        status: [f"{status}@example.com"] for status in changes
    }
    assert {row.status for rows in found.values() for row in rows} == set(changes)
    assert [row.email for row in named] == ["revoked@example.com"]


@pytest.mark.parametrize(("who", "cost"), [("operator", 4), ("admin", 6)])
def test_the_list_costs_the_same_with_one_row_and_with_three(
    settings, who, cost, operator, member, in_admin, django_assert_num_queries
):
    settings.SEAT_LIMIT = "accounts.tests.seats.as_many_as_they_like"
    browser = in_admin(operator if who == "operator" else member.user)

    for emails in (["a@example.com"], ["b@example.com", "c@example.com"]):
        for email in emails:
            invite(make_member(Role.ADMIN, member.workspace), email)
        with django_assert_num_queries(cost):
            browser.get(LIST)
