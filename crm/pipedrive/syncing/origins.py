"""Who wrote the value of a lead's field, and when."""

from typing import Any

from crm.pipedrive.mapping import MappedField
from leads import history
from leads.history import Origin
from leads.models import Lead, LeadVersion

# what they write gives way to what people write
PROGRAMS = {"import", "scrape", "ai", "system"}

_EXTRA = "extra."


def origins(lead_id: int, fields: list[MappedField]) -> dict[str, Origin]:
    """For each of these fields who wrote it; nothing for a lead that is gone."""
    leads = Lead.objects.filter(pk=lead_id)
    columns = history.provenance(leads).get(lead_id)
    if columns is None:
        return {}
    found = {field.name: columns[field.name] for field in fields if field.name in columns}
    keys = {field.name: field.name.removeprefix(_EXTRA) for field in fields if field.name.startswith(_EXTRA)}
    return found | (_of_extra(leads, keys) if keys else {})


def _of_extra(leads: Any, keys: dict[str, str]) -> dict[str, Origin]:
    """Of each custom field by itself: history tells of all of them together."""
    lead = leads.values("id", "extra", "origin", "created_at").first()
    if lead is None:
        return {}
    found: dict[str, Origin] = {}
    after = lead["extra"]
    versions = LeadVersion.objects.filter(pgh_obj=lead["id"]).order_by("-pgh_id")
    for extra, context, at in versions.values_list("extra", "pgh_context", "pgh_created_at"):
        for name, key in keys.items():
            if extra.get(key) != after.get(key):
                found.setdefault(name, Origin.told(context, at))
        after = extra
    created = Origin.told(lead["origin"], lead["created_at"])
    return {name: found.get(name, created) for name in keys}
