"""What is on offer: plans with their prices, and packs."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import catalogue
from billing.models import FREE, Plan, Price, TopUpPack
from zevix.admin_site import OperatorAdmin, is_operator
from zevix.errors import Refusal


class PriceForm(forms.ModelForm):
    """A price that is in Stripe says there what it says here, and a former one is history; a new row takes the former one's place."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        price: Price = self.instance
        fixed = {"is_current"} if price.pk is None else {"interval"}
        if price.stripe_price_id:
            fixed |= {"currency", "amount", "extra_seat_amount", "stripe_price_id"}
        if not price.is_current:
            fixed = set(self.fields)
        for name in fixed & set(self.fields):
            self.fields[name].disabled = True

    def clean_stripe_price_id(self) -> str:
        price_id = str(self.cleaned_data["stripe_price_id"] or "").strip()
        if price_id and Price.objects.filter(stripe_price_id=price_id).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("Another price has this one in Stripe."))
        return price_id

    def validate_constraints(self) -> None:
        """That there is one on offer for each interval is seen to by `catalogue.offer`."""


class PriceFormSet(forms.BaseInlineFormSet):
    def clean(self) -> None:
        super().clean()
        valid = [form for form in self.forms if form.is_valid()]
        new = [form.cleaned_data.get("interval") for form in valid if form in self.extra_forms and form.has_changed()]
        if len(new) != len(set(new)):
            raise forms.ValidationError(_("One new price for each interval, please."))
        # the plan as it is entered on the same page
        if self.instance.seats is None and any(
            form.cleaned_data.get("extra_seat_amount") is not None for form in valid
        ):
            raise forms.ValidationError(_("This plan has as many seats as one likes; there are none to sell."))

    def save_new(self, form: Any, commit: bool = True) -> Price:
        price: Price = super().save_new(form, commit=False)
        return catalogue.offer(price) if commit else price


class PriceInline(TabularInline):
    model = Price
    form = PriceForm
    formset = PriceFormSet
    fields = ["interval", "currency", "amount", "extra_seat_amount", "stripe_price_id", "is_current"]
    ordering = ["-is_current", "interval", "-id"]
    extra = 0
    can_delete = False  # who pays it is known by it

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "stripe_price_id":
            kwargs["widget"] = UnfoldAdminTextInputWidget
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class PlanForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("ai_budget", "trial_days"):
            if name in self.fields:
                self.fields[name].required = False

    def clean_ai_budget(self) -> int:
        return self.cleaned_data["ai_budget"] or 0

    def clean_trial_days(self) -> int:
        return self.cleaned_data["trial_days"] or 0


@admin.register(Plan)
class PlanAdmin(OperatorAdmin):
    """The free plan keeps its code and stays: it is everyone's first. The database keeps every plan that somebody has."""

    icon = "sell"
    form = PlanForm
    list_display = ["name", "code", "monthly_leads", "seats", "is_active", "workspace_count", "is_in_stripe"]
    search_fields = ["name", "code"]
    fields = [
        ("name", "code"), ("monthly_leads", "seats"), ("ai_budget", "trial_days"), ("is_active", "stripe_product_id"),
    ]  # fmt: skip
    inlines = [PriceInline]
    actions = ["sync"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        return super().get_queryset(request).annotate(workspaces=Count("subscriptions"))

    @display(description=_("given to workspaces"), ordering="workspaces")
    def workspace_count(self, plan: Any) -> int:
        return plan.workspaces

    @display(description=_("in Stripe"), boolean=True)
    def is_in_stripe(self, plan: Plan) -> bool:
        return bool(plan.stripe_product_id)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["stripe_product_id", *(["code"] if obj and obj.code == FREE else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request) and (obj is None or obj.code != FREE)

    @admin.action(description=_("Bring into Stripe"))
    def sync(self, request: HttpRequest, queryset: QuerySet[Plan]) -> None:
        plans = catalogue.sold_plans(queryset)
        try:
            findings = list(catalogue.sync(plans))
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return
        for finding in findings:
            self.message_user(request, finding.text, messages.ERROR if finding.is_problem else messages.SUCCESS)
        if not findings:
            self.message_user(request, _("Stripe has it all."), messages.SUCCESS)


@admin.register(TopUpPack)
class TopUpPackAdmin(OperatorAdmin):
    """What is changed here holds for those who buy from now on."""

    icon = "add_shopping_cart"
    list_display = ["name", "code", "leads", "amount", "currency", "is_active"]
    search_fields = ["name", "code"]
    fields = [("name", "code"), "leads", ("amount", "currency"), "is_active"]
