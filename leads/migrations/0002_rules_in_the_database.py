from django.db import migrations

# needs_action: the rule that stands without AI.
# address_key: one address however it is written: "606 Black River RD" and "606 BLACK RIVER RD."
# jsonb_merge: the union of objects, later ones win; for rows of one file that are the same lead.
CREATE = r"""
CREATE FUNCTION leads_needs_action(status text, last_contact timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT status IS NULL OR last_contact IS NULL
        OR (status NOT IN ('WON', 'LOST') AND last_contact < now() - interval '30 days')
$$;

CREATE FUNCTION leads_address_key(address text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT btrim(regexp_replace(lower(address), '[^[:alnum:]]+', ' ', 'g'))
$$;

CREATE AGGREGATE leads_jsonb_merge(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb, INITCOND = '{}');
"""

DROP = """
DROP AGGREGATE leads_jsonb_merge(jsonb);
DROP FUNCTION leads_address_key(text);
DROP FUNCTION leads_needs_action(text, timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [("leads", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
