"""Which fields go together, what is said of those that do not, and what of an account that has changed."""

import pytest

from crm.pipedrive.mapping import UNKNOWN, Means, Remote, build, merged, person_name
from crm.pipedrive.mapping.building import stages_of
from crm.pipedrive.mapping.setup import Stage, There
from crm.tests.mappings import BY_STATUS, MEMBERS, STAGES, a_mapping, a_setup, key_of
from leads.custom_fields import Definition


def the_defaults(**other):
    setup = a_setup(**other.pop("setup", {}))
    stages = other.pop("stages", BY_STATUS)
    pipeline_id = other.pop("pipeline_id", 1)
    means = Means(setup, {}, MEMBERS, stages_of(setup, pipeline_id, stages), "EUR")
    return build(means, [], pipeline_id=pipeline_id, stages=stages)


def only(mapping):
    assert mapping.problems == []
    (field,) = mapping.fields
    return field


# What goes together


def test_the_defaults_map_what_both_sides_have_from_the_start():
    mapping = the_defaults()

    assert [(field.name, field.entity, field.label, field.owner) for field in mapping.fields] == [
        ("name", "person", "Name", "latest"),
        ("email", "person", "Email", "latest"),
        ("phone", "person", "Phone", "latest"),
        ("assigned_user_id", "person", "Owner", "latest"),
        ("company", "person", "Name", "latest"),
        ("website", "organization", "Website", "latest"),
        ("status", "deal", "Stage", "latest"),
    ]
    assert mapping.problems == []
    assert mapping.pipeline_id == 1


def test_an_account_without_websites_is_mapped_without_them():
    fields = tuple(there for there in a_setup().fields if there.key != "website")

    mapping = the_defaults(setup={"fields": fields})

    assert "website" not in [field.name for field in mapping.fields]
    assert mapping.problems == []


def test_a_misspelt_field_is_told_with_the_nearest():
    mapping = a_mapping(("city", "person", "varchr"))

    assert mapping.fields == ()
    assert mapping.problems == [
        "city: There is no field «varchr» among the persons' fields in Pipedrive. Did you mean «varchar»?"
    ]


def test_two_fields_of_one_name_are_told_apart_by_key():
    twin = There("person", "f" * 40, "varchar", "varchar", True)
    setup = a_setup(fields=(*a_setup().fields, twin))

    assert a_mapping(("city", "person", "varchar"), setup=setup).problems == [
        "city: There are 2 fields «varchar»: give the key."
    ]
    assert only(a_mapping(("city", "person", "f" * 40), setup=setup)).there.key == "f" * 40


