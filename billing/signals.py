from django.dispatch import Signal

# Each within the transaction that did it: receivers only queue jobs.

# With ``workspace_id``: the plan that counts for it, its seats or its limit is another now.
plan_changed = Signal()

# With ``top_up_id``: a pack of leads was paid.
topped_up = Signal()
