from django.db import migrations

# The ledger begins with what the receipts tell; what they do not explain is an adjustment, so that each month's sum is what it was.
WRITE = """
UPDATE leads_export AS receipt
SET leads = array(SELECT lead_id FROM leads_exportedlead WHERE export_id = receipt.id ORDER BY id), finished_at = created_at;

INSERT INTO leads_usageentry (workspace_id, month, kind, leads, ceiling, export_id, user_id, created_at)
SELECT workspace_id, month, 'charge', new_count, greatest("limit", used), id, user_id, created_at
FROM leads_export WHERE new_count > 0 ORDER BY id;

INSERT INTO leads_usageentry (workspace_id, month, kind, leads, reason)
SELECT workspace_id, month, 'adjustment', difference, 'Carried over from before the ledger' FROM (
    SELECT workspace_id, month, used - coalesce((
        SELECT sum(leads) FROM leads_usageentry AS entry
        WHERE entry.workspace_id = leads_usage.workspace_id AND entry.month = leads_usage.month
    ), 0) AS difference
    FROM leads_usage
) AS unexplained
WHERE difference <> 0;
"""


class Migration(migrations.Migration):
    dependencies = [("leads", "0008_exports_and_ledger")]

    operations = [migrations.RunSQL(WRITE, migrations.RunSQL.noop)]