@pytest.mark.parametrize(
    ("lead", "entity", "there", "sentence"),
    [
        ("cty", "person", "varchar", "Leads have no field «cty». Did you mean «city»?"),
        ("city", "person", "Person created", "«Person created» is kept by Pipedrive itself, or can't be written."),
        ("city", "person", "date", "«date» in Pipedrive is of the kind date, which does not go with city."),
        ("city", "person", "time", "«time» in Pipedrive is of the kind time, which does not go with city."),
        ("extra.x", "person", "org", "«org» in Pipedrive is of the kind org, which does not go with extra.x."),
        ("extra.x", "person", "user", "«user» in Pipedrive is of the kind user, which does not go with extra.x."),
        ("tags", "person", "varchar", "«varchar» in Pipedrive is of the kind varchar, which does not go with tags."),
        ("city", "organization", "Name", "An organization's name goes with company alone."),
        ("city", "deal", "Stage", "A deal's stage goes with status alone."),
        ("company", "person", "Name", "A person's name goes with name alone."),
        ("external_id", "person", "varchar", "External ids come from here: their owner can only be zevix."),
        ("score", "person", "Email", "«Email» is kept by Pipedrive itself, or can't be written."),
        ("extra.", "person", "varchar", "Leads have no field «extra.»."),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(lead, entity, there, sentence):
    mapping = a_mapping((lead, entity, there))

    assert mapping.fields == ()
    assert mapping.problems == [f"{lead}: {sentence}"]


def test_a_custom_field_with_a_definition_takes_only_what_it_can_hold():
    definitions = {"budget": Definition("budget", "Budget", "number")}

    assert a_mapping(("extra.budget", "deal", "varchar"), definitions=definitions).problems == [
        "extra.budget: «varchar» in Pipedrive is of the kind varchar, which does not go with extra.budget."
    ]
    field = only(a_mapping(("extra.budget", "deal", "monetary"), definitions=definitions))
    remote = Remote(deal={"custom_fields": {key_of("monetary"): {"value": 12.5, "currency": "EUR"}}})
    assert field.for_ours(remote) == {"extra": {"budget": 12.5}}


def test_a_choice_that_the_lead_does_not_know_is_refused_in_words():
    definitions = {"via": Definition("via", "Via", "choice", ["Letter"])}
    field = only(a_mapping(("extra.via", "person", "enum"), definitions=definitions))

    with pytest.raises(ValueError, match=r"One of Letter\."):
        field.for_ours(Remote(person={"custom_fields": {key_of("enum"): 11}}))


# An account that has changed


def test_a_renamed_field_goes_on_and_is_told():
    entry = {"lead": "city", "entity": "person", "key": key_of("varchar"), "field": "Town", "owner": "zevix"}
    means = Means(a_setup(), {}, MEMBERS, None, "EUR")

    mapping = build(means, [entry], pipeline_id=None, stages={})

    assert [(field.name, field.owner) for field in mapping.fields] == [("city", "zevix")]
    assert mapping.problems == ["«Town» is now called «varchar» in Pipedrive; the mapping follows."]


def test_a_deleted_field_is_left_out_and_told_and_the_rest_goes_on():
    gone = {"lead": "city", "entity": "person", "key": "0" * 40, "field": "Town", "owner": "latest"}
    kept = {"lead": "state", "entity": "person", "key": key_of("varchar"), "field": "varchar", "owner": "latest"}
    means = Means(a_setup(), {}, MEMBERS, None, "EUR")

    mapping = build(means, [gone, kept], pipeline_id=None, stages={})

    assert [field.name for field in mapping.fields] == ["state"]
    assert mapping.problems == ["city: There is no field «Town» among the persons' fields in Pipedrive."]


def test_a_field_that_was_deleted_and_made_anew_is_found_by_its_name():
    entry = {"lead": "city", "entity": "person", "key": "0" * 40, "field": "varchar", "owner": "latest"}
    means = Means(a_setup(), {}, MEMBERS, None, "EUR")

    field = only(build(means, [entry], pipeline_id=None, stages={}))

    assert field.there.key == key_of("varchar")


def test_without_its_pipeline_deals_are_left_out_and_persons_go_on():
    mapping = the_defaults(setup={"pipelines": {2: "Renewals", 3: "Service"}, "stages": ()})

    assert "status" not in [field.name for field in mapping.fields]
    assert len(mapping.fields) == 6
    assert mapping.problems == [
        "The pipeline of the deals is no longer in Pipedrive. Choose another one: «Renewals», «Service»."
    ]
    assert mapping.pipeline_id is None
    assert mapping.stage_for("NEW") is None


def test_without_one_of_its_stages_the_status_is_left_out_and_deals_can_still_be_made():
    mapping = the_defaults(setup={"stages": (*STAGES[:2], *STAGES[3:])})

    assert "status" not in [field.name for field in mapping.fields]
    assert mapping.problems == [
        "The stage for QUALIFIED is no longer in Pipedrive. Choose among: «Stage 0», «Stage 1», «Stage 3», «Stage 4»."
    ]
    assert mapping.stage_for("QUALIFIED") == 11


# Single values


def test_a_nameless_lead_has_a_name_there_that_is_none_here():
    field = only(a_mapping(("name", "person", "Name")))
    lead = {"id": 12, "name": "", "company": "", "email": "", "phone": "", "extra": {}}

    assert field.for_theirs(lead, Remote(), field.ours(lead)) == {"name": "Lead 12"}
    assert person_name({**lead, "company": " Acme  Ltd "}) == "Acme Ltd"
    assert field.for_ours(Remote(person={"name": "Lead 12"}), lead) == {"name": ""}
    assert field.for_ours(Remote(person={"name": "Ann Lee"}), lead) == {"name": "Ann Lee"}


def test_a_new_address_takes_the_primary_ones_place_and_the_others_stay():
    field = only(a_mapping(("email", "person", "Email")))
    lead = {"email": "New@x.example"}
    person = {
        "emails": [
            {"value": "old@x.example", "primary": True, "label": "home"},
            {"value": "other@x.example", "primary": False, "label": "work"},
        ]
    }

    assert field.for_theirs(lead, Remote(person=person), "new@x.example") == {
        "emails": [
            {"value": "New@x.example", "primary": True, "label": "home"},
            {"value": "other@x.example", "primary": False, "label": "work"},
        ]
    }


def test_an_address_that_is_among_the_others_becomes_the_primary_one_and_none_is_lost():
    field = only(a_mapping(("email", "person", "Email")))
    person = {
        "emails": [
            {"value": "old@x.example", "primary": True, "label": "home"},
            {"value": "Other@x.example", "primary": False, "label": "work"},
        ]
    }

    assert field.for_theirs({"email": "other@X.example"}, Remote(person=person), "other@x.example") == {
        "emails": [
            {"value": "other@X.example", "primary": True, "label": "work"},
            {"value": "old@x.example", "primary": False, "label": "home"},
        ]
    }


def test_a_phone_of_the_leads_country_goes_with_the_countrys_code_where_it_would_else_mean_another(settings):
    settings.DEFAULT_PHONE_REGION = "US"
    field = only(a_mapping(("phone", "person", "Phone")))
    german, american = {"phone": "030 901820", "country": "DE"}, {"phone": "(330) 779-3389", "country": ""}

    sent = [field.for_theirs(lead, Remote(), field.ours(lead))["phones"][0]["value"] for lead in (german, american)]

    assert sent == ["+4930901820", "(330) 779-3389"]


def test_nobody_is_known_who_is_not_on_both_sides():
    field = only(a_mapping(("assigned_user_id", "person", "Owner")))

    assert [field.ours({"assigned_user_id": number}) for number in (1, 2, 3, None)] == [
        "ada@x.example",
        UNKNOWN,
        UNKNOWN,
        "",
    ]
    assert [field.theirs(Remote(person={"owner_id": number})) for number in (71, 72, 99)] == [
        "ada@x.example",
        UNKNOWN,
        UNKNOWN,
    ]
    assert field.for_theirs({"assigned_user_id": 1}, Remote(), "ada@x.example") == {"owner_id": 71}
    assert field.for_theirs({"assigned_user_id": None}, Remote(), "") == {}


def test_a_company_moves_the_person_to_another_organization_and_renames_none():
    field = only(a_mapping(("company", "organization", "Name")))
    remote = Remote(person={"org_id": 3}, organization={"id": 3, "name": "ACME  ltd"})

    assert field.entity == "person"
    assert field.theirs(remote) == field.ours({"company": "Acme Ltd"}) == "acme ltd"
    assert field.for_theirs({"company": "Beta", "organization_id": 5}, remote, "beta") == {"org_id": 5}
    assert field.for_ours(remote) == {"company": "ACME  ltd"}


def test_a_value_too_long_for_pipedrive_is_refused_where_a_part_of_it_would_be_of_no_use():
    website, name = the_defaults().fields[5], the_defaults().fields[0]
    long = {"website": f"https://x.example/{'a' * 255}", "name": "n" * 300}

    assert name.for_theirs(long, Remote(), name.ours(long)) == {"name": "n" * 255}
    with pytest.raises(ValueError, match="longer than the 255 characters that Pipedrive takes"):
        website.for_theirs(long, Remote(organization={"website": None}), website.ours(long))


def test_fields_apply_where_there_is_something_to_compare():
    name, *_others, website, status = the_defaults().fields
    deal = {"id": 1, "is_archived": False}

    assert [name.applies(Remote()), website.applies(Remote()), status.applies(Remote())] == [True, False, False]
    assert website.applies(Remote(organization={"website": None}))
    assert not website.applies(Remote(organization={"name": "An account that has no websites"}))
    assert status.applies(Remote(deal=deal))
    assert not status.applies(Remote(deal=deal | {"is_archived": True}))


def test_parts_of_a_body_are_put_together():
    parts = [{"name": "A"}, {"custom_fields": {"x": 1}}, {"custom_fields": {"y": None}}, {}]

    assert merged(parts) == {"name": "A", "custom_fields": {"x": 1, "y": None}}


# Stages


def status_field(**other):
    return only(a_mapping(("status", "deal", "Stage"), **other))


def a_deal(stage_id, status="open", pipeline_id=1):
    return Remote(deal={"stage_id": stage_id, "status": status, "pipeline_id": pipeline_id})


def test_a_stage_without_a_status_counts_as_the_last_one_before_it():
    field = status_field(stages={"NEW": 11, "PROPOSAL": 13})

    assert [field.theirs(a_deal(stage)) for stage in (10, 11, 12, 13, 14)] == [
        "NEW",
        "NEW",
        "NEW",
        "PROPOSAL",
        "PROPOSAL",
    ]
    assert [field.ours({"status": status}) for status in ("NEW", "CONTACTED", "QUALIFIED", "PROPOSAL")] == [
        "NEW",
        "NEW",
        "NEW",
        "PROPOSAL",
    ]


def test_won_and_lost_are_no_stages():
    field = status_field()

    assert [field.theirs(a_deal(12, status)) for status in ("won", "lost")] == ["WON", "LOST"]
    assert field.for_theirs({"status": "WON"}, a_deal(12), "WON") == {"status": "won"}
    assert field.for_theirs({"status": "QUALIFIED"}, a_deal(13, "lost"), "QUALIFIED") == {
        "stage_id": 12,
        "status": "open",
    }
    assert field.for_theirs({"status": "QUALIFIED"}, a_deal(13), "QUALIFIED") == {"stage_id": 12}


def test_a_deal_of_another_pipeline_says_nothing():
    field = status_field()

    assert [field.theirs(a_deal(12, "won", 2)), field.theirs(a_deal(99))] == [UNKNOWN, UNKNOWN]
    assert field.for_ours(a_deal(12, "won", 2)) == {}


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["Qualified", "Contact Made", "Demo Scheduled", "Proposal Made", "Negotiations Started"], [0, 1, 2, 3]),
        (["Lead in", "Kontakt aufgenommen", "Rückfrage", "Bedarf geklärt", "Warten", "Angebot verschickt"], [0, 1, 3, 5]),
        (["Eins", "Zwei", "Drei", "Vier", "Fünf"], [0, 1, 2, 3]),
        (["Eins", "Zwei"], [0, 1, 1, 1]),
        (["Neu", "Angebot"], [0, 0, 0, 1]),
        (["Alles"], [0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_stages_are_found_by_their_names_and_else_by_their_order(names, places):
    from crm.pipedrive.mapping.stages import OPEN, spread

    found = spread([Stage(number, name, 1) for number, name in enumerate(names)])

    assert [found[status] for status in OPEN] == places
