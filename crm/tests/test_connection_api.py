"""The connection over the API: `/api/v1/crm/connection`."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from crm.models import Connection, TokenMeter
from crm.tests.factories import make_connection

pytestmark = pytest.mark.django_db

URL = "/api/v1/crm/connection"


def test_a_workspace_that_is_not_connected_says_so(api):
    answer = api.get(URL)

    assert (answer.status_code, answer.json()) == (200, {"connected": False})


def test_a_token_connects_and_is_never_shown(api, pipedrive_server):
    answer = api.put(URL, {"api_token": pipedrive_server.token})

    shown = dict(answer.json())
    available = shown.pop("available")
    assert answer.status_code == 200
    assert shown.pop("connected_at").endswith("Z")
    assert shown == {
        "connected": True,
        "source": "workspace",
        "token": f"…{pipedrive_server.token[-4:]}",
        "domain": "stand-in",
        "company": "Stand-in Ltd",
        "user": "Ada Admin",
        "state": "active",
        "problem": "",
        "problem_at": None,
        "retry_at": None,
        "mapping_problems": [],
        "scope": "all",
        "takes_new": True,
        "pipeline": {"id": 1, "name": "Pipeline"},
        "stages": {
            "NEW": {"id": 1, "name": "Qualified"},
            "CONTACTED": {"id": 2, "name": "Contact made"},
            "QUALIFIED": {"id": 3, "name": "Demo scheduled"},
            "PROPOSAL": {"id": 4, "name": "Proposal made"},
        },
        "mapping": [
            {"lead": "name", "entity": "person", "field": "Name", "key": "name", "owner": "latest"},
            {"lead": "email", "entity": "person", "field": "Email", "key": "email", "owner": "latest"},
            {"lead": "phone", "entity": "person", "field": "Phone", "key": "phone", "owner": "latest"},
            {"lead": "assigned_user_id", "entity": "person", "field": "Owner", "key": "owner_id", "owner": "latest"},
            {"lead": "company", "entity": "organization", "field": "Name", "key": "name", "owner": "latest"},
            {"lead": "website", "entity": "organization", "field": "Website", "key": "website", "owner": "latest"},
            {"lead": "status", "entity": "deal", "field": "Stage", "key": "stage_id", "owner": "latest"},
        ],
        "webhook": {"is_registered": True, "problem": ""},
        "daily_tokens": 30_000,
        "burst": pipedrive_server.limits.burst,
    }
    assert {"key": "name", "name": "Name", "type": "varchar", "options": []} in available["organization"]
    assert available["pipelines"][0]["stages"][1] == {"id": 2, "name": "Contact made"}
    assert pipedrive_server.token not in api.get(URL).content.decode()
    assert api.get(URL).json() == answer.json()


def test_a_wrong_token_is_told_at_its_field(api, pipedrive_server):
    answer = api.put(URL, {"api_token": "f" * 40})

    assert answer.status_code == 400
    assert answer.json()["fields"] == {"api_token": ["Pipedrive could not do this: the API token is not valid"]}
    assert "f" * 40 not in answer.content.decode()
    assert api.get(URL).json() == {"connected": False}


def test_while_pipedrive_is_out_of_reach_nothing_changes(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    before = api.get(URL).json()
    pipedrive_server.down()

    answer = api.put(URL, {"api_token": "f" * 40, "scope": "linked"})

    pipedrive_server.up()
    assert (answer.status_code, answer.json()["error"]) == (502, "upstream_error")
    assert api.get(URL).json() == before


def test_the_first_time_a_token_is_needed(api):
    answer = api.put(URL, {"scope": "linked"})

    assert answer.status_code == 400
    assert answer.json()["fields"] == {"api_token": ["Enter the API token of a user of Pipedrive."]}
    assert Connection.objects.count() == 0


def test_only_what_is_sent_changes_and_plain_choices_ask_nothing(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    before = api.get(URL).json()
    pipedrive_server.requests.clear()

    answer = api.put(URL, {"scope": "linked", "takes_new": False, "daily_tokens": 60_000, "burst": 40})

    changed = {"scope": "linked", "takes_new": False, "daily_tokens": 60_000, "burst": 40}
    assert answer.json() == before | changed
    assert pipedrive_server.requests == []
    assert TokenMeter.objects.values_list("daily_limit", "burst_limit").get() == (60_000, 40)


def test_pausing_and_going_on(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)

    states = [api.put(URL, {"state": state}).json()["state"] for state in ("paused", "active")]

    assert states == ["paused", "active"]


def test_a_paused_connection_stays_so_with_a_new_token(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    api.put(URL, {"state": "paused"})

    assert api.put(URL, {"api_token": pipedrive_server.token}).json()["state"] == "paused"


def test_pipeline_and_stages_go_by_names_or_ids(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    pipedrive_server.people.pipelines.create("Renewals", stages=["Neu", "Kontakt", "Angebot"])

    by_name = api.put(URL, {"pipeline": "renewals"}).json()
    by_id = api.put(URL, {"pipeline": 1, "stages": {"NEW": "contact made", "PROPOSAL": 5}}).json()

    assert by_name["pipeline"]["name"] == "Renewals"
    assert {status: stage["name"] for status, stage in by_name["stages"].items()} == {
        "NEW": "Neu",
        "CONTACTED": "Kontakt",
        "QUALIFIED": "Kontakt",
        "PROPOSAL": "Angebot",
    }
    assert by_id["stages"] == {
        "NEW": {"id": 2, "name": "Contact made"},
        "PROPOSAL": {"id": 5, "name": "Negotiations started"},
    }


def test_names_that_there_are_not_are_told_with_the_nearest(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    before = api.get(URL).json()

    answer = api.put(
        URL,
        {
            "stages": {"NEW": "Qualifed", "WON": 2, "CONTACTED": 99},
            "mapping": [
                {"lead": "extra.nick", "entity": "person", "field": "Nickame"},
                {"lead": "city", "entity": "organization", "field": "Lead score"},
                {"lead": "name", "entity": "person", "field": "Name"},
            ],
        },
    )

    assert answer.status_code == 400
    assert answer.json()["fields"] == {
        "stages": [
            "NEW: There is no stage «Qualifed» in this pipeline. Did you mean «Qualified»?",
            "WON: Stages go with NEW, CONTACTED, QUALIFIED, PROPOSAL; a deal that is won or lost is so in any stage.",
            "CONTACTED: There is no stage «99» in this pipeline.",
        ],
        "mapping": [
            "extra.nick: There is no field «Nickame» among the persons' fields in Pipedrive. Did you mean «Nickname»?",
            "city: «Lead score» in Pipedrive is of the kind double, which does not go with city.",
        ],
    }
    assert api.put(URL, {"pipeline": "Pipelin"}).json()["fields"] == {
        "pipeline": ["There is no pipeline «Pipelin» in Pipedrive. Did you mean «Pipeline»?"]
    }
    shown = api.get(URL).json()
    assert {**shown, "available": None} == {**before, "available": None}


def test_a_mapping_takes_the_place_of_the_whole_and_comes_back_as_it_is_shown(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    wanted = [
        {"lead": "name", "entity": "person", "field": "name"},
        {"lead": "extra.interests", "entity": "person", "field": "interests", "owner": "pipedrive"},
        {"lead": "owner_name", "entity": "person", "field": "Nickname"},
    ]

    twice = api.put(URL, {"mapping": wanted}).json()["fields"]
    shown = api.put(URL, {"mapping": wanted[:2]}).json()["mapping"]

    assert twice == {"mapping": ["name: it is in the mapping twice, or its field in Pipedrive is."]}
    assert shown == [
        {"lead": "name", "entity": "person", "field": "Name", "key": "name", "owner": "latest"},
        {
            "lead": "extra.interests",
            "entity": "person",
            "field": "Interests",
            "key": pipedrive_server.key("person", "Interests"),
            "owner": "pipedrive",
        },
    ]
    assert api.put(URL, {"mapping": shown}).json()["mapping"] == shown
    assert len(api.put(URL, {"mapping": []}).json()["mapping"]) == 7


def test_what_changed_there_is_told_in_words(api, member, pipedrive_server):
    make_connection(
        member.workspace,
        pipedrive_server,
        by=member.user,
        mapping=[{"lead": "city", "entity": "person", "field": "Nickname", "owner": "latest"}],
    )
    pipedrive_server.people.fields.delete("person", "Nickname")
    api.put(URL, {"domain": "acme"})

    assert api.get(URL).json()["mapping_problems"] == [
        "city: There is no field «Nickname» among the persons' fields in Pipedrive."
    ]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"token": "x"}, {"token"}),
        ({"api_token": ""}, {"api_token"}),
        ({"api_token": "ab cd"}, {"api_token"}),
        ({"api_token": "ab\r\nx-evil: 1"}, {"api_token"}),
        ({"api_token": "ä" * 40}, {"api_token"}),
        ({"api_token": ["a"]}, {"api_token"}),
        ({"api_token": "a" * 40, "domain": "evil.example"}, {"domain"}),
        ({"api_token": "a" * 40, "domain": {}}, {"domain"}),
        ({"scope": "some"}, {"scope"}),
        ({"state": "broken"}, {"state"}),
        ({"takes_new": "perhaps"}, {"takes_new"}),
        ({"pipeline": True}, {"pipeline"}),
        ({"pipeline": ""}, {"pipeline"}),
        ({"pipeline": 10**30}, {"pipeline"}),
        ({"pipeline": "9" * 200}, {"pipeline"}),
        ({"pipeline": None}, {"pipeline"}),
        ({"stages": []}, {"stages"}),
        ({"stages": {"NEW": [1]}}, {"stages"}),
        ({"stages": {"x" * 9_000: 1}}, {"stages"}),
        ({"mapping": {}}, {"mapping"}),
        ({"mapping": ["x"]}, {"mapping"}),
        ({"mapping": [{"lead": "name", "entity": "person"}]}, {"mapping"}),
        ({"mapping": [{"lead": "name", "entity": "world", "field": "x"}]}, {"mapping"}),
        ({"mapping": [{"lead": "name", "entity": "person", "field": "x", "colour": 1}]}, {"mapping"}),
        ({"mapping": [{"lead": {}, "entity": "person", "field": 1}]}, {"mapping"}),
        ({"daily_tokens": 0}, {"daily_tokens"}),
        ({"daily_tokens": 2**31}, {"daily_tokens"}),
        ({"burst": 10**30}, {"burst"}),
        ({"burst": "x"}, {"burst"}),
    ],
)
def test_bad_input_is_refused_at_its_field(api, member, pipedrive_server, body, fields):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    before = Connection.objects.values().get()

    answer = api.put(URL, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert {name.split(".")[0] for name in answer.json()["fields"]} == fields
    after = Connection.objects.values().get()
    assert after == before


def test_a_body_that_is_no_object_is_refused(api):
    assert [api.put(URL, body).status_code for body in ([], "x", 1)] == [400, 400, 400]


@pytest.mark.parametrize(
    "how", ["garbage", "no_json", "wrong_form", "403", "403_html", "500", "429_bare", "feature_capping"]
)
def test_whatever_pipedrive_answers_is_told_in_words(api, pipedrive_server, how):
    pipedrive_server.fail(how=how, times=50)

    answer = api.put(URL, {"api_token": pipedrive_server.token})

    assert (answer.status_code, answer.json()["error"]) == (502, "upstream_error")
    assert api.get(URL).json() == {"connected": False}


def test_members_read_and_managers_connect(member, client_of, pipedrive_server):
    agent = client_of(make_member(Role.AGENT, workspace=member.workspace))
    manager = client_of(make_member(Role.MANAGER, workspace=member.workspace))

    refused = [agent.put(URL, {"api_token": pipedrive_server.token}), agent.delete(URL)]
    connected = manager.put(URL, {"api_token": pipedrive_server.token})

    assert [answer.status_code for answer in refused] == [403, 403]
    assert connected.status_code == 200
    assert agent.get(URL).json()["company"] == "Stand-in Ltd"


def test_a_strangers_connection_is_never_seen_or_touched(api, member, stranger, client_of, pipedrive_server):
    theirs = make_connection(stranger.workspace, pipedrive_server)
    before = Connection.objects.filter(pk=theirs.pk).values().get()

    answers = [api.get(URL).json(), api.delete(URL).status_code, api.put(URL, {"state": "paused"}).status_code]

    assert answers == [{"connected": False}, 204, 400]
    assert Connection.objects.filter(pk=theirs.pk).values().get() == before


def test_disconnecting(api, member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)

    answers = [api.delete(URL).status_code, api.get(URL).json(), api.delete(URL).status_code]

    assert answers == [204, {"connected": False}, 204]


def test_the_settings_account_shows_itself_when_it_is_first_looked_at(api, pipedrive_server, settings):
    settings.PIPEDRIVE_API_KEY = pipedrive_server.token

    shown = api.get(URL).json()

    assert (shown["source"], shown["company"], shown["pipeline"]["name"]) == ("settings", "Stand-in Ltd", "Pipeline")
    assert pipedrive_server.token not in str(shown)


def test_a_bad_token_in_the_settings_is_told_and_asked_about_once(api, pipedrive_server, settings):
    settings.PIPEDRIVE_API_KEY = "0" * 40

    shown = [api.get(URL).json() for _ in range(3)][-1]

    assert shown["state"] == "broken"
    assert shown["problem"].startswith("Pipedrive does not accept the API token of PIPEDRIVE_API_KEY.")
    assert len(pipedrive_server.requests) == 1


@pytest.mark.parametrize("fields", [1, 3])
def test_showing_a_connection_takes_as_many_queries_for_any_mapping(
    api, member, pipedrive_server, fields, django_assert_num_queries
):
    entries = [
        {"lead": f"extra.{name.lower()}", "entity": "person", "field": name, "owner": "latest"}
        for name in ("Nickname", "Background", "Channel")
    ]
    make_connection(member.workspace, pipedrive_server, by=member.user, mapping=entries[:fields])

    with django_assert_num_queries(5):
        shown = api.get(URL).json()

    assert len(shown["mapping"]) == fields
