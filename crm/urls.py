from django.urls import path

from crm.views import conflicts, connection, deals, sync, webhooks

urlpatterns = [
    path("api/crm/lead", deals.CrmLead.as_view()),
    path("api/crm/deals", deals.Deals.as_view()),
    path("api/crm/deal/<int:deal_id>", deals.OneDeal.as_view()),
    path("api/crm/webhooks/pipedrive/<slug:secret>", webhooks.Webhook.as_view()),
    path("api/v1/crm/conflicts", conflicts.Conflicts.as_view()),
    path("api/v1/crm/conflicts/resolve", conflicts.ResolveConflicts.as_view()),
    path("api/v1/crm/conflicts/<int:conflict_id>/resolve", conflicts.ResolveConflict.as_view()),
    path("api/v1/crm/connection", connection.ConnectionView.as_view()),
    path("api/v1/crm/sync", sync.Sync.as_view()),
    path("api/v1/crm/sync/plan", sync.Plan.as_view()),
    path("api/v1/crm/sync/run", sync.Run.as_view()),
    path("api/v1/crm/sync/runs", sync.Runs.as_view()),
    path("api/v1/crm/sync/runs/<int:run_id>", sync.OneRun.as_view()),
]
