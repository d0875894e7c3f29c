from django.urls import path

from crm.views import deals

urlpatterns = [
    path("api/crm/lead", deals.CrmLead.as_view()),
    path("api/crm/deals", deals.Deals.as_view()),
    path("api/crm/deal/<int:deal_id>", deals.OneDeal.as_view()),
]
