from django.db import migrations

# No join: the plan of a trigger's statement is made once for each connection, for the few rows of that moment.
CREATE = """
CREATE FUNCTION crm_note_changed_leads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO crm_changedlead (workspace_id, lead_id, version, changed_at, problem, attempts)
    SELECT workspace_id, id, version, clock_timestamp(), '', 0 FROM changed
    WHERE workspace_id = ANY (ARRAY(SELECT workspace_id FROM crm_connection))
    ON CONFLICT (lead_id) DO UPDATE
        SET version = greatest(crm_changedlead.version, excluded.version), changed_at = excluded.changed_at, retry_at = NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER crm_notes_new_leads AFTER INSERT ON leads_lead
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_note_changed_leads();
CREATE TRIGGER crm_notes_changed_leads AFTER UPDATE ON leads_lead
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_note_changed_leads();
CREATE TRIGGER crm_notes_deleted_leads AFTER DELETE ON leads_lead
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_note_changed_leads();
"""

DROP = """
DROP TRIGGER crm_notes_new_leads ON leads_lead;
DROP TRIGGER crm_notes_changed_leads ON leads_lead;
DROP TRIGGER crm_notes_deleted_leads ON leads_lead;
DROP FUNCTION crm_note_changed_leads();
"""


class Migration(migrations.Migration):
    dependencies = [("crm", "0001_connections_links_and_waiting"), ("leads", "0010_ledger_triggers")]

    operations = [migrations.RunSQL(CREATE, DROP)]
