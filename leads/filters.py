"""The filters of leads, declared once: for the lists of a workspace and of the catalogue, saved views and acts upon many leads.

They are plain functions from what was asked to a queryset: building and cleaning a form of django-filter for each page took longer
than the database needs to find it. (Lists that are asked for less often use one: `narrow`.)
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

import django_filters
from django.db.models import Q
from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework.request import Request

from accounts.models import Workspace
from leads.custom_fields import PREFIX, Definitions
from leads.models import EmailStatus, LeadQuerySet, LeadStatus
from leads.moments import moment
from zevix.errors import ValidationFailed

ORDERINGS = (
    "id",
    "created_at",
    "updated_at",
    "name",
    "company",
    "city",
    "state",
    "status",
    "score",
    "next_action_at",
    "last_contact",
)
_PAGING = {"limit", "cursor", "count", "ordering", "view"}
_MAX_VALUES, _MAX_TEXT = 100, 500
NEWEST_FIRST = ["-id"]
_LATEST_FIRST = ["-created_at", "-id"]

# filter → the values asked for, any of which will do
Asked = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Asker:
    """Who asks: the workspace whose leads and custom fields are meant, and the user who is ``me``."""

    workspace: Workspace
    user_id: int | None


Condition = Callable[[Sequence[str], Asker], Q]


@dataclass(frozen=True)
class Filter:
    """``condition`` raises ValueError with a sentence for a value that can't be."""

    condition: Condition
    help: str
    takes_many: bool = False


def _equal(column: str, values: Sequence[Any]) -> Q:
    # an index on the column is in the order of a page for one value only
    return Q(**{column: values[0]}) if len(values) == 1 else Q(**{f"{column}__in": values})


def _any(conditions: Iterable[Q]) -> Q:
    return reduce(or_, conditions)


def _choice(column: str, choices: Sequence[str]) -> Condition:
    def condition(values: Sequence[str], asker: Asker) -> Q:
        if not set(values) <= set(choices):
            raise ValueError(_("One of {choices}.").format(choices=", ".join(choices)))
        return _equal(column, values)

    return condition


def _assignee(values: Sequence[str], asker: Asker) -> Q:
    users = [asker.user_id if value == "me" else _number(value) for value in values if value != "none"]
    nobody = [Q(assigned_user=None)] if "none" in values else []
    return _any([*nobody, *([_equal("assigned_user", users)] if users else [])])


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise ValueError(_("A user's id, `me` or `none`."))
    return int(value)


def _place(column: str) -> Condition:
    return lambda values, asker: _any(Q(**{f"{column}__iexact": value}) for value in values)


def _zip_code(values: Sequence[str], asker: Asker) -> Q:
    # the index leaves out the leads without a code, and the planner must see that these are not wanted
    return ~Q(zip_code="") & _any(Q(zip_code__startswith=value) for value in values)


def _tag(values: Sequence[str], asker: Asker) -> Q:
    return Q(tags__contains=list(values)) if len(values) == 1 else Q(tags__overlap=list(values))


def _yes_or_no(column: str) -> Condition:
    def condition(values: Sequence[str], asker: Asker) -> Q:
        if values[0].lower() not in ("true", "false"):
            raise ValueError(_("`true` or `false`."))
        return Q(**{column: values[0].lower() == "true"})

    return condition


def _time(lookup: str) -> Condition:
    def condition(values: Sequence[str], asker: Asker) -> Q:
        found: datetime = moment(values[0])
        return Q(**{lookup: found})

    return condition


def _import_batch(values: Sequence[str], asker: Asker) -> Q:
    number = values[0]
    if not (number.isascii() and number.isdigit() and 0 < int(number[:30]) < 2**63):
        raise ValueError(_("The id of an import."))
    return Q(import_batch=int(number))


_ANY = "; several apart by commas: any of them"

FILTERS = {
    "status": Filter(_choice("status", LeadStatus.values), ", ".join(LeadStatus.values) + _ANY, takes_many=True),
    "assigned_to": Filter(_assignee, "A user's id, `me` or `none`" + _ANY, takes_many=True),
    "city": Filter(_place("city"), "In whatever case"),
    "state": Filter(_place("state"), "In whatever case" + _ANY, takes_many=True),
    "zip_code": Filter(_zip_code, "What it begins with"),
    "tag": Filter(_tag, "A tag" + _ANY, takes_many=True),
    "source": Filter(lambda values, asker: _equal("source", values), "Where leads came from" + _ANY, takes_many=True),
    "email_status": Filter(_choice("email_status", EmailStatus.values), ", ".join(EmailStatus.values)),
    "needs_action": Filter(_yes_or_no("needs_action"), "`true` or `false`"),
    "created_after": Filter(_time("created_at__gt"), "A time, or a day"),
    "created_before": Filter(_time("created_at__lt"), "A time, or a day"),
    "import_batch": Filter(_import_batch, "The id of an import"),
}
SEARCH = "search"
# the names of all filters, with what the API's description says of them
NAMES = {name: declared.help for name, declared in FILTERS.items()} | {SEARCH: "Words, each as the beginning of one"}


