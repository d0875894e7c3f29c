"""The members of a workspace, and the workspaces of a user."""

import pytest

from accounts import roles, tokens
from accounts.errors import LastAdmin
from accounts.models import Membership, RefreshToken, Role
from accounts.signals import member_left
from accounts.tests.factories import make_member, make_workspace
from accounts.tests.threads import at_once
from accounts.tests.times import with_times

pytestmark = pytest.mark.django_db

MEMBERS, WORKSPACES = "/api/v1/members", "/api/v1/workspaces"


def path_of(member):
    return f"{MEMBERS}/{member.pk}"


def code(answer):
    return answer.status_code, answer.json().get("error")


def join(member, workspace, role=Role.AGENT):
    """A further membership of the same user."""
    return Membership.objects.create(user=member.user, workspace=workspace, role=role)


@pytest.fixture
def agent(member):
    return make_member(Role.AGENT, member.workspace, email="agent@example.com", username="Agent")


@pytest.fixture
def heard():
    """Whose leaving was told: user and workspace."""
    told = []

    def hear(user_id, workspace_id, **_more):
        told.append((user_id, workspace_id))

    member_left.connect(hear)
    yield told
    member_left.disconnect(hear)


# Reading --------------------------------------------------------------------------------------------------------------------


def test_a_member_is_shown_with_who_they_are_and_how_they_do(member, agent, client_of):
    Membership.objects.filter(pk=agent.pk).update(
        conversion_rate=0.25, activity_score=7.5, deals_closed=3, current_percentile=90, current_rank=1,
        performance_score=81.5, badges=["closer"],
    )  # fmt: skip
    agent.refresh_from_db()

    shown = client_of(agent).get(path_of(agent)).json()

    agent.user.refresh_from_db()
    assert with_times(shown) == {
        "id": agent.pk,
        "user_id": agent.user_id,
        "email": "agent@example.com",
        "username": "Agent",
        "role": "agent",
        "last_activity": agent.user.last_activity,
        "joined_at": agent.created_at,
        "conversion_rate": 0.25,
        "activity_score": 7.5,
        "deals_closed": 3,
        "current_percentile": 90.0,
        "current_rank": 1,
        "performance_score": 81.5,
        "badges": ["closer"],
    }


@pytest.mark.parametrize("role", Role.values)
def test_every_member_reads_the_members_of_their_workspace_alone(member, stranger, client_of, role):
    reader = make_member(role, member.workspace)

    shown = client_of(reader).get(MEMBERS, {"count": "true"}).json()

    assert [row["id"] for row in shown["results"]] == [member.pk, reader.pk]
    assert shown["count"] == 2


def test_members_are_read_page_by_page(member, agent, api):
    third = make_member(Role.AGENT, member.workspace)

    first = api.get(MEMBERS, {"limit": 2}).json()
    second = api.get(first["next"]).json()
    back = api.get(second["previous"]).json()

    assert [row["id"] for row in first["results"]] == [member.pk, agent.pk]
    assert [row["id"] for row in second["results"]] == [third.pk]
    assert second["next"] is None
    assert back["results"] == first["results"]


@pytest.mark.parametrize("path", [MEMBERS, WORKSPACES])
def test_a_list_costs_the_same_with_one_row_and_with_three(member, api, django_assert_num_queries, path):
    for more in (0, 2):
        for _ in range(more):
            make_member(Role.AGENT, member.workspace)
            join(member, make_workspace())

        with django_assert_num_queries(2):
            rows = api.get(path).json()["results"]

        assert len(rows) == 1 + more


@pytest.mark.parametrize("path", [MEMBERS, f"{MEMBERS}/1", WORKSPACES])
def test_strangers_without_a_token_read_nothing(anonymous, path):
    assert code(anonymous.get(path)) == (401, "authentication_required")


@pytest.mark.parametrize("ask", ["get", "patch", "delete"])
@pytest.mark.parametrize("role", Role.values)
def test_another_workspaces_member_is_not_found(member, stranger, client_of, ask, role):
    caller = client_of(make_member(role, member.workspace))

    answers = [
        getattr(caller, ask)(path, {"role": "agent"})
        for path in (path_of(stranger), f"{MEMBERS}/999999", f"{MEMBERS}/{2**70}")
    ]

    assert [code(answer) for answer in answers] == [(404, "not_found")] * 3
    assert Membership.objects.get(pk=stranger.pk).role == Role.ADMIN


# Roles ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role.values)
def test_an_admin_gives_a_role(agent, api, role):
    answer = api.patch(path_of(agent), {"role": role})

    assert (answer.status_code, answer.json()["role"]) == (200, role)
    assert Membership.objects.get(pk=agent.pk).role == role


