from django.dispatch import Signal

# With ``batch``, within the import's transaction; not of dry runs, and not of imports into the catalogue. Who will have the leads
# analyzed queues a job, and returns True.
imported = Signal()

# With ``act`` and ``workspace_id``, within the transaction that takes an act back, before any lead is locked. Who did more to leads in
# its wake stops that, and returns what the history calls it: then it is taken back first.
taking_back = Signal()

# With ``lead_id``, ``workspace``, ``title``, ``value``, ``currency`` and ``by``, within the transaction, once the lead has moved on: somebody
# wants a deal with it. Who knows where deals live keeps the wish, and queues a job.
deal_wanted = Signal()
