from django.urls import path

from leads import embed_views, import_views, views

urlpatterns = [
    path("zevix/login", embed_views.Login.as_view()),
    path("zevix/refresh-token", embed_views.RefreshToken.as_view()),
    path("zevix/logout", embed_views.Logout.as_view()),
    path("zevix/export-lead", embed_views.ExportLead.as_view()),
    path("zevix/export-leads-batch", embed_views.ExportLeadsBatch.as_view()),
    path("api/v1/catalogue", views.Catalogue.as_view()),
    path("api/v1/leads", views.Leads.as_view()),
    path("api/v1/leads/<int:lead_id>", views.OneLead.as_view()),
    path("import/leads", import_views.ImportLeads.as_view()),
    path("api/v1/imports", import_views.ImportLeads.as_view()),
    path("api/leads/add", views.AddLead.as_view()),
    path("api/leads/list", views.ListLeads.as_view()),
    path("api/leads/recent", views.RecentlyAdded.as_view()),
]