@pytest.mark.parametrize("role", [Role.MANAGER, Role.AGENT])
def test_others_change_no_role_not_even_their_own(member, agent, client_of, role):
    caller = make_member(role, member.workspace)

    answers = [client_of(caller).patch(path_of(row), {"role": "admin"}) for row in (caller, agent, member)]

    assert [code(answer) for answer in answers] == [(403, "permission_denied")] * 3
    assert Membership.objects.filter(role=Role.ADMIN).get() == member


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "role"),
        ({"role": None}, "role"),
        ({"role": "owner"}, "role"),
        ({"role": "ADMIN"}, "role"),
        ({"role": ["admin"]}, "role"),
        ({"role": {"a": 1}}, "role"),
        ({"role": "a\x00"}, "role"),
        ({"role": "agent", "user_id": 1}, "user_id"),
        (["role"], "non_field_errors"),
    ],
)
def test_what_is_no_role_is_refused_at_its_field(agent, api, body, field):
    answer = api.patch(path_of(agent), body)

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [field]


def test_the_last_admin_stays_an_admin_and_a_member(member, agent, api):
    answers = [api.patch(path_of(member), {"role": "agent"}), api.delete(path_of(member))]

    assert [code(answer) for answer in answers] == [(409, "conflict")] * 2
    assert Membership.objects.get(pk=member.pk).role == Role.ADMIN


def test_a_changed_role_holds_at_once_whatever_the_token_says(member, agent, api, client_of):
    theirs = client_of(agent)

    api.patch(path_of(agent), {"role": "admin"})
    as_admin = theirs.patch(path_of(member), {"role": "agent"})
    refused = api.patch(path_of(agent), {"role": "agent"})

    assert as_admin.status_code == 200
    assert code(refused) == (403, "permission_denied")


# Leaving --------------------------------------------------------------------------------------------------------------------


def test_an_admin_takes_a_member_out_who_is_signed_out_at_once(agent, api, client_of, anonymous, heard):
    theirs, issued = client_of(agent), tokens.issue(agent)

    answer = api.delete(path_of(agent))

    assert (answer.status_code, answer.content) == (204, b"")
    assert code(theirs.get("/api/auth/me")) == (401, "token_invalid")
    assert code(anonymous.post("/api/auth/refresh", {"refresh_token": issued.refresh})) == (401, "token_invalid")
    assert heard == [(agent.user_id, agent.workspace_id)]


@pytest.mark.parametrize("role", Role.values)
def test_everyone_may_leave(member, client_of, heard, role):
    leaving = make_member(role, member.workspace)

    answer = client_of(leaving).delete(path_of(leaving))

    assert answer.status_code == 204
    assert Membership.objects.get() == member
    assert heard == [(leaving.user_id, member.workspace_id)]


@pytest.mark.parametrize("role", [Role.MANAGER, Role.AGENT])
def test_others_take_nobody_out(member, agent, client_of, heard, role):
    caller = make_member(role, member.workspace)

    answers = [client_of(caller).delete(path_of(row)) for row in (agent, member)]

    assert [code(answer) for answer in answers] == [(403, "permission_denied")] * 2
    assert heard == []


def test_who_leaves_one_workspace_stays_in_the_others(agent, stranger, client_of, anonymous):
    elsewhere = join(agent, stranger.workspace)
    here = tokens.issue(agent)
    there = tokens.renew(elsewhere, here.family)

    roles.remove([agent])

    assert code(anonymous.post("/api/auth/refresh", {"refresh_token": here.refresh})) == (401, "token_invalid")
    assert anonymous.post("/api/auth/refresh", {"refresh_token": there.refresh}).status_code == 200


def test_who_comes_back_signs_in_anew(agent, anonymous):
    before = tokens.issue(agent)

    roles.remove([agent])
    join(agent, agent.workspace)

    assert code(anonymous.post("/api/auth/refresh", {"refresh_token": before.refresh})) == (401, "token_invalid")


def test_a_deleted_user_has_left_each_of_their_workspaces(agent, stranger, heard):
    join(agent, stranger.workspace)

    roles.delete_users([agent.user])

    assert heard == [(agent.user_id, agent.workspace_id), (agent.user_id, stranger.workspace_id)]


def test_nobody_has_left_where_the_last_admin_may_not(member, agent, heard):
    with pytest.raises(LastAdmin):
        roles.remove([agent, member])

    assert heard == []
    assert Membership.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_of_two_admins_who_leave_at_the_same_moment_one_stays(client_of, attempt):
    first = make_member()
    second = make_member(Role.ADMIN, first.workspace)
    clients = [(client_of(admin), admin) for admin in (first, second)]

    answers = at_once([lambda client=client, admin=admin: client.delete(path_of(admin)) for client, admin in clients])

    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert Membership.objects.filter(role=Role.ADMIN).count() == 1


