"""Exports as files in the admin."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.tests.factories import make_lead
from leads.tests.test_downloads import make_export, table

pytestmark = pytest.mark.django_db


def file_of(export, format="csv"):
    return reverse("admin:leads_export_download", args=[export.pk, format])


@pytest.fixture
def manager():
    return make_member(Role.MANAGER)


@pytest.mark.parametrize("format", ["csv", "xlsx", "json"])
def test_an_exports_page_links_to_its_files(manager, in_admin, format):
    browser = in_admin(manager.user)
    export = make_export(manager.workspace, make_lead(manager.workspace))

    page = browser.get(reverse("admin:leads_export_change", args=[export.pk]))
    answer = browser.get(file_of(export, format))

    assert f'href="{file_of(export, format)}"' in page.content.decode()
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == f'attachment; filename="zevix-export-{export.pk}.{format}"'
    assert b"".join(answer.streaming_content)


def test_the_operator_has_the_files_of_every_workspace(operator, manager, in_admin):
    export = make_export(manager.workspace, make_lead(manager.workspace, company="Theirs"))

    answer = in_admin(operator).get(file_of(export))

    assert [row["company"] for row in table(b"".join(answer.streaming_content))] == ["Theirs"]


def test_a_manager_has_no_file_of_another_workspace_and_an_agent_has_none(manager, stranger, in_admin):
    theirs = make_export(stranger.workspace, make_lead(stranger.workspace))
    agent = make_member(Role.AGENT)
    agents = make_export(agent.workspace, make_lead(agent.workspace))

    refused = in_admin(manager.user).get(file_of(theirs))
    sent_away = in_admin(agent.user).get(file_of(agents))

    assert (refused.status_code, refused.url) == (302, reverse("admin:index"))
    assert sent_away.status_code == 302
    assert sent_away.url.startswith(reverse("admin:login"))


def test_a_format_that_there_is_not_leads_back(manager, in_admin):
    export = make_export(manager.workspace)

    answer = in_admin(manager.user).get(file_of(export, "pdf"))

    assert (answer.status_code, answer.url) == (302, reverse("admin:index"))


def test_an_export_that_is_still_running_says_so_and_has_no_links(manager, in_admin):
    browser = in_admin(manager.user)
    export = make_export(manager.workspace, status="running")

    page = browser.get(reverse("admin:leads_export_change", args=[export.pk]))
    answer = browser.get(file_of(export))

    assert file_of(export) not in page.content.decode()
    assert (answer.status_code, answer.url) == (302, reverse("admin:leads_export_change", args=[export.pk]))
    assert [str(message) for message in get_messages(answer.wsgi_request)] == [
        "It is still running; wait until it is over."
    ]
