"""Which rows of a file are one lead, and which lead of the workspace that is.

A row's keys are its external id, its e-mail address (in whatever case) and its NPI with its address (however that is written), the
strongest first. An import may ask for some of them only.

1. **In the file**, rows are one lead when they share the strongest key that one of them has. A row whose strongest key is shared by
   two leads of the file names both, which is an error. The rows of one lead are looked up as the one that they collapse into.
2. **In the workspace**, a key names the leads that have it, except those that have another stronger key: they are somebody else.
   But when the row's stronger key names a lead itself, the weaker one names all that have it, so that a contradiction shows. The
   row is the lead that the strongest of these keys names and that has the others, too. Two such leads, or none, are an error;
   where no key names any lead, the row is a new one.
3. **Several leads of the file may find one lead.** It is theirs who find it by their strongest key, and they are one. Where there is
   none of these, it is the first's. The others share a weaker key with it by chance, and are new.

The functions work on the table ``leads_stage``: ``leader`` is the row that a row is collapsed into, ``fate`` is ``torn`` for a row
whose keys name more than one lead, ``lead_id`` is the lead that was found.
"""

from collections.abc import Sequence

from leads.imports import sql

KEYS = ("external_id", "email", "npi")

# the staging table's column of each key, which compares as the key does
COLUMNS = {"external_id": "external_id", "email": "email_key", "npi": "place"}

# rows that others are collapsed into
FOLLOWED = "(SELECT DISTINCT leader FROM leads_stage WHERE leader <> row AND fate IS NULL)"


def key_columns(columns: Sequence[str]) -> str:
    """What the staging table needs besides ``columns``: the e-mail address in one case, the NPI at an address however written."""
    needed = {"email": "email_key text GENERATED ALWAYS AS (lower(email)) STORED,"}
    needed["npi"] = f"place text GENERATED ALWAYS AS ({_place('npi', 'address', columns)}) STORED,"
    return " ".join(definition for column, definition in needed.items() if column in columns)


def _place(npi: str, address: str, columns: Sequence[str]) -> str:
    return f"{npi} || '|' || leads_address_key(coalesce({address if 'address' in columns else 'NULL'}, ''))"


def last(column: str) -> str:
    """Of the rows of one lead, the last value that is not blank."""
    return f"(array_agg({column} ORDER BY row DESC) FILTER (WHERE {column} IS NOT NULL))[1]"


def lead_rows_of_one_file(keys: Sequence[str]) -> None:
    """Give rows that are one lead the same leader, one of them (each begins as its own)."""
    for strength, key in enumerate(keys):
        value = COLUMNS[key]
        lacking = [f"{COLUMNS[stronger]} IS NULL" for stronger in keys[:strength]]
        strongest = " AND ".join([f"{value} IS NOT NULL", *lacking])
        sql.run(f"""
            WITH kin AS (
                SELECT {value} AS key, min(row) AS leader FROM leads_stage WHERE {strongest} GROUP BY 1
            ), elder AS (
                SELECT {value} AS key, min(leader) AS leader, count(DISTINCT leader) AS leaders
                FROM leads_stage WHERE {value} IS NOT NULL AND NOT ({strongest}) AND fate IS NULL GROUP BY 1
            )
            UPDATE leads_stage AS s
            SET leader = coalesce(elder.leader, kin.leader), fate = CASE WHEN elder.leaders > 1 THEN 'torn' END
            FROM kin LEFT JOIN elder USING (key)
            WHERE {value} = kin.key AND {strongest}
              AND (elder.leaders > 1 OR coalesce(elder.leader, kin.leader) <> s.row)
        """)


def find_leads(keys: Sequence[str], columns: Sequence[str], workspace_id: int) -> None:
    """Find the lead of the workspace that each lead of the file is. ``columns`` are those of the file."""
    if keys:
        _hold(keys, workspace_id, _ask(keys, columns))
        # how many rows share a key is beyond the planner's guess, and a nested loop would take the square of the file's length
        sql.run("SET LOCAL enable_nestloop = off")
        sql.run(_SETTLE)
        sql.run("SET LOCAL enable_nestloop = on")


def _ask(keys: Sequence[str], columns: Sequence[str]) -> int:
    """The table ``leads_asked``: the keys of each lead of the file, NULL where it has none or is not to be matched by it.

    Returns how many leads these are.
    """
    alone = {"external_id": "external_id", "email_key": "email_key", "npi": "npi", "place": "place"}
    joint = {column: last(column) for column in alone}
    joint["place"] = _place(last("npi"), last("address"), columns)
    used = {COLUMNS[key] for key in keys} | ({"npi"} if "npi" in keys else set())

    def listed(values: dict[str, str]) -> str:
        return ", ".join(value if column in used else "NULL::text" for column, value in values.items())

    return sql.run(f"""
        CREATE TEMPORARY TABLE leads_asked ON COMMIT DROP AS
        SELECT * FROM (
            SELECT leader, {listed(alone)} FROM leads_stage WHERE fate IS NULL AND leader NOT IN {FOLLOWED}
            UNION ALL
            SELECT leader, {listed(joint)} FROM leads_stage WHERE fate IS NULL AND leader IN {FOLLOWED} GROUP BY leader
        ) AS asked (leader, {", ".join(alone)})
    """)


_FEW = 200  # rows


