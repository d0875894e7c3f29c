from django.db import migrations

# A constraint trigger that is deferred runs while the transaction commits. It takes the next number of the workspace's counter and
# holds the counter's row until the commit is done, so numbers follow the order of commits and a rolled-back one leaves no gap.
# The lock is taken last of all, so it can't be half of a deadlock, and is held only for the commit itself.
NUMBER = """
CREATE FUNCTION zevix_number_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    next_seq bigint;
BEGIN
    INSERT INTO zevix_eventcounter AS counter (workspace_id, last_seq) VALUES (NEW.workspace_id, 1)
        ON CONFLICT (workspace_id) DO UPDATE SET last_seq = counter.last_seq + 1
        RETURNING last_seq INTO next_seq;
    UPDATE zevix_event SET seq = next_seq WHERE id = NEW.id;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER zevix_number_event AFTER INSERT ON zevix_event
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION zevix_number_event();
"""

FORGET = """
DROP TRIGGER zevix_number_event ON zevix_event;
DROP FUNCTION zevix_number_event();
"""


class Migration(migrations.Migration):
    dependencies = [("zevix", "0001_initial")]

    operations = [migrations.RunSQL(NUMBER, FORGET)]
