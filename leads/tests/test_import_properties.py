"""Random small tables against a plain model of the rules: what is one lead, which lead it is, and what is written."""

import csv
import io
import re
from collections import Counter
from copy import deepcopy
from datetime import date, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_workspace
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.matching import KEYS
from leads.imports.reading import CsvSource
from leads.models import Lead

pytestmark = pytest.mark.django_db

LONG_AGO, LATELY = "2020-01-31", (date.today() - timedelta(days=3)).isoformat()
FIELDS = ("external_id", "email", "npi", "address", "name", "status", "last_contact", "needs_action", "tags", "extra")
CELLS = {
    "external_id": ["", "A", "B"],
    "email": ["", "x@practice.example", "X@Practice.Example", "y@practice.example"],
    "npi": ["", "1000000001", "1000000002"],
    "address": ["", "1 Main St", "1 MAIN ST.", "2 Oak Ave"],
    "name": ["", "Ann", "Bob"],
    "status": ["", "CONTACTED", "WON"],
    "last_contact": ["", LONG_AGO, LATELY],
    "tags": ["", "hot", "hot; new", ";"],
    "Room": ["", "101", "102"],
    "Floor": ["", "1"],
}
COLUMNS = list(CELLS)

rows = st.fixed_dictionaries({column: st.sampled_from(cells) for column, cells in CELLS.items()})
tables = st.lists(rows, max_size=6)
columns = st.just(COLUMNS) | st.sets(st.sampled_from(COLUMNS), min_size=1).map(sorted).filter(
    lambda chosen: set(chosen) - {"Room", "Floor"}
)
stored = st.lists(
    st.fixed_dictionaries(
        {field: st.sampled_from(CELLS[field]) for field in ("external_id", "email", "npi", "address", "name")}
        | {"status": st.sampled_from(["NEW", "CONTACTED", "WON"])}
        | {
            "last_contact": st.sampled_from([None, f"{LONG_AGO}T00:00Z", f"{LATELY}T00:00Z"]),
            "needs_action": st.booleans(),
        }
    ),
    max_size=4,
    unique_by=lambda lead: lead["external_id"] or id(lead),
)
match_on = st.just(KEYS) | st.sets(st.sampled_from(KEYS), min_size=1).map(tuple)
modes = st.sampled_from(["upsert", "upsert", "create", "update"])
thorough = settings(
    deadline=None, max_examples=60, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# The model ------------------------------------------------------------------------------------------------------------------


def key(holder, name):
    """A key of a row or of a lead; None for none."""
    if name == "email":
        return holder.get("email", "").lower() or None
    if name == "npi":
        return (holder["npi"], plain(holder.get("address", ""))) if holder.get("npi") else None
    return holder.get(name) or None


def plain(address):
    return re.sub("[^0-9a-z]+", " ", address.lower()).strip()


def group(rows, keys):
    """The rows by lead, each group in the order of the file, and those that two leads share."""
    groups, torn = [], []
    for level, name in enumerate(keys):
        elders = [list(members) for members in groups]
        kin = {}
        for row in rows:
            if key(row, name) and not any(key(row, stronger) for stronger in keys[:level]):
                kin.setdefault(key(row, name), []).append(row)
        for value, members in kin.items():
            sharing = [number for number, elder in enumerate(elders) if any(key(row, name) == value for row in elder)]
            if len(sharing) > 1:
                torn += members
            elif sharing:
                groups[sharing[0]] += members
            else:
                groups.append(members)
    groups += [[row] for row in rows if not any(key(row, name) for name in keys)]
    return [sorted(members, key=lambda row: row["line"]) for members in groups], torn


def find(members, leads, keys):
    """(lead, whether by the strongest key) for the rows of one lead; (None, False) for a new one. ValueError for two leads."""
    row = collapsed(members)
    asked = {name: key(row, name) for name in keys if key(row, name)}
    named = {}
    for level, name in enumerate(keys):
        if name not in asked:
            continue
        having = [
            lead
            for lead in leads
            if key(lead, name) == asked[name]
            and not any(
                lead[stronger]
                and stronger in asked
                and key(lead, stronger) != asked[stronger]
                and not named.get(stronger)
                for stronger in keys[:level]
            )
        ]
        if having:
            named[name] = having
    if not named:
        return None, False
    strongest = next(iter(named))
    agreed = [lead for lead in named[strongest] if all(key(lead, name) == asked[name] for name in named)]
    if len(agreed) != 1:
        raise ValueError
    return agreed[0], next(iter(asked)) == strongest


def settle(groups, leads, keys):
    """[lead or None, rows] for each lead of the file, and the rows whose keys name two leads."""
    found, torn, finders = [], [], {}
    for members in groups:
        try:
            lead, surely = find(members, leads, keys)
        except ValueError:
            torn += members
            continue
        if lead is None:
            found.append([None, members])
        else:
            finders.setdefault(lead["number"], []).append((not surely, first(members, keys), lead, members))
    for several in finders.values():
        several.sort(key=lambda finder: finder[:2])
        (unsure, _line, lead, members), *others = several
        mine = [lead, list(members)]
        found.append(mine)
        for other_unsure, _line, _lead, theirs in others:
            if not unsure and not other_unsure:
                mine[1] = sorted(mine[1] + theirs, key=lambda row: row["line"])
            else:
                found.append([None, theirs])
    return found, torn


def first(members, keys):
    """The line of the first row that has the strongest key of them all."""
    for name in keys:
        having = [row["line"] for row in members if key(row, name)]
        if having:
            return min(having)
    return members[0]["line"]


def collapsed(members):
    """One row of several: of each column the last cell that says something."""
    together = {}
    for row in members:
        together |= {column: cell for column, cell in row.items() if cell and cell != ";"}
    return together


def imported(rows, leads, keys, mode, has_external_ids):
    """The leads afterwards, what became of the rows, and the lines that are refused."""
    leads, counts = deepcopy(leads), Counter()
    nobody = [row for row in rows if not any(row.get(name) for name in ("external_id", "email", "npi", "name"))]
    somebody = [row for row in rows if row not in nobody]
    groups, torn = group(somebody, keys)
    found, torn_too = settle(groups, leads, keys)
    unwanted = {"upsert": [], "create": [True], "update": [False]}[mode]
    refused = nobody + torn + torn_too
    counts["skipped"] = sum(len(members) for lead, members in found if (lead is not None) in unwanted)
    found = [(lead, members) for lead, members in found if (lead is not None) not in unwanted]
    if has_external_ids and "external_id" not in keys:
        free = [pair for pair in found if not taken(*pair, found, leads, keys)]
        refused += [row for pair in found if pair not in free for row in pair[1]]
        found = free
    for lead, members in found:
        counts["skipped"] += len(members) - 1
        write(lead, collapsed(members), leads, counts)
    return leads, counts, sorted(row["line"] for row in refused)


def taken(lead, members, found, leads, keys):
    ids = {row["external_id"] for row in members if row["external_id"]}
    held = any(other["external_id"] in ids and other is not lead for other in leads)
    earlier = any(
        row["external_id"] in ids
        for _lead, others in found
        if leader(others, keys, _lead) < leader(members, keys, lead)
        for row in others
    )
    return held or earlier


def leader(members, keys, lead):
    return first(members, keys)


def write(lead, row, leads, counts):
    extra = {column: row[column] for column in ("Room", "Floor") if column in row}
    tags = [tag.strip() for tag in row["tags"].split(";")] if "tags" in row else []
    said = {field: row[field] for field in FIELDS if field in row} | ({"tags": tags} if tags else {})
    if lead is None:
        counts["created"] += 1
        blank = dict.fromkeys(FIELDS, "") | {"tags": [], "status": "NEW", "version": 1, "number": None}
        flag = needs_action(row.get("status"), row.get("last_contact"))
        leads.append(blank | said | {"extra": extra, "needs_action": flag})
        return
    counts["updated"] += 1
    after = lead | said | {"extra": lead["extra"] | extra}
    counts["unchanged"] += after == lead
    after["version"] += after != lead
    if (after["status"], after["last_contact"]) != (lead["status"], lead["last_contact"]):
        known = row.get("status") or lead["status"].replace("NEW", "")
        after["needs_action"] = needs_action(known, after["last_contact"])
    leads[leads.index(lead)] = after


def needs_action(status, last_contact):
    return not status or not last_contact or (status not in ("WON", "LOST") and last_contact == LONG_AGO)


# Beside the real thing ----------------------------------------------------------------------------------------------------------


def as_csv(table, columns):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(table)
    return io.BytesIO(text.getvalue().encode())


def run(workspace, table, columns, **options):
    return importing.run(CsvSource(as_csv(table, columns), delimiter=","), Options(**options), workspace=workspace)


def state(leads):
    shown = [tuple(str(lead[field]) for field in (*FIELDS, "version", "number")) for lead in leads]
    return sorted(shown)


def leads_of(workspace, existing):
    numbers = {lead.pk: number for number, lead in enumerate(existing)}
    return [
        lead
        | {"number": numbers.get(lead["id"]), "extra": dict(sorted(lead["extra"].items()))}
        | {"last_contact": lead["last_contact"].date().isoformat() if lead["last_contact"] else ""}
        for lead in Lead.objects.for_workspace(workspace).values("id", *FIELDS, "version")
    ]


def numbered(table, columns):
    """The rows that are not blank, with their lines; of each the cells that there are columns for."""
    seen = [{column: row[column] for column in columns} | {"line": line} for line, row in enumerate(table, start=2)]
    return [row for row in seen if any(row[column] for column in columns)]


@given(existing=stored, table=tables, columns=columns, keys=match_on, mode=modes)
@thorough
def test_an_import_writes_and_counts_what_the_rules_say(existing, table, columns, keys, mode):
    with transaction.atomic():
        workspace = make_workspace()
        there = [Lead.objects.create(workspace=workspace, **lead) for lead in existing]
        keys = [name for name in KEYS if name in keys]
        rows = numbered(table, columns)
        before = leads_of(workspace, there)
        usable = [name for name in keys if name in columns]
        leads, counts, refused = imported(rows, before, usable, mode, "external_id" in columns)

        batch = run(workspace, table, columns, match_on=keys, mode=mode)

        assert state(leads_of(workspace, there)) == state(
            [lead | {"extra": dict(sorted(lead["extra"].items()))} for lead in leads]
        )
        assert {
            "created": batch.created_count,
            "updated": batch.updated_count,
            "unchanged": batch.unchanged_count,
            "skipped": batch.skipped_count,
        } == {name: counts[name] for name in ("created", "updated", "unchanged", "skipped")}
        assert sorted({problem.row for problem in batch.rejected}) == refused
        assert batch.total_rows == batch.imported_count + batch.skipped_count + batch.error_count == len(rows)
        transaction.set_rollback(True)


@given(table=tables)
@thorough
def test_the_same_file_again_changes_nothing(table):
    # a row without a key is a new lead each time, and an NPI whose address stands in another row is two keys
    table = [row for row in table if any(row[name] for name in KEYS) and bool(row["npi"]) == bool(row["address"])]
    with transaction.atomic():
        workspace = make_workspace()
        first = run(workspace, table, COLUMNS)
        after = state(leads_of(workspace, []))

        again = run(workspace, table, COLUMNS)

        assert state(leads_of(workspace, [])) == after
        assert (again.created_count, again.unchanged_count) == (0, again.updated_count)
        assert again.error_count == first.error_count
        transaction.set_rollback(True)
