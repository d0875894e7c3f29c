# After the entries of old are written: the sums stand already.
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("leads", "0009_what_was_charged_before")]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name="usage",
            trigger=pgtrigger.compiler.Trigger(
                name="is_the_sum_of_its_entries",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func="\n    IF pg_trigger_depth() = 1 THEN\n        RAISE EXCEPTION '% is the sum of leads_usageentry: write an entry', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';\n    END IF;\n    RETURN NEW;\n",
                    hash="d2b2dda708948d446dfe325a3500396cb84accd2",
                    operation="UPDATE",
                    pgid="pgtrigger_is_the_sum_of_its_entries_49ae0",
                    table="leads_usage",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="usage",
            trigger=pgtrigger.compiler.Trigger(
                name="begins_at_nothing",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (NEW."used" > 0 OR NEW."from_credit" > 0)',
                    func="\n    IF pg_trigger_depth() = 1 THEN\n        RAISE EXCEPTION '% is the sum of leads_usageentry: write an entry', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';\n    END IF;\n    RETURN NEW;\n",
                    hash="014e2638c25d0a49119976354e904f550c11db04",
                    operation="INSERT",
                    pgid="pgtrigger_begins_at_nothing_487f4",
                    table="leads_usage",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="leadcredit",
            trigger=pgtrigger.compiler.Trigger(
                name="is_the_sum_of_its_entries",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func="\n    IF pg_trigger_depth() = 1 THEN\n        RAISE EXCEPTION '% is the sum of leads_usageentry: write an entry', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';\n    END IF;\n    RETURN NEW;\n",
                    hash="9c5a9374019b80533b042badfd2562e7c6f5f003",
                    operation="UPDATE",
                    pgid="pgtrigger_is_the_sum_of_its_entries_7c603",
                    table="leads_leadcredit",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="leadcredit",
            trigger=pgtrigger.compiler.Trigger(
                name="begins_at_nothing",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (NEW."balance" > 0)',
                    func="\n    IF pg_trigger_depth() = 1 THEN\n        RAISE EXCEPTION '% is the sum of leads_usageentry: write an entry', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';\n    END IF;\n    RETURN NEW;\n",
                    hash="8ccf0674828598948eaa9d06e56116bc09780b29",
                    operation="INSERT",
                    pgid="pgtrigger_begins_at_nothing_d108e",
                    table="leads_leadcredit",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="usageentry",
            trigger=pgtrigger.compiler.Trigger(
                name="is_carried_into_the_sums",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n                    INSERT INTO leads_usage (workspace_id, month) VALUES (NEW.workspace_id, NEW.month)\n                        ON CONFLICT (workspace_id, month) DO NOTHING;\n                    UPDATE leads_usage SET\n                        used = used + NEW.leads,\n                        from_credit = from_credit - CASE WHEN NEW.leads = 0 THEN 0 ELSE NEW.credits END,\n                        -- only a charge can pass the limit; whatever else is entered moves it along\n                        limit_when_charged = coalesce(NEW.ceiling, greatest(limit_when_charged, used + NEW.leads))\n                    WHERE workspace_id = NEW.workspace_id AND month = NEW.month;\n                    IF NEW.credits <> 0 THEN\n                        INSERT INTO leads_leadcredit (workspace_id) VALUES (NEW.workspace_id) ON CONFLICT DO NOTHING;\n                        UPDATE leads_leadcredit SET balance = balance + NEW.credits WHERE workspace_id = NEW.workspace_id;\n                    END IF;\n                    RETURN NULL;\n                ",
                    hash="376b3d9764ca670dd82cee047857cbf860f7d614",
                    operation="INSERT",
                    pgid="pgtrigger_is_carried_into_the_sums_c1998",
                    table="leads_usageentry",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="usageentry",
            trigger=pgtrigger.compiler.Trigger(
                name="stays_as_it_is",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."ceiling" IS DISTINCT FROM (NEW."ceiling") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."credits" IS DISTINCT FROM (NEW."credits") OR OLD."export_id" IS DISTINCT FROM (NEW."export_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."kind" IS DISTINCT FROM (NEW."kind") OR OLD."leads" IS DISTINCT FROM (NEW."leads") OR OLD."month" IS DISTINCT FROM (NEW."month") OR OLD."reason" IS DISTINCT FROM (NEW."reason") OR OLD."refunded_id" IS DISTINCT FROM (NEW."refunded_id") OR OLD."top_up_id" IS DISTINCT FROM (NEW."top_up_id") OR OLD."workspace_id" IS DISTINCT FROM (NEW."workspace_id"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="c9be3f00c9a85d9cbe2ffc9fcd8523b939c5ba70",
                    operation="UPDATE",
                    pgid="pgtrigger_stays_as_it_is_4b1f3",
                    table="leads_usageentry",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="usageentry",
            trigger=pgtrigger.compiler.Trigger(
                name="stays_for_ever",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    constraint="CONSTRAINT",
                    func="\n                    IF EXISTS (SELECT FROM accounts_workspace WHERE id = OLD.workspace_id) THEN\n                        RAISE EXCEPTION 'the ledger keeps its entries' USING ERRCODE = 'integrity_constraint_violation';\n                    END IF;\n                    RETURN NULL;\n                ",
                    hash="b84cd91df18c4a0673fefd050efca1ed4ee275d0",
                    operation="DELETE",
                    pgid="pgtrigger_stays_for_ever_a8c94",
                    table="leads_usageentry",
                    timing="DEFERRABLE INITIALLY DEFERRED",
                    when="AFTER",
                ),
            ),
        ),
    ]
