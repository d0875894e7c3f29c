import pytest

from leads.tests.factories import make_catalogue

pytestmark = pytest.mark.django_db


def test_smoke(api):
    make_catalogue(3)

    answer = api.post("/zevix/export-leads-batch", {"lead_ids": ["id1", "id2"]})

    assert answer.json()["new_ids"] == ["id1", "id2"]
