"""Which field of a lead is which field in Pipedrive, and how its values are compared and carried over.

Values are compared in one *canonical* form, JSON that is the same on both sides where they mean the same: phones in E.164, addresses in
lower case, users by their e-mail address, a deal's stage as a lead's status, chosen options by their labels.
"""

from crm.pipedrive.mapping.building import DEFAULTS, Mapping, build
from crm.pipedrive.mapping.fields import LEAD_COLUMNS, MappedField, merged
from crm.pipedrive.mapping.forms import person_name
from crm.pipedrive.mapping.matching import OWNERS, Means
from crm.pipedrive.mapping.setup import Setup
from crm.pipedrive.mapping.values import UNKNOWN, Canonical, Remote

__all__ = [
    "DEFAULTS",
    "LEAD_COLUMNS",
    "OWNERS",
    "UNKNOWN",
    "Canonical",
    "MappedField",
    "Mapping",
    "Means",
    "Remote",
    "Setup",
    "build",
    "merged",
    "person_name",
]
