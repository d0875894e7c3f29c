"""The leads of an export as rows of texts: which, which columns, and how each is written. PostgreSQL writes them.

A lead is the workspace's own, or its copy of the catalogue's; where the copy is gone it is the catalogue's, which stays paid. Own leads
that are gone are left out, and so is whatever the workspace has not paid for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

from leads import formulas
from leads.custom_fields import PREFIX, Definitions, Kind
from leads.errors import TooManyCustomFields
from leads.formulas import harmless_sql
from leads.models import LEAD_ROW, Export, Lead
from zevix.json_rows import moment

SLICE = 1_000  # leads
MAX_CUSTOM = 1_000  # columns; an import reads no more than 2,000 back
SEPARATOR = ";"  # of a list's entries

# what the operator keeps about a lead of the catalogue stays there, as it does when the lead is copied
_KEPT_BACK = ("assigned_user_id", "import_batch_id")
_COLUMNS = ", ".join(
    f"CASE WHEN workspace_id = %(workspace)s THEN {column} END AS {column}" if column in _KEPT_BACK else column
    for column in Lead.COLUMNS
)
# queries for the workspace's number, since the planner expects no lead of a new workspace, and would walk all it has for each id
_LEADS = f"""
    FROM (
        SELECT root.place, coalesce(
            (SELECT id FROM leads_lead WHERE workspace_id = (SELECT %(workspace)s::bigint) AND catalogue_lead_id = root.id),
            (SELECT id FROM leads_lead WHERE id = root.id
                AND workspace_id IN (%(workspace)s, (SELECT id FROM accounts_workspace WHERE is_catalogue)))
        ) AS id
        FROM unnest(%(roots)s::bigint[]) WITH ORDINALITY AS root (id, place)
        WHERE (
            SELECT true FROM leads_exportedlead AS charge
            WHERE charge.workspace_id = (SELECT %(workspace)s::bigint) AND charge.lead_id = root.id
        )
        OFFSET 0
    ) AS found
    JOIN (SELECT {_COLUMNS} FROM leads_lead) AS leads_lead ON leads_lead.id = found.id
"""
_AS_JSON = f"SELECT string_agg(({LEAD_ROW.sql}), E',\\n' ORDER BY found.place) {_LEADS}"
_KEYS = f"SELECT DISTINCT jsonb_object_keys(leads_lead.extra) {_LEADS}"

_CHOICES = ("status", "disg_type", "email_status")
# a list whose entries alone would say something else is written as JSON: else `a;b` would come back as two entries
_SAYS_ELSE = f"(^|{SEPARATOR})({formulas.PARAMETERS['formula'].removeprefix('^')}|\\[)"


@dataclass(frozen=True)
class Column:
    """``sql`` writes the cell as a text; NULL is a blank one."""

    heading: str
    sql: str
    is_number: bool = False


class Rows:
    """The rows of an export. Raises TooManyCustomFields where ``columns`` would be more than a table can have."""

    def __init__(self, export: Export) -> None:
        self._roots: list[int] = export.leads
        self._parameters = {"workspace": export.workspace_id, "says_else": _SAYS_ELSE, **formulas.PARAMETERS}
        self._workspace_id = export.workspace_id

    @cached_property
    def columns(self) -> list[Column]:
        """The fields in the API's order and under its names; then the custom fields, the defined ones first."""
        fields = [_column(field) for field in _fields()]
        fields.insert(1 + [field.heading for field in fields].index("assigned_user_id"), _ASSIGNED_USER)
        return fields + [self._custom(number, key) for number, key in enumerate(self._keys)]

    def copied(self, options: str, *, longest: int = 0) -> Iterator[list[bytes]]:
        """The rows as ``COPY`` writes them with these options, slice by slice; cells have at most ``longest`` characters, if given."""
        cells = ", ".join(f"left({column.sql}, {longest})" if longest else column.sql for column in self.columns)
        statement = f"COPY (SELECT {cells} {_LEADS} ORDER BY found.place) TO STDOUT ({options})"
        keys = {f"key{number}": key for number, key in enumerate(self._keys)}
        for parameters in self._slices():
            composed = connection.ops.compose_sql(statement, parameters | keys)  # type: ignore[attr-defined]  # PostgreSQL alone has it
            with connection.cursor() as cursor, cursor.copy(composed) as copy:
                lines = [bytes(line) for line in copy]
            yield lines

    def as_json(self) -> Iterator[str]:
        """The rows as the API answers them, apart by commas, slice by slice."""
        for parameters in self._slices():
            with connection.cursor() as cursor:
                cursor.execute(_AS_JSON, parameters)
                (written,) = cursor.fetchone()
            if written is not None:
                yield written

    @cached_property
    def _definitions(self) -> Definitions:
        return Definitions.of(self._workspace_id)

    @cached_property
    def _keys(self) -> list[str]:
        defined = list(self._definitions.by_key)
        found: set[str] = set()
        for parameters in self._slices():
            with connection.cursor() as cursor:
                cursor.execute(_KEYS, parameters)
                found.update(key for (key,) in cursor.fetchall())
            if len(found) > MAX_CUSTOM:
                raise TooManyCustomFields(limit=MAX_CUSTOM)
        return defined + sorted(found - set(defined))

    def _custom(self, number: int, key: str) -> Column:
        definition = self._definitions.by_key.get(key)
        # OFFSET 0 keeps the planner from taking the value out of the JSON anew for each comparison
        sql = f"(SELECT {harmless_sql('c.v')} FROM (SELECT leads_lead.extra ->> %(key{number})s AS v OFFSET 0) AS c)"
        return Column(PREFIX + key, sql, is_number=definition is not None and definition.kind == Kind.NUMBER)

    def _slices(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self._roots), SLICE):
            yield self._parameters | {"roots": self._roots[start : start + SLICE]}


def _fields() -> list[Any]:
    by_column = {field.column: field for field in Lead._meta.concrete_fields}
    return [by_column[column] for column in Lead.COLUMNS if column != "extra"]


def _column(field: Any) -> Column:
    column: str = field.column
    value = f"leads_lead.{column}"
    match field:
        case models.DateTimeField():
            return Column(column, moment(value))
        case ArrayField():
            return Column(column, _list(value))
        case models.TextField() if column not in _CHOICES:
            return Column(column, harmless_sql(value))
        case models.TextField():
            return Column(column, f"nullif({value}, '')")
        case models.BooleanField():
            return Column(column, f"CASE WHEN {value} THEN 'true' WHEN NOT {value} THEN 'false' END")
    return Column(column, f"{value}::text", is_number=True)


def _list(value: str) -> str:
    entries = f"array_to_string({value}, '{SEPARATOR}')"
    separators = f"length({entries}) - length(replace({entries}, '{SEPARATOR}', ''))"
    return f"""CASE WHEN cardinality({value}) = 0 THEN NULL
        WHEN {separators} >= cardinality({value}) OR {entries} ~ %(says_else)s THEN to_json({value})::text ELSE {entries} END"""


_ASSIGNED_USER = Column(
    "assigned_user",
    f"(SELECT {harmless_sql('u.email')} FROM accounts_user AS u WHERE u.id = leads_lead.assigned_user_id)",
)
