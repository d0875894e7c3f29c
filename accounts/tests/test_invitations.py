"""Inviting, by the API and by mail."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext, override
from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.throttling import ScopedRateThrottle

from accounts import invitations
from accounts.models import Invitation, Role
from accounts.tests.factories import make_member, make_workspace
from accounts.tests.mailbox import run_jobs
from accounts.tests.threads import at_once
from accounts.tests.times import with_times
from zevix.models import IdempotentAnswer

pytestmark = pytest.mark.django_db

INVITATIONS = "/api/v1/invitations"
NEW = "eve@example.com"


def path_of(invitation, act=""):
    return f"{INVITATIONS}/{invitation.pk}{act}"


def code(answer):
    return answer.status_code, answer.json().get("error")


def invite(member, email=NEW, role=Role.AGENT):
    return invitations.invite(email, role, by=member.user, workspace=member.workspace, language="en")


def jobs_for(invitation):
    # the tables of the jobs are not emptied between tests
    return ProcrastinateJob.objects.filter(args__invitation_id=invitation.pk)


@pytest.fixture
def invitation(member):
    return invite(member)


@pytest.fixture
def theirs(stranger):
    return invite(stranger, "secret@example.com")


# Inviting -------------------------------------------------------------------------------------------------------------------


def test_an_admin_invites_an_address(member, api):
    answer = api.post(INVITATIONS, {"email": " Eve@Example.com ", "role": "manager"})

    made = Invitation.objects.get()
    assert answer.status_code == 201
    assert with_times(answer.json()) == {
        "id": made.pk,
        "email": NEW,
        "role": "manager",
        "token": invitations.token_of(made),
        "expires_at": made.expires_at,
    }
    assert (made.workspace, made.invited_by) == (member.workspace, member.user)
    assert abs(made.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    assert jobs_for(made).get().args == {"invitation_id": made.pk, "language": "en"}


@pytest.mark.parametrize("role", Role.values)
def test_an_invitation_is_for_any_role(api, role):
    assert api.post(INVITATIONS, {"email": NEW, "role": role}).json()["role"] == role


def test_without_a_role_it_is_for_an_agent(api):
    assert api.post(INVITATIONS, {"email": NEW}).json()["role"] == "agent"


def test_the_token_is_nowhere_in_the_database(api):
    token = api.post(INVITATIONS, {"email": NEW}, headers={"Idempotency-Key": "k"}).json()["token"]

    made = Invitation.objects.get()
    kept = [
        *Invitation.objects.values_list("nonce", flat=True),
        *(bytes(answer.body).decode() for answer in IdempotentAnswer.objects.all()),
        *(str(job.args) for job in jobs_for(made)),
    ]
    assert len(kept) == 3
    assert not any(token in text for text in kept)


def test_another_secret_key_ends_the_links_that_are_out(invitation, settings):
    token = invitations.token_of(invitation)
    settings.SECRET_KEY = "another"

    with pytest.raises(invitations.TokenInvalid):
        invitations.find(token)


def test_the_same_key_invites_once_and_gives_the_first_answer_again(api):
    first, again = (api.post(INVITATIONS, {"email": NEW}, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert again.json() == first.json()
    assert jobs_for(Invitation.objects.get()).count() == 1


def test_inviting_again_renews_the_invitation_and_ends_the_first_token(member, api):
    first = api.post(INVITATIONS, {"email": NEW, "role": "agent"}).json()
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))

    second = api.post(INVITATIONS, {"email": NEW.upper(), "role": "admin"}).json()

    made = Invitation.objects.get()
    assert (second["id"], second["role"], second["email"]) == (first["id"], "admin", NEW)
    assert invitations.find(second["token"]) == made
    with pytest.raises(invitations.TokenInvalid):
        invitations.find(first["token"])


@pytest.mark.parametrize("ended", ["accepted_at", "revoked_at"])
def test_one_that_was_accepted_or_revoked_stays_as_it_is(member, invitation, ended):
    Invitation.objects.update(**{ended: timezone.now()})

    second = invite(member)

    assert second.pk != invitation.pk
    assert Invitation.objects.count() == 2


def test_two_workspaces_invite_the_same_address(member, stranger):
    mine, others = invite(member), invite(stranger)

    assert mine.pk != others.pk


def test_a_member_is_not_invited_in_whatever_letters(member, api):
    make_member(Role.AGENT, member.workspace, email=NEW)

    answer = api.post(INVITATIONS, {"email": "EVE@example.com"})

    assert code(answer) == (409, "conflict")
    assert answer.json()["message"] == "Somebody with this address is a member already."
    assert not Invitation.objects.exists()


def test_a_member_of_another_workspace_is_invited(stranger, api):
    assert api.post(INVITATIONS, {"email": stranger.user.email}).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": None}, "email"),
        ({"email": 7}, "email"),
        ({"email": ["a@b.example"]}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "a\x00@b.example"}, "email"),
        ({"email": "a\n@b.example"}, "email"),
        ({"email": f"{'x' * 250}@b.example"}, "email"),
        ({"email": "İ" * 200 + "@b.example"}, "email"),
        ({"email": NEW, "role": "owner"}, "role"),
        ({"email": NEW, "role": ["admin"]}, "role"),
        ({"email": NEW, "role": None}, "role"),
        ({"email": NEW, "workspace": 1}, "workspace"),
        ([NEW], "non_field_errors"),
    ],
)
def test_what_is_no_invitation_is_refused_at_its_field(api, body, field):
    answer = api.post(INVITATIONS, body)

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [field]
    assert not Invitation.objects.exists()


def test_inviting_too_many_is_refused_for_a_while_and_reading_is_not(api, monkeypatch):
    monkeypatch.setitem(ScopedRateThrottle.THROTTLE_RATES, "invitation", "2/hour")
    for number in range(2):
        api.post(INVITATIONS, {"email": f"{number}@example.com"})

    refused = api.post(INVITATIONS, {"email": NEW})

    assert code(refused) == (429, "rate_limited")
    assert api.get(INVITATIONS).status_code == 200


@pytest.mark.parametrize("role", [Role.MANAGER, Role.AGENT])
def test_only_admins_invite_read_revoke_and_mail_again(member, invitation, client_of, role):
    caller = client_of(make_member(role, member.workspace))

    answers = [
        caller.get(INVITATIONS),
        caller.post(INVITATIONS, {"email": "x@example.com", "role": "admin"}),
        caller.delete(path_of(invitation)),
        caller.post(path_of(invitation, "/resend")),
    ]

    assert [code(answer) for answer in answers] == [(403, "permission_denied")] * 4
    assert Invitation.objects.open().get() == invitation


def test_inviting_takes_a_token(anonymous, invitation):
    answers = [anonymous.get(INVITATIONS), anonymous.post(INVITATIONS, {"email": NEW})]

    assert [code(answer) for answer in answers] == [(401, "authentication_required")] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_inviting_an_address_twice_at_the_same_moment_makes_one_invitation(attempt):
    member = make_member()

    made = at_once([lambda: invite(member)] * 4)

    assert {invitation.pk for invitation in made} == {Invitation.objects.get().pk}


# The list -------------------------------------------------------------------------------------------------------------------


def test_the_open_invitations_are_listed_with_who_invited_and_without_the_token(settings, member, theirs, api):
    settings.SEAT_LIMIT = "accounts.tests.seats.as_many_as_they_like"
    gone, accepted, revoked, old = (invite(member, f"{name}@example.com") for name in ("gone", "acc", "rev", "old"))
    new = invite(make_member(Role.ADMIN, member.workspace), NEW, Role.MANAGER)
    Invitation.objects.filter(pk=gone.pk).update(invited_by=None)
    Invitation.objects.filter(pk=accepted.pk).update(accepted_at=timezone.now())
    Invitation.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())
    Invitation.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

    rows = api.get(INVITATIONS).json()["results"]

    assert with_times(rows[0]) == {
        "id": new.pk,
        "email": NEW,
        "role": "manager",
        "status": "open",
        "invited_by": {"id": new.invited_by_id, "email": new.invited_by.email},
        "created_at": new.created_at,
        "expires_at": new.expires_at,
    }
    assert [(row["email"], row["status"], row["invited_by"] is None) for row in rows] == [
        (NEW, "open", False),
        ("old@example.com", "expired", False),
        ("gone@example.com", "open", True),
    ]


def test_invitations_are_read_page_by_page(member, api):
    made = [invite(member, f"{number}@example.com").pk for number in range(3)]

    first = api.get(INVITATIONS, {"limit": 2, "count": "true"}).json()
    second = api.get(first["next"]).json()

    assert [row["id"] for row in first["results"] + second["results"]] == made[::-1]
    assert (first["count"], second["next"]) == (3, None)


def test_the_list_costs_the_same_with_one_row_and_with_three(member, invitation, api, django_assert_num_queries):
    for more in (0, 2):
        for number in range(more):
            invite(member, f"{number}@example.com")

        with django_assert_num_queries(2):
            rows = api.get(INVITATIONS).json()["results"]

        assert len(rows) == 1 + more


# Revoking, and mailing again ------------------------------------------------------------------------------------------------


def test_a_revoked_invitation_is_dead(invitation, api):
    answer = api.delete(path_of(invitation))

    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(INVITATIONS).json()["results"] == []
    with pytest.raises(invitations.TokenInvalid):
        invitations.find(invitations.token_of(invitation))


def test_mailing_again_starts_the_time_anew_and_keeps_the_link(invitation, api):
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))

    answer = api.post(path_of(invitation, "/resend"), headers={"Accept-Language": "de"})

    expiry = Invitation.objects.get().expires_at
    assert (answer.status_code, answer.json()["status"]) == (200, "open")
    assert with_times(answer.json())["expires_at"] == expiry
    assert "token" not in answer.json()
    assert expiry - timezone.now() > timedelta(days=6)
    assert invitations.find(invitations.token_of(invitation)) == invitation
    assert [job.args["language"] for job in jobs_for(invitation).order_by("pk")] == ["en", "de"]


@pytest.mark.parametrize("ended", ["accepted_at", "revoked_at"])
def test_one_that_was_accepted_or_revoked_is_neither_revoked_nor_mailed(invitation, api, ended):
    Invitation.objects.update(**{ended: timezone.now()})

    answers = [api.delete(path_of(invitation)), api.post(path_of(invitation, "/resend"))]

    assert [code(answer) for answer in answers] == [(404, "not_found")] * 2
    assert jobs_for(invitation).count() == 1


def test_another_workspaces_invitation_is_not_found(theirs, api):
    paths = [path_of(theirs), f"{INVITATIONS}/999999", f"{INVITATIONS}/{2**70}"]

    answers = [api.delete(path) for path in paths] + [api.post(f"{path}/resend") for path in paths]

    assert [code(answer) for answer in answers] == [(404, "not_found")] * 6
    assert Invitation.objects.open().get() == theirs
    assert api.get(INVITATIONS).json()["results"] == []


# The mail -------------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_link_is_mailed_in_the_language_of_who_invites(mailbox, client_of, language, monkeypatch):
    admin = make_member(email="boss@example.com", workspace=make_workspace(name="Praxis Nord"))
    with override(language):
        subject = gettext("Invitation to {workspace} on Zevix").format(workspace="Praxis Nord")
    headers = {"Accept-Language": f"{language},en;q=0.5"}

    made = client_of(admin).post(INVITATIONS, {"email": NEW}, headers=headers).json()
    run_jobs(monkeypatch)

    [letter] = mailbox.mails
    text = letter.get_content()
    link = urlsplit(next(word for word in text.split() if word.startswith("https://")))
    assert (letter["To"], letter["Subject"]) == (NEW, subject)
    assert (link.netloc, link.path) == ("zevix.example", f"/invitations/{made['token']}")
    assert "boss@example.com" in text


@pytest.mark.django_db(transaction=True)
def test_no_mail_goes_out_for_one_that_was_revoked_meanwhile(mailbox, monkeypatch):
    made = invite(make_member())
    invitations.revoke(Invitation.objects.all())

    run_jobs(monkeypatch)

    assert mailbox.mails == []
    assert jobs_for(made).get().status == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_an_invitation_that_was_not_kept_is_not_mailed():
    admin = make_member()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        made = invite(admin)
        raise ZeroDivisionError

    assert not Invitation.objects.exists()
    assert not jobs_for(made).exists()


def test_names_of_several_lines_stay_in_their_line(member):
    member.workspace.name = "Win\r\nBcc: all@example.com\x85{link}"
    invitation = invite(member)

    invitations.mail_link(invitation, "en")

    [letter] = mail.outbox
    assert letter.subject == "Invitation to Win Bcc: all@example.com {link} on Zevix"
    assert letter.recipients() == [NEW]


def test_an_invitation_by_somebody_who_left_is_mailed_still(invitation):
    Invitation.objects.update(invited_by=None)

    invitations.mail_link(Invitation.objects.select_related("workspace").get(), "en")

    assert mail.outbox[0].body.startswith("Somebody invites you to work in ")
