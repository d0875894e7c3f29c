from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ai", "0004_analyses")]

    operations = [
        migrations.RemoveIndex(model_name="aicall", name="ai_calls_by_month"),
        migrations.AddIndex(
            model_name="aicall",
            index=models.Index(fields=["workspace", "created_at"], name="ai_calls_by_time"),
        ),
        migrations.AddField(
            model_name="promptversion",
            name="refusal",
            field=models.TextField(blank=True, db_default="", default="", editable=False, verbose_name="not evaluated"),
        ),
    ]
