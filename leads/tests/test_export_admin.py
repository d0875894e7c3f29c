"""Receipts, quotes and suppressions in the admin."""

import pytest
from django.urls import reverse

from leads import exports
from leads.exports import quoting
from leads.filters import Asker
from leads.models import Export, ExportQuote, Suppression
from leads.tests.factories import make_catalogue

pytestmark = pytest.mark.django_db

ADD = reverse("admin:leads_suppression_add")


def page_of(row):
    return reverse(f"admin:leads_{row._meta.model_name}_change", args=[row.pk])


def test_a_receipt_tells_what_became_of_each_id_and_leads_to_its_ledger(member, in_admin):
    make_catalogue(1)
    exports.export(["id1", "nobody"], by=member.user, workspace=member.workspace)
    export = Export.objects.get()

    page = in_admin(member.user).get(page_of(export)).content.decode()

    assert "<p>new_ids: id1</p><p>unknown_ids: nobody</p>" in page
    assert f"{reverse('admin:leads_usageentry_changelist')}?export__id__exact={export.pk}" in page


def test_a_failed_export_tells_why(member, operator, in_admin):
    make_catalogue(1)
    exports.export(["id1"], by=member.user, workspace=member.workspace)
    Export.objects.update(status="failed", progress=40, failure="The sky fell.")

    page = in_admin(operator).get(page_of(Export.objects.get())).content.decode()

    assert "The sky fell." in page


def test_quotes_are_read_and_never_written(member, in_admin):
    make_catalogue(1)
    quote = quoting.quote_ids(["id1"], by=Asker(member.workspace, member.user_id))
    browser = in_admin(member.user)

    pages = [browser.get(page_of(quote)), browser.get(reverse("admin:leads_exportquote_changelist"))]
    changed = browser.post(page_of(quote), {"cost": 0})

    assert [page.status_code for page in pages] == [200, 200]
    assert changed.status_code == 403
    assert ExportQuote.objects.get().cost == 1


def test_a_pasted_list_is_suppressed(member, in_admin):
    browser = in_admin(member.user)
    pasted = "Anna@Practice.example\r\n\r\n @nowhere.example \r\nanna@practice.example\r\n"

    answer = browser.post(
        ADD, {"workspace": member.workspace_id, "values": pasted, "reason": "asked us to"}, follow=True
    )

    assert next(str(message) for message in answer.context["messages"]) == "2 added, 1 known before or given twice."
    assert sorted(Suppression.objects.values_list("value", "reason", "user")) == [
        ("anna@practice.example", "asked us to", member.user_id),
        ("nowhere.example", "asked us to", member.user_id),
    ]
    assert browser.get(page_of(Suppression.objects.first())).status_code == 200


@pytest.mark.parametrize("pasted", ["", "a@x.example\nno address"])
def test_a_line_that_is_neither_an_address_nor_a_domain_is_told(member, in_admin, pasted):
    answer = in_admin(member.user).post(ADD, {"workspace": member.workspace_id, "values": pasted})

    assert "values" in answer.context["adminform"].form.errors
    assert Suppression.objects.count() == 0


def test_a_manager_suppresses_in_their_own_workspaces_alone(member, stranger, in_admin):
    answer = in_admin(member.user).post(ADD, {"workspace": stranger.workspace_id, "values": "x.example"})

    assert "workspace" in answer.context["adminform"].form.errors
    assert Suppression.objects.count() == 0