def _hold(keys: Sequence[str], workspace_id: int, asked: int) -> None:
    """The table ``leads_held``: the leads of the workspace that have one of the keys asked for, with all their keys."""
    if asked <= _FEW:
        sql.run(_HELD, {"workspace": workspace_id})
        return
    # One pass over the workspace's leads, whatever the planner thinks of them: where its statistics are of an earlier moment, it
    # may look through all of them for each key. The keys are hashed as long as they fit into the memory that it is given.
    sql.run("SET LOCAL work_mem = '512MB'")
    asked_for = {
        "external_id": ("external_id", "external_id"),
        "email": ("lower(email)", "email_key"),
        "npi": ("npi", "npi"),
    }
    having = " OR ".join(
        f"{value} IN (SELECT {column} FROM leads_asked WHERE {column} IS NOT NULL)"
        for value, column in map(asked_for.__getitem__, keys)
    )
    sql.run(
        f"CREATE TEMPORARY TABLE leads_held ON COMMIT DROP AS SELECT {_KEYS} FROM leads_lead"
        f" WHERE workspace_id = %(workspace)s AND ({having})",
        {"workspace": workspace_id},
    )
    sql.run("SET LOCAL work_mem TO DEFAULT")


_KEYS = """
    id, nullif(external_id, '') AS external_id, nullif(lower(email), '') AS email_key,
    nullif(npi, '') || '|' || leads_address_key(address) AS place
"""


def _holders(key: str, condition: str) -> str:
    """The leads of the workspace that have one of the keys asked for, with all their keys."""
    # LATERAL with OFFSET 0 is one look into the key's index for each: nothing to guess for a planner that knows neither table yet.
    # The workspace is a query, since of a new one, written as a number, the planner would expect no lead, and take any index that
    # begins with the workspace: it would then walk all its leads for each key.
    return f"""
        SELECT l.* FROM (SELECT DISTINCT {key} FROM leads_asked WHERE {key} IS NOT NULL) AS a CROSS JOIN LATERAL (
            SELECT {_KEYS} FROM leads_lead WHERE workspace_id = (SELECT %(workspace)s::bigint) AND {condition} OFFSET 0
        ) AS l
    """


_HELD = "CREATE TEMPORARY TABLE leads_held ON COMMIT DROP AS " + " UNION ".join(
    [
        _holders("external_id", "external_id = a.external_id AND external_id <> ''"),
        _holders("email_key", "lower(email) = a.email_key AND email <> ''"),
        _holders("npi", "npi = a.npi AND npi <> ''"),
    ]
)

# What the external id names, then the e-mail address, then the place, and what follows from them. Leads that share a key are
# counted before they are joined: a file in which everybody has the same address would else make as many pairs as its length
# squared. ``free`` leads have no external id, ``mute`` ones no e-mail address: by these they can't be somebody else.
_SETTLE = """
    WITH by_email AS (
        SELECT email_key, external_id IS NULL AS free, count(*) AS leads, min(id) AS lead_id FROM leads_held GROUP BY 1, 2
    ), by_place AS (
        SELECT place, external_id IS NULL AS free, email_key IS NULL AS mute, count(*) AS leads, min(id) AS lead_id
        FROM leads_held GROUP BY 1, 2, 3
    ), by_both AS (
        SELECT email_key, place, external_id IS NULL AS free, count(*) AS leads, min(id) AS lead_id
        FROM leads_held GROUP BY 1, 2, 3
    ), asked AS (
        SELECT a.*, h.id AS owner, h.email_key AS owners_email, h.place AS owners_place
        FROM leads_asked AS a LEFT JOIN leads_held AS h USING (external_id)
    ), emailed AS (
        SELECT leader, sum(leads) AS leads, min(lead_id) AS lead_id FROM asked AS a JOIN by_email AS h USING (email_key)
        WHERE h.free OR a.external_id IS NULL OR a.owner IS NOT NULL GROUP BY 1
    ), placed AS (
        SELECT leader, sum(h.leads) AS leads, min(h.lead_id) AS lead_id
        FROM asked AS a JOIN by_place AS h USING (place) LEFT JOIN emailed USING (leader)
        WHERE (h.free OR a.external_id IS NULL OR a.owner IS NOT NULL)
          AND (h.mute OR a.email_key IS NULL OR emailed.leads IS NOT NULL)
        GROUP BY 1
    ), agreed AS (
        SELECT leader, sum(leads) AS leads, min(lead_id) AS lead_id FROM asked AS a JOIN by_both AS h USING (email_key, place)
        WHERE h.free OR a.external_id IS NULL GROUP BY 1
    ), found AS (
        SELECT leader,
            CASE
                WHEN owner IS NOT NULL THEN CASE
                    WHEN (emailed.leads IS NULL OR owners_email = email_key)
                     AND (placed.leads IS NULL OR owners_place = place) THEN owner END
                WHEN placed.leads IS NULL THEN CASE WHEN emailed.leads = 1 THEN emailed.lead_id END
                WHEN emailed.leads IS NULL THEN CASE WHEN placed.leads = 1 THEN placed.lead_id END
                WHEN agreed.leads = 1 THEN agreed.lead_id
            END AS lead_id,
            CASE
                WHEN external_id IS NOT NULL THEN owner IS NOT NULL
                WHEN email_key IS NOT NULL THEN emailed.leads IS NOT NULL
                ELSE true
            END AS surely
        FROM asked LEFT JOIN emailed USING (leader) LEFT JOIN placed USING (leader) LEFT JOIN agreed USING (leader)
        WHERE owner IS NOT NULL OR emailed.leads IS NOT NULL OR placed.leads IS NOT NULL
    ), settled AS (
        SELECT *, first_value(leader) OVER (PARTITION BY lead_id ORDER BY surely DESC, leader) AS heir FROM found
    )
    UPDATE leads_stage AS s
    SET fate = CASE WHEN f.lead_id IS NULL THEN 'torn' END,
        lead_id = CASE WHEN f.surely OR f.leader = f.heir THEN f.lead_id END,
        leader = CASE WHEN f.lead_id IS NOT NULL AND f.surely THEN f.heir ELSE s.leader END
    FROM settled AS f WHERE f.leader = s.leader AND s.fate IS NULL
"""
