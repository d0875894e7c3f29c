"""Which workspace has which plan, and what it paid for besides."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter
from unfold.decorators import display

from accounts.models import Workspace
from billing.models import Subscription, TopUp
from billing.signals import plan_changed
from zevix.admin_site import OperatorAdmin, ReadOnly

_GIVEN = ["plan", "seats"]
_OF_STRIPE = ["status", "interval", "period_end", "trial_end", "cancel_at", "overdue_since", "problem", "stripe_id"]


class SubscriptionForm(forms.ModelForm):
    def clean_workspace(self) -> Workspace:
        workspace: Workspace = self.cleaned_data["workspace"]
        if workspace.is_catalogue:
            raise forms.ValidationError(_("The catalogue belongs to the operator; it has no plan."))
        return workspace

    def clean(self) -> Any:
        if self.has_changed() and not self.instance.is_live_in_stripe:
            self.instance.make_given()  # else what has ended in Stripe would keep the gift from being in force
        return super().clean()


class _Fixed:
    """While Stripe charges for a plan, it is changed there, or by the customer: what is entered here would be read over."""

    @display(description=_("why it is fixed"))
    def why_fixed(self, subscription: Subscription) -> Any:
        return _("Stripe charges for this plan. It is changed by the customer, or in Stripe.")


@admin.register(Subscription)
class SubscriptionAdmin(_Fixed, OperatorAdmin):
    """Deleting one gives the workspace the free plan again."""

    icon = "card_membership"
    form = SubscriptionForm
    list_display = ["workspace", "plan", "state", "period_end", "created_at", "updated_at"]
    list_filter = [("plan", RelatedDropdownFilter), ("workspace", AutocompleteSelectFilter)]
    list_select_related = ["workspace", "plan"]
    search_fields = ["workspace__name", "stripe_id"]
    autocomplete_fields = ["workspace"]
    ordering = ["-id"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return ["workspace", *_GIVEN]
        of_stripe = _OF_STRIPE if obj.stripe_id else []
        why = ["why_fixed"] if obj.is_live_in_stripe else []
        return ["workspace", *_GIVEN, *why, *of_stripe, "created_at", "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return []
        fixed = [*_GIVEN, "why_fixed"] if obj.is_live_in_stripe else []
        return ["workspace", *fixed, *_OF_STRIPE, "created_at", "updated_at"]

    @display(description=_("status"), ordering="status")
    def state(self, subscription: Subscription) -> Any:
        return subscription.status or _("given")

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        _tell(obj)

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        super().delete_model(request, obj)
        _tell(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        with transaction.atomic():
            gone = list(queryset)
            super().delete_queryset(request, queryset)
            for subscription in gone:
                _tell(subscription)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.is_live_in_stripe)


class SubscriptionFormSet(forms.BaseInlineFormSet):
    def save_new(self, form: Any, commit: bool = True) -> Any:
        return _told(super().save_new(form, commit))

    def save_existing(self, form: Any, obj: Any, commit: bool = True) -> Any:
        return _told(super().save_existing(form, obj, commit))

    def delete_existing(self, obj: Any, commit: bool = True) -> None:
        super().delete_existing(obj, commit)
        _tell(obj)


class SubscriptionInline(_Fixed, StackedInline):
    """The plan on a workspace's page; without one it has the free plan."""

    model = Subscription
    form = SubscriptionForm
    formset = SubscriptionFormSet
    extra = max_num = 1
    verbose_name = verbose_name_plural = _("plan given")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*_GIVEN, *(["why_fixed"] if _is_charged(obj) else []), "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*([*_GIVEN, "why_fixed"] if _is_charged(obj) else []), "updated_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_charged(obj)


@admin.register(TopUp)
class TopUpAdmin(ReadOnly, OperatorAdmin):
    icon = "shopping_cart"
    list_display = ["workspace", "pack", "leads", "amount", "currency", "created_at"]
    list_filter = [("pack", RelatedDropdownFilter), ("workspace", AutocompleteSelectFilter)]
    list_select_related = ["workspace", "pack"]
    search_fields = ["workspace__name", "session_id"]
    fields = ["workspace", "pack", "leads", ("amount", "currency"), "session_id", "created_at"]
    ordering = ["-id"]


def _is_charged(workspace: Workspace | None) -> bool:
    subscription = getattr(workspace, "subscription", None)
    return bool(subscription and subscription.is_live_in_stripe)


def _tell(subscription: Subscription) -> None:
    plan_changed.send(Subscription, workspace_id=subscription.workspace_id)


def _told(subscription: Subscription) -> Subscription:
    _tell(subscription)
    return subscription