# Workspaces -----------------------------------------------------------------------------------------------------------------


def test_a_user_sees_their_workspaces_with_their_role_in_each(member, stranger, api):
    second = join(member, stranger.workspace, Role.MANAGER)
    make_member(Role.AGENT, make_workspace())

    rows = api.get(WORKSPACES).json()["results"]

    assert [with_times(row) for row in rows] == [
        {
            "id": place.workspace_id,
            "name": place.workspace.name,
            "role": role,
            "joined_at": place.created_at,
        }
        for place, role in ((member, "admin"), (second, "manager"))
    ]


def test_workspaces_are_read_page_by_page(member, api):
    places = [member, *(join(member, make_workspace()) for _ in range(2))]

    seen, path = [], f"{WORKSPACES}?limit=1"
    while path:
        answer = api.get(path).json()
        seen += [row["id"] for row in answer["results"]]
        path = answer["next"]

    assert seen == [place.workspace_id for place in places]


def test_switching_gives_tokens_for_the_other_workspace(member, stranger, api, anonymous):
    join(member, stranger.workspace, Role.AGENT)

    answer = api.post(f"{WORKSPACES}/{stranger.workspace_id}/switch")

    given = answer.json()
    assert answer.status_code == 200
    assert given["user"]["workspace"] == {"id": stranger.workspace_id, "name": stranger.workspace.name}
    assert given["user"]["role"] == "agent"
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {given['token']}")
    assert anonymous.get("/api/auth/me").json()["workspace"]["id"] == stranger.workspace_id
    renewed = anonymous.post("/api/auth/refresh", {"refresh_token": given["refresh_token"]}).json()
    assert renewed["user"]["workspace"]["id"] == stranger.workspace_id
    assert api.get("/api/auth/me").json()["workspace"]["id"] == member.workspace_id


def test_nobody_switches_to_a_workspace_that_they_do_not_belong_to(stranger, api):
    answers = [api.post(f"{WORKSPACES}/{number}/switch") for number in (stranger.workspace_id, 999999, 2**70)]

    assert [code(answer) for answer in answers] == [(404, "not_found")] * 3


def test_signing_out_ends_the_tokens_of_every_workspace_switched_to(member, stranger, api, anonymous):
    join(member, stranger.workspace)
    there = api.post(f"{WORKSPACES}/{stranger.workspace_id}/switch").json()

    api.post("/api/auth/logout")

    assert code(anonymous.post("/api/auth/refresh", {"refresh_token": there["refresh_token"]})) == (
        401,
        "token_invalid",
    )


def test_a_sign_in_that_was_ended_switches_no_more(member, stranger, api):
    join(member, stranger.workspace)
    api.post("/api/auth/logout")

    answer = api.post(f"{WORKSPACES}/{stranger.workspace_id}/switch")

    assert code(answer) == (401, "token_invalid")


@pytest.mark.parametrize("route", ["/api/auth/login", "/zevix/login"])
def test_signing_in_may_name_the_workspace(stranger, anonymous, client_of, route):
    ann = make_member(email="ann@example.com", password="correct horse battery 9")
    join(ann, stranger.workspace)
    known = {"email": "ann@example.com", "password": "correct horse battery 9"}

    tokens_of = {
        number: anonymous.post(route, known | ({"workspace": number} if number else {})).json()["token"]
        for number in (None, ann.workspace_id, stranger.workspace_id)
    }

    def workspace_of(token):
        return anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).json()["workspace"]["id"]

    assert {number: workspace_of(token) for number, token in tokens_of.items()} == {
        None: ann.workspace_id,
        ann.workspace_id: ann.workspace_id,
        stranger.workspace_id: stranger.workspace_id,
    }


@pytest.mark.parametrize("workspace", ["theirs", 999999, 2**70, "x", None, [1], True, "1\x00"])
def test_signing_in_to_a_workspace_that_is_not_ones_own_is_refused_at_its_field(stranger, anonymous, workspace):
    make_member(email="ann@example.com", password="correct horse battery 9")
    wanted = stranger.workspace_id if workspace == "theirs" else workspace

    answer = anonymous.post(
        "/api/auth/login",
        {"email": "ann@example.com", "password": "correct horse battery 9", "workspace": wanted},
    )

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == ["workspace"]


def test_a_wrong_password_never_tells_who_belongs_where(stranger, anonymous):
    make_member(email="ann@example.com", password="correct horse battery 9")

    answer = anonymous.post(
        "/api/auth/login", {"email": "ann@example.com", "password": "wrong", "workspace": stranger.workspace_id}
    )

    assert code(answer) == (401, "invalid_credentials")
    assert not RefreshToken.objects.exists()
