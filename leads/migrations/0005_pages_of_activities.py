from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leads", "0004_partners_of_deleted_leads")]

    operations = [
        migrations.RemoveIndex(model_name="activity", name="leads_activities_of_a_lead"),
        migrations.RemoveIndex(model_name="activity", name="leads_activities_by_lead"),
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(fields=["workspace", "id"], name="leads_activities_page"),
        ),
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(fields=["lead", "id"], name="leads_activities_by_lead"),
        ),
    ]
