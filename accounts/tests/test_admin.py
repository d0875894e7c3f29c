"""Members, roles, users and sign-ins in the admin."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import roles, tokens
from accounts.errors import LastAdmin
from accounts.models import Membership, RefreshToken, Role, User, Workspace
from accounts.tests.factories import make_member, make_user, make_workspace
from accounts.tests.threads import at_once
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

MEMBERS = reverse("admin:accounts_membership_changelist")
TOKENS = reverse("admin:accounts_refreshtoken_changelist")
WORKSPACES = reverse("admin:accounts_workspace_changelist")
USERS = reverse("admin:accounts_user_changelist")
NEW_USER = reverse("admin:accounts_user_add")
STRONG = "a-strong-one-7"


def page_of(row, view="change"):
    return reverse(f"admin:accounts_{row._meta.model_name}_{view}", args=[row.pk])


def said(answer):
    return [str(message) for message in answer.context["messages"]]


# Roles


def test_an_admin_changes_a_members_role(member, in_admin):
    agent = make_member(Role.AGENT, member.workspace)
    browser = in_admin(member.user)

    browser.post(page_of(agent), filled(browser.get(page_of(agent)), role=Role.MANAGER))

    agent.refresh_from_db()
    assert agent.role == Role.MANAGER


def test_a_manager_sees_the_members_and_changes_none(member, in_admin):
    manager = make_member(Role.MANAGER, member.workspace)
    browser = in_admin(manager.user)

    shown = browser.get(page_of(manager))
    answers = [
        browser.post(page_of(manager), {"role": Role.ADMIN}),
        browser.post(page_of(manager, "delete"), {"post": "yes"}),
        browser.get(reverse("admin:accounts_membership_add")),
    ]

    assert shown.status_code == 200
    assert {answer.status_code for answer in answers} == {403}
    assert set(Membership.objects.values_list("role", flat=True)) == {Role.ADMIN, Role.MANAGER}


def test_the_admin_of_one_workspace_is_no_admin_where_they_manage_only(member, in_admin):
    elsewhere = make_member()
    mine = Membership.objects.create(user=member.user, workspace=elsewhere.workspace, role=Role.MANAGER)
    browser = in_admin(member.user)

    answers = [
        browser.post(page_of(mine), {"role": Role.ADMIN}),
        browser.post(page_of(elsewhere, "delete"), {"post": "yes"}),
        browser.post(page_of(elsewhere.workspace), {"name": "Mine now"}),
    ]
    browser.post(MEMBERS, {"action": "delete_selected", "_selected_action": [elsewhere.pk], "post": "yes"})

    mine.refresh_from_db()
    assert {answer.status_code for answer in answers} == {403}
    assert mine.role == Role.MANAGER
    assert Membership.objects.filter(pk=elsewhere.pk).exists()


def test_a_membership_stays_where_it_is(member, in_admin):
    agent, other = make_member(Role.AGENT, member.workspace), make_workspace()
    browser = in_admin(member.user)

    form = filled(browser.get(page_of(agent)), workspace=other.pk, user=member.user.pk)
    browser.post(page_of(agent), form | {"role": Role.MANAGER})

    agent.refresh_from_db()
    assert (agent.workspace, agent.role) == (member.workspace, Role.MANAGER)


def test_the_last_admin_can_not_be_demoted(member, in_admin):
    browser = in_admin(member.user)

    answer = browser.post(page_of(member), filled(browser.get(page_of(member)), role=Role.AGENT))

    member.refresh_from_db()
    assert answer.context["adminform"].form.errors == {"role": [str(LastAdmin.message)]}
    assert member.role == Role.ADMIN


def test_one_of_two_admins_can_be_demoted(member, in_admin):
    other = make_member(Role.ADMIN, member.workspace)
    browser = in_admin(member.user)

    browser.post(page_of(other), filled(browser.get(page_of(other)), role=Role.AGENT))

    other.refresh_from_db()
    assert other.role == Role.AGENT


def test_an_admin_who_may_not_sign_in_does_not_count(member, in_admin):
    make_member(Role.ADMIN, member.workspace, is_active=False)

    with pytest.raises(LastAdmin):
        roles.change(member, Role.AGENT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_of_two_admins_who_demote_each_other_at_the_same_moment_one_stays(attempt):
    first = make_member()
    second = make_member(Role.ADMIN, first.workspace)

    def demote(member):
        try:
            roles.change(member, Role.AGENT)
        except LastAdmin:
            return "stays"
        return "goes"

    fates = at_once([lambda: demote(first), lambda: demote(second)])

    assert sorted(fates) == ["goes", "stays"]
    assert Membership.objects.filter(role=Role.ADMIN).count() == 1


@pytest.mark.parametrize("bulk", [False, True])
def test_the_last_admin_can_not_be_taken_out(bulk, operator, member, in_admin):
    agent = make_member(Role.AGENT, member.workspace)
    browser = in_admin(operator)

    if bulk:
        chosen = {"action": "delete_selected", "_selected_action": [member.pk, agent.pk], "post": "yes"}
        answer = browser.post(MEMBERS, chosen, follow=True)
    else:
        answer = browser.post(page_of(member, "delete"), {"post": "yes"}, follow=True)

    assert said(answer) == [str(LastAdmin.message)]
    assert Membership.objects.filter(workspace=member.workspace).count() == 2


def test_a_member_who_is_taken_out_is_signed_out(member, in_admin, client_of):
    agent = make_member(Role.AGENT, member.workspace)
    theirs = client_of(agent)
    browser = in_admin(member.user)

    browser.post(page_of(agent, "delete"), {"post": "yes"})

    assert not Membership.objects.filter(pk=agent.pk).exists()
    assert theirs.get("/api/v1/leads").status_code == 401


def test_the_operator_puts_a_user_into_a_workspace(operator, in_admin):
    user, workspace = make_user(), make_workspace()
    browser = in_admin(operator)

    browser.post(
        reverse("admin:accounts_membership_add"), {"user": user.pk, "workspace": workspace.pk, "role": Role.AGENT}
    )

    assert Membership.objects.get().role == Role.AGENT


def test_nobody_becomes_a_member_of_the_catalogue_or_twice_of_a_workspace(operator, member, in_admin):
    catalogue = Workspace.objects.catalogue()
    browser = in_admin(operator)

    answers = [
        browser.post(
            reverse("admin:accounts_membership_add"),
            {"user": member.user.pk, "workspace": workspace.pk, "role": Role.AGENT},
        )
        for workspace in (catalogue, member.workspace)
    ]

    assert all(answer.context["adminform"].form.errors for answer in answers)
    assert Membership.objects.count() == 1


# Workspaces


def test_an_admin_renames_the_workspace_and_nobody_deletes_it(member, operator, in_admin):
    browser = in_admin(member.user)

    browser.post(page_of(member.workspace), filled(browser.get(page_of(member.workspace)), name="A better name"))

    member.workspace.refresh_from_db()
    assert member.workspace.name == "A better name"
    assert browser.post(page_of(member.workspace, "delete"), {"post": "yes"}).status_code == 403
    assert in_admin(operator).post(page_of(member.workspace, "delete"), {"post": "yes"}).status_code == 403


# Users


def test_the_operator_adds_a_user_who_can_sign_in(operator, in_admin, anonymous):
    browser = in_admin(operator)

    answer = browser.post(
        NEW_USER, {"email": "Ada@Example.com", "username": "", "password1": STRONG, "password2": STRONG}
    )

    user = User.objects.get(email="ada@example.com")
    make_member_of = Membership.objects.create(user=user, workspace=make_workspace())
    signed_in = anonymous.post("/api/auth/login", {"email": "ada@example.com", "password": STRONG})
    assert answer.status_code == 302
    assert user.username == "ada@example.com"
    assert signed_in.json()["user"]["workspace"]["id"] == make_member_of.workspace_id


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ADA@example.com"}, "email"),
        ({"email": "no address"}, "email"),
        ({"email": ""}, "email"),
        ({"email": "İ" * 240 + "@example.com"}, "email"),
        ({"username": "ADA"}, "username"),
        ({"username": "somebody@else.example"}, "username"),
        ({"username": "two words"}, "username"),
        ({"username": "x" * 255}, "username"),
        ({"password2": "another"}, "password2"),
        ({"password1": "12345678", "password2": "12345678"}, "password2"),
        ({"password1": "", "password2": ""}, "password1"),
    ],
)
def test_a_user_who_can_not_be_is_refused_at_the_field(changes, field, operator, in_admin):
    make_user(email="ada@example.com", username="ada")
    browser = in_admin(operator)
    new = {"email": "new@example.com", "username": "new", "password1": STRONG, "password2": STRONG}

    answer = browser.post(NEW_USER, new | changes)

    assert field in answer.context["adminform"].form.errors
    assert User.objects.count() == 2


def test_a_username_that_is_the_address_follows_it(operator, in_admin):
    user = make_user(email="o'brien@example.com")
    browser = in_admin(operator)

    browser.post(page_of(user), filled(browser.get(page_of(user)), email="o'hara@example.com"))

    user.refresh_from_db()
    assert (user.email, user.username) == ("o'hara@example.com", "o'hara@example.com")


def test_a_password_set_by_the_operator_ends_the_users_tokens(operator, member, in_admin, client_of):
    theirs = client_of(member)
    browser = in_admin(operator)
    page = reverse("admin:auth_user_password_change", args=[member.user_id])

    assert browser.get(page).status_code == 200
    answer = browser.post(page, {"password1": STRONG, "password2": STRONG})

    member.user.refresh_from_db()
    assert answer.status_code == 302
    assert member.user.check_password(STRONG)
    assert theirs.get("/api/v1/leads").status_code == 401


def test_ones_own_new_password_ends_the_other_sign_ins_and_not_this_one(in_admin, client_of):
    manager = make_member(Role.MANAGER, password="the-old-one-7")
    elsewhere, browser = client_of(manager), in_admin(manager.user)
    page = reverse("admin:password_change")

    assert browser.get(page).status_code == 200
    new = {"old_password": "the-old-one-7", "new_password1": STRONG, "new_password2": STRONG}
    wrong = browser.post(page, new | {"old_password": "wrong"})
    answer = browser.post(page, new, follow=True)

    assert wrong.context["form"].errors.keys() == {"old_password"}
    assert answer.status_code == 200
    assert browser.get(reverse("admin:index")).status_code == 200
    assert elsewhere.get("/api/v1/leads").status_code == 401


def test_an_operator_can_not_shut_themselves_out(operator, in_admin):
    browser = in_admin(operator)

    browser.post(page_of(operator), filled(browser.get(page_of(operator)), is_active=None, is_superuser=None))
    browser.post(USERS, {"action": "deactivate", "_selected_action": [operator.pk]})
    refused = browser.post(page_of(operator, "delete"), {"post": "yes"})

    operator.refresh_from_db()
    assert (operator.is_active, operator.is_superuser) == (True, True)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("deactivate", "is_active", False),
        ("activate", "is_active", True),
        ("grant_beta", "is_beta_user", True),
        ("withdraw_beta", "is_beta_user", False),
    ],
)
def test_users_are_changed_together(action, field, value, operator, in_admin):
    users = [make_user(None, **{field: not value}) for _ in range(2)]
    browser = in_admin(operator)

    answer = browser.post(USERS, {"action": action, "_selected_action": [user.pk for user in users]}, follow=True)

    assert said(answer) == ["2 users changed."]
    assert [getattr(User.objects.get(pk=user.pk), field) for user in users] == [value, value]


@pytest.mark.parametrize("bulk", [False, True])
def test_a_user_who_is_some_workspaces_last_admin_is_not_deleted(bulk, operator, member, in_admin):
    browser = in_admin(operator)

    if bulk:
        chosen = {"action": "delete_selected", "_selected_action": [member.user_id], "post": "yes"}
        answer = browser.post(USERS, chosen, follow=True)
    else:
        answer = browser.post(page_of(member.user, "delete"), {"post": "yes"}, follow=True)

    assert said(answer) == [str(LastAdmin.message)]
    assert Membership.objects.filter(pk=member.pk).exists()


def test_another_user_is_deleted_with_their_sign_ins(operator, in_admin):
    agent = make_member(Role.AGENT)
    tokens.issue(agent)
    browser = in_admin(operator)

    shown = browser.get(page_of(agent.user, "delete"))
    browser.post(page_of(agent.user, "delete"), {"post": "yes"})

    assert shown.context["perms_lacking"] == set()
    assert not User.objects.filter(pk=agent.user_id).exists()
    assert not RefreshToken.objects.exists()


# Sign-ins


def test_the_list_shows_the_sign_ins_that_live(member, in_admin):
    used = tokens.issue(member)
    live = tokens.rotate(used.refresh)
    ended = tokens.issue(member)
    tokens.revoke_family(ended.family)
    RefreshToken.objects.filter(family=tokens.issue(member).family).update(expires_at=timezone.now())
    browser = in_admin(member.user)

    shown = {
        state: browser.get(TOKENS, {"state": state} if state else {}).context["cl"].result_list
        for state in ("", "live", "ended", "all", "nosuch")
    }

    assert [token.family for token in shown[""]] == [live.family]
    assert [token.family for token in shown["live"]] == [live.family]
    assert [token.family for token in shown["ended"]] == [ended.family]
    assert len(shown["all"]) == 4


def test_an_admin_ends_sign_ins(member, in_admin, client_of):
    agent = make_member(Role.AGENT, member.workspace)
    issued = tokens.issue(agent)
    browser = in_admin(member.user)

    answer = browser.post(TOKENS, {"action": "end", "_selected_action": [RefreshToken.objects.get().pk]}, follow=True)

    assert said(answer) == ["1 sign-in is ended."]
    with pytest.raises(Exception, match="not valid"):
        tokens.rotate(issued.refresh)


def test_a_manager_does_not_end_sign_ins(member, in_admin):
    manager = make_member(Role.MANAGER, member.workspace)
    tokens.issue(member)
    browser = in_admin(manager.user)

    browser.post(TOKENS, {"action": "end", "_selected_action": [RefreshToken.objects.get().pk]})

    assert RefreshToken.objects.get().revoked_at is None


def test_the_operator_ends_all_sign_ins_of_a_user(operator, member, in_admin):
    tokens.issue(member), tokens.issue(member)
    browser = in_admin(operator)

    browser.post(USERS, {"action": "end_sign_ins", "_selected_action": [member.user_id]})

    assert not RefreshToken.objects.filter(revoked_at=None).exists()


# Costs


@pytest.mark.parametrize(
    ("path", "who", "cost"),
    [
        (WORKSPACES, "operator", 4),
        (WORKSPACES, "admin", 6),
        (MEMBERS, "operator", 4),
        (MEMBERS, "admin", 6),
        (TOKENS, "operator", 4),
        (TOKENS, "admin", 6),
        (USERS, "operator", 6),
    ],
)
def test_a_list_costs_the_same_with_one_row_and_with_three(
    path, who, cost, operator, member, in_admin, django_assert_num_queries
):
    tokens.issue(member)
    browser = in_admin(operator if who == "operator" else member.user)

    for colleagues in (0, 2):
        for _ in range(colleagues):
            tokens.issue(make_member(Role.AGENT, member.workspace))
            make_workspace()
        with django_assert_num_queries(cost):
            browser.get(path)
