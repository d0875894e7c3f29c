from django.db import migrations

# How often a custom field has a value, the planner reads off a sample of as many rows as this says. From the usual 100 it took a
# value that 1 of 20 leads has for a rare one, and sorted 50,000 leads for a page where a walk past 1,000 would do.
SAMPLE = "ALTER TABLE leads_lead ALTER COLUMN extra SET STATISTICS 300"
USUAL = "ALTER TABLE leads_lead ALTER COLUMN extra SET STATISTICS DEFAULT"


class Migration(migrations.Migration):
    dependencies = [("leads", "0006_leads_by_filter")]

    operations = [migrations.RunSQL(SAMPLE, USUAL)]
