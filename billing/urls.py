from django.urls import path
from django.views.generic import TemplateView

from billing import views, webhook_views

urlpatterns = [
    path("api/v1/plans", views.Plans.as_view()),
    path("api/v1/top-up-packs", views.TopUpPacks.as_view()),
    path("api/v1/subscription", views.SubscriptionView.as_view()),
    path("api/v1/billing/checkout", views.Checkout.as_view()),
    path("api/v1/billing/portal", views.Portal.as_view()),
    path("api/v1/billing/preview", views.Preview.as_view()),
    path("api/v1/billing/change", views.Change.as_view()),
    path("api/v1/billing/cancel", views.Cancel.as_view()),
    path("api/v1/billing/resume", views.Resume.as_view()),
    path("api/v1/billing/top-up", views.TopUp.as_view()),
    path("billing/done", TemplateView.as_view(template_name="billing/done.html"), name="checkout-done"),
    path("billing/cancelled", TemplateView.as_view(template_name="billing/cancelled.html"), name="checkout-cancelled"),
    path("api/billing/webhook", webhook_views.Webhook.as_view()),
]
