from django.dispatch import Signal

# With ``user_id`` and ``workspace_id``, within the transaction that ended the membership: receivers only queue jobs.
member_left = Signal()
