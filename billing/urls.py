from django.urls import path

from billing import webhook_views

urlpatterns = [
    path("api/billing/webhook", webhook_views.Webhook.as_view()),
]
