from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from zevix.health import health

urlpatterns = [
    path("", TemplateView.as_view(template_name="front.html")),
    path("health", health),
    path("api/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="openapi")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("", include("accounts.urls")),
    path("", include("billing.urls")),
    path("", include("leads.urls")),
    path("", include("crm.urls")),
    path("", include("ai.urls")),
]

handler400 = "zevix.api.errors.bad_request"
handler403 = "zevix.api.errors.permission_denied"
handler404 = "zevix.api.errors.page_not_found"
handler500 = "zevix.api.errors.server_error"
