"""After SECRET_KEY was changed, what was sealed with the old one is sealed with the new one."""

import pytest

from accounts.tests.factories import make_workspace
from crm import jobs
from crm.models import Connection
from crm.tests.events import PASSWORD, make_quiet_connection
from zevix import sealing

pytestmark = pytest.mark.django_db

NEW = "another-key-that-has-taken-its-place-and-is-long-enough"


def test_what_an_old_key_opens_is_sealed_with_the_new_one(settings):
    connection = make_quiet_connection(make_workspace())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [settings.SECRET_KEY]

    jobs.reseal(0)

    settings.SECRET_KEY_FALLBACKS = []
    connection.refresh_from_db()
    assert sealing.unseal(connection.sealed_token) == "a-token"
    assert sealing.unseal(connection.sealed_webhook_password) == PASSWORD


def test_what_no_key_opens_stays_and_stops_no_other(settings):
    lost = make_quiet_connection(make_workspace(), sealed_token="not sealed at all")
    other = make_quiet_connection(make_workspace(), sealed_token="")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [settings.SECRET_KEY]

    jobs.reseal(0)

    settings.SECRET_KEY_FALLBACKS = []
    assert Connection.objects.get(pk=lost.pk).sealed_token == "not sealed at all"
    assert sealing.unseal(Connection.objects.get(pk=other.pk).sealed_webhook_password) == PASSWORD