# What is asked ------------------------------------------------------------------------------------------------------------


def asked_in(query: QueryDict) -> Asked:
    """The filters in an address. Of a list, texts with commas of their own stand in double quotes."""
    asked: dict[str, list[str]] = {}
    for name, values in query.lists():
        if name not in _PAGING and any(values):
            many = name in FILTERS and FILTERS[name].takes_many
            asked[name] = [part for value in values for part in (_apart(value, name) if many else [value]) if part]
    return {name: values for name, values in asked.items() if values}


def _apart(text: str, name: str) -> list[str]:
    if "," not in text:
        return [text]
    try:
        return [part.strip() for row in csv.reader([text], skipinitialspace=True) for part in row]
    except csv.Error:
        raise ValidationFailed(fields={name: [_("Values apart by commas.")]})


def asked_as(filter: Any) -> Asked:
    """The filters in a JSON object: name → a value, or a list of such. Raises ValidationFailed."""
    if not isinstance(filter, dict):
        raise ValidationFailed(fields={"": [_("A JSON object.")]})
    asked, problems = {}, {}
    for name, value in filter.items():
        try:
            asked[name] = [_as_text(item) for item in (value if isinstance(value, list) else [value])]
            if not asked[name]:
                raise ValueError(_("Give a value."))
        except ValueError as error:
            problems[name] = [str(error)]
    if problems:
        raise ValidationFailed(fields=problems)
    return asked


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError(_("This is of the wrong type."))
    text = str(value)
    # a filter without a value is none, and none would mean: all leads
    if not text.strip():
        raise ValueError(_("Give a value."))
    return text


# What is found ------------------------------------------------------------------------------------------------------------


def find(leads: LeadQuerySet, asked: Asked, asker: Asker, *, masked: bool = False) -> LeadQuerySet:
    """The leads that all filters leave. Raises ValidationFailed for a value that is none, or a filter that there is not.

    Masked, no filter gives away what a masked lead hides.
    """
    if len(asked) > _MAX_VALUES:
        raise ValidationFailed(fields={"": [_("At most {limit} entries.").format(limit=_MAX_VALUES)]})
    problems: dict[str, list[Any]] = {}
    definitions = None
    for name, values in asked.items():
        try:
            _check(name, values)
            if name == SEARCH:
                leads = leads.search(_only(values), masked=masked)
            elif name in FILTERS:
                leads = leads.filter(FILTERS[name].condition(_suited(FILTERS[name], values), asker))
            elif name.startswith(PREFIX) and not masked:
                definitions = definitions or Definitions.of(asker.workspace)
                leads = leads.filter(definitions.condition(name.removeprefix(PREFIX), values))
            else:
                raise ValueError(_("There is no such filter."))
        except ValueError as error:
            problems[name] = [str(error)]
    if problems:
        raise ValidationFailed(fields=problems)
    return leads


def _check(name: str, values: Sequence[str]) -> None:
    if len(values) > _MAX_VALUES:
        raise ValueError(_("At most {limit} entries.").format(limit=_MAX_VALUES))
    if any(len(value) > _MAX_TEXT for value in values):
        raise ValueError(_("At most {limit} characters.").format(limit=_MAX_TEXT))
    if any("\x00" in text for text in (name, *values)):
        raise ValueError(_("It must not contain NUL characters."))


def _suited(declared: Filter, values: Sequence[str]) -> Sequence[str]:
    return list(dict.fromkeys(values)) if declared.takes_many else [_only(values)]


def _only(values: Sequence[str]) -> str:
    if len(values) > 1:
        raise ValueError(_("Give one value."))
    return values[0]


def order(text: str | None, asked: Asked) -> list[str]:
    """The order asked for, made total by the id; newest first by default. Raises ValidationFailed."""
    if not text:
        # the same order mostly, and the one in which the database finds leads of a time without walking past all later ones
        return _LATEST_FIRST if {"created_after", "created_before"} & asked.keys() else NEWEST_FIRST
    column = text.removeprefix("-")
    if column not in ORDERINGS:
        raise ValidationFailed(fields={"ordering": [_("One of {names}.").format(names=", ".join(ORDERINGS))]})
    if column == "id":
        return [text]
    return [text, "-id" if text.startswith("-") else "id"]


# Other lists --------------------------------------------------------------------------------------------------------------


def narrow(rows: Any, request: Request, filters: type[django_filters.FilterSet]) -> Any:
    """The rows that the query asks for. Raises ValidationFailed for a value that is none, or a filter that there is not."""
    asked = request.query_params.keys() - _PAGING
    if not asked:
        return rows
    unknown = asked - filters.base_filters.keys()
    if unknown:
        raise ValidationFailed(fields={name: [_("There is no such filter.")] for name in sorted(unknown)})
    chosen = filters(request.query_params, queryset=rows, request=request)
    if not chosen.is_valid():
        raise ValidationFailed(fields={name: list(said) for name, said in chosen.errors.items()})
    return chosen.qs
