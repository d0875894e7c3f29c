from django.urls import path

from leads import embed_views, import_views, lead_views, undo_views, views

urlpatterns = [
    path("zevix/login", embed_views.Login.as_view()),
    path("zevix/refresh-token", embed_views.RefreshToken.as_view()),
    path("zevix/logout", embed_views.Logout.as_view()),
    path("zevix/export-lead", embed_views.ExportLead.as_view()),
    path("zevix/export-leads-batch", embed_views.ExportLeadsBatch.as_view()),
    path("api/v1/catalogue", views.Catalogue.as_view()),
    path("api/v1/leads", views.Leads.as_view()),
    path("api/v1/leads/<int:lead_id>", lead_views.OneLead.as_view()),
    path("api/v1/leads/<int:lead_id>/history", lead_views.LeadHistory.as_view()),
    path("api/v1/leads/<int:lead_id>/history/<int:number>/restore", lead_views.RestoreVersion.as_view()),
    path("api/v1/leads/<int:lead_id>/provenance", lead_views.Provenance.as_view()),
    path("api/v1/bin", lead_views.Bin.as_view()),
    path("api/v1/bin/restore", lead_views.RestoreFromBin.as_view()),
    path("api/v1/imports/<int:number>/undo", undo_views.UndoImport.as_view()),
    path("api/v1/leads/bulk/<int:number>/undo", undo_views.UndoBulkChange.as_view()),
    path("import/leads", import_views.ImportLeads.as_view()),
    path("api/v1/imports", import_views.Imports.as_view()),
    path("api/v1/imports/preview", import_views.PreviewImport.as_view()),
    path("api/v1/imports/<int:number>", import_views.OneImport.as_view()),
    path("api/v1/imports/<int:number>/errors.csv", import_views.RejectedRows.as_view()),
    path("api/leads/add", views.AddLead.as_view()),
    path("api/leads/list", views.ListLeads.as_view()),
    path("api/leads/recent", views.RecentlyAdded.as_view()),
]
