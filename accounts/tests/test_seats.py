"""Seats: who is in stays, and nobody comes in beyond them."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import invitations
from accounts.errors import SeatLimitReached
from accounts.models import Invitation, Membership, Role
from accounts.tests.factories import make_member, make_user
from accounts.tests.threads import at_once

pytestmark = pytest.mark.django_db

INVITATIONS, ACCEPT = "/api/v1/invitations", "/api/v1/invitations/accept"
PASSWORD = "correct horse battery 9"


@pytest.fixture
def three_seats(settings):
    settings.SEAT_LIMIT = "accounts.tests.seats.three"


def invite(member, email):
    return invitations.invite(email, Role.AGENT, by=member.user, workspace=member.workspace, language="en")


def accept(client, invitation):
    return client.post(ACCEPT, {"token": invitations.token_of(invitation), "password": PASSWORD})


def test_invitations_that_are_open_hold_their_seats(three_seats, api, member):
    make_member(Role.AGENT, member.workspace)

    last, beyond = (api.post(INVITATIONS, {"email": f"{name}@example.com"}) for name in ("eve", "tom"))

    assert last.status_code == 201
    assert beyond.status_code == 409
    assert beyond.json() == {
        "success": False,
        "error": "seat_limit_reached",
        "message": "All 3 seats are taken: members 2, open invitations 1.",
        "limit": 3,
        "members": 2,
        "invited": 1,
        "request_id": beyond["X-Request-ID"],
    }
    assert Invitation.objects.count() == 1


def test_inviting_an_address_again_takes_no_further_seat(three_seats, api, member):
    make_member(Role.AGENT, member.workspace)

    answers = [api.post(INVITATIONS, {"email": address}) for address in ("eve@example.com", "Eve@Example.com")]

    assert [answer.status_code for answer in answers] == [201, 201]


@pytest.mark.parametrize("end", ["revoke", "expire", "accept elsewhere"])
def test_an_invitation_that_is_over_holds_no_seat(end, three_seats, api, member, stranger):
    make_member(Role.AGENT, member.workspace)
    first = invite(stranger if end == "accept elsewhere" else member, "eve@example.com")
    if end == "revoke":
        invitations.revoke(Invitation.objects.filter(pk=first.pk))
    if end == "expire":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert api.post(INVITATIONS, {"email": "tom@example.com"}).status_code == 201


def test_members_who_came_in_by_another_door_leave_no_seat_for_an_invitation(three_seats, member, anonymous):
    invitation = invite(member, "eve@example.com")
    for _ in range(2):
        make_member(Role.AGENT, member.workspace)

    refused = accept(anonymous, invitation)
    Membership.objects.filter(workspace=member.workspace, role=Role.AGENT).first().delete()
    let_in = accept(anonymous, invitation)

    assert (refused.status_code, refused.json()["error"]) == (409, "seat_limit_reached")
    assert let_in.status_code == 201


def test_a_refused_newcomer_leaves_no_account_behind(three_seats, member, anonymous):
    invitation = invite(member, "eve@example.com")
    for _ in range(2):
        make_member(Role.AGENT, member.workspace)

    accept(anonymous, invitation)

    assert not Membership.objects.filter(user__email="eve@example.com").exists()
    assert anonymous.post("/api/auth/login", {"email": "eve@example.com", "password": PASSWORD}).status_code == 401


def test_who_is_in_stays_when_the_seats_become_fewer(settings, api, member, client_of):
    colleagues = [make_member(Role.AGENT, member.workspace) for _ in range(3)]
    settings.SEAT_LIMIT = "accounts.tests.seats.two"

    assert [client_of(one).get("/api/v1/leads").status_code for one in colleagues] == [200, 200, 200]
    assert api.post(INVITATIONS, {"email": "eve@example.com"}).status_code == 409


def test_a_workspace_without_a_limit_has_as_many_members_as_it_likes(settings, api, member):
    settings.SEAT_LIMIT = "accounts.tests.seats.as_many_as_they_like"
    for _ in range(8):
        make_member(Role.AGENT, member.workspace)

    assert api.post(INVITATIONS, {"email": "eve@example.com"}).status_code == 201


def test_the_free_plans_five_seats_are_the_limit_of_everybody_else(api, member):
    for _ in range(4):
        make_member(Role.AGENT, member.workspace)

    refused = api.post(INVITATIONS, {"email": "eve@example.com"}).json()

    assert (refused["error"], refused["limit"], refused["members"]) == ("seat_limit_reached", 5, 5)


def test_another_workspaces_members_take_no_seat_here(three_seats, api, stranger):
    for _ in range(5):
        make_member(Role.AGENT, stranger.workspace)
        Invitation.objects.create(
            workspace=stranger.workspace, email=make_user().email, nonce=make_user().email, expires_at=timezone.now()
        )

    assert api.post(INVITATIONS, {"email": "eve@example.com"}).status_code == 201


def test_the_operator_adds_nobody_beyond_the_seats_either(settings, member, operator, in_admin):
    settings.SEAT_LIMIT = "accounts.tests.seats.two"
    browser = in_admin(operator)
    page = reverse("admin:accounts_membership_add")
    newcomers = [make_user(), make_user()]

    answers = [
        browser.post(page, {"user": user.pk, "workspace": member.workspace_id, "role": "agent"}, follow=True)
        for user in newcomers
    ]

    assert list(Membership.objects.filter(user__in=newcomers).values_list("user", flat=True)) == [newcomers[0].pk]
    assert "All 2 seats are taken: members 2, open invitations 0." in answers[1].content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_two_who_accept_the_last_seat_at_once_do_not_both_get_it(attempt, three_seats, rf):
    admin = make_member()
    tokens = [invitations.token_of(invite(admin, f"{name}@example.com")) for name in ("eve", "tom")]
    make_member(Role.AGENT, admin.workspace)

    def join(token):
        try:
            invitations.accept(token, PASSWORD, request=rf.post(ACCEPT))
        except SeatLimitReached:
            return "refused"
        return "joined"

    fates = at_once([lambda token=token: join(token) for token in tokens])

    assert sorted(fates) == ["joined", "refused"]
    assert Membership.objects.for_workspace(admin.workspace).count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_who_are_invited_to_the_last_seat_at_once_are_not_both_invited(three_seats):
    admin = make_member()
    make_member(Role.AGENT, admin.workspace)

    def ask(email):
        try:
            invite(admin, email)
        except SeatLimitReached:
            return "refused"
        return "invited"

    fates = at_once([lambda email=email: ask(email) for email in ("eve@example.com", "tom@example.com")])

    assert sorted(fates) == ["invited", "refused"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_accepting_and_inviting_the_same_address_at_once_ends_well(attempt, three_seats, rf):
    admin = make_member()
    token = invitations.token_of(invite(admin, "eve@example.com"))

    def join():
        try:
            invitations.accept(token, PASSWORD, request=rf.post(ACCEPT))
        except Exception as error:
            return type(error).__name__
        return "joined"

    def again():
        try:
            invite(admin, "eve@example.com")
        except Exception as error:
            return type(error).__name__
        return "invited"

    fates = at_once([join, again])

    assert fates in (["joined", "AlreadyMember"], ["TokenInvalid", "invited"])
