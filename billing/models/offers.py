"""What is on offer: plans with their prices, and packs of leads on top."""

from typing import Any, ClassVar, Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

FREE = "free"

_CURRENCY = RegexValidator(r"^[a-z]{3}\Z", _("Three small letters, such as usd or eur."))


class Plan(models.Model):
    """What can be bought. ``code`` is what pages and clients know it by."""

    code = models.SlugField(_("code"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=100)
    monthly_leads = models.PositiveIntegerField(_("leads a month"))
    seats = models.PositiveIntegerField(
        _("seats"),
        null=True,
        blank=True,
        help_text=_("Members that the plan includes; empty means as many as one likes."),
    )
    ai_budget = models.PositiveIntegerField(_("AI budget"), default=0, help_text=_("US cents a month."))
    trial_days = models.PositiveSmallIntegerField(_("days of trial"), default=0)
    is_active = models.BooleanField(_("on offer"), default=True)
    stripe_product_id = models.TextField(_("product in Stripe"), blank=True, default="")

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        ordering = ["monthly_leads"]

    def __str__(self) -> str:
        return self.name


class Interval(models.TextChoices):
    MONTH = "month", _("monthly")
    YEAR = "year", _("annually")


class PriceQuerySet(models.QuerySet["Price"]):
    def on_offer(self) -> Self:
        """The prices that somebody can buy at now."""
        return self.filter(is_current=True, plan__is_active=True)


class Price(models.Model):
    """What a plan costs at an interval. Stripe's prices never change, so a new amount is a new price, and those who pay an old one keep it.

    Where ``extra_seat_amount`` is given, the plan's seats cost ``amount`` together, and every further one that much (Stripe's
    graduated tiers; the quantity of the subscription is the number of seats). Else there are the plan's seats alone.
    """

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="prices", verbose_name=_("plan"))
    interval = models.CharField(_("interval"), max_length=5, choices=Interval, default=Interval.MONTH)
    currency = models.CharField(_("currency"), max_length=3, default="usd", validators=[_CURRENCY])
    amount = models.PositiveIntegerField(
        _("amount"), help_text=_("In the smallest unit of the currency, such as cents.")
    )
    extra_seat_amount = models.PositiveIntegerField(
        _("amount for each further seat"), null=True, blank=True, help_text=_("Empty: no further seats are sold.")
    )
    is_current = models.BooleanField(_("on offer"), default=True)
    stripe_price_id = models.TextField(_("price in Stripe"), blank=True, default="")

    objects: ClassVar[Any] = PriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["plan", "interval", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "interval"], condition=Q(is_current=True), name="billing_one_current_price_per_interval"
            ),
            models.UniqueConstraint(
                fields=["stripe_price_id"],
                condition=~Q(stripe_price_id=""),
                name="billing_stripe_price_names_one_price",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} · {self.get_interval_display()}"

    @property
    def sells_seats(self) -> bool:
        """Whether more seats can be bought than the plan includes."""
        return self.extra_seat_amount is not None and self.plan.seats is not None


class TopUpPack(models.Model):
    """Leads that can be bought on top of a plan, once. They last until they are used."""

    code = models.SlugField(_("code"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=100)
    leads = models.PositiveIntegerField(_("leads"))
    currency = models.CharField(_("currency"), max_length=3, default="usd", validators=[_CURRENCY])
    amount = models.PositiveIntegerField(
        _("amount"), help_text=_("In the smallest unit of the currency, such as cents.")
    )
    is_active = models.BooleanField(_("on offer"), default=True)

    class Meta:
        verbose_name = _("top-up pack")
        verbose_name_plural = _("top-up packs")
        ordering = ["leads"]
        constraints = [models.CheckConstraint(condition=Q(leads__gt=0), name="billing_a_pack_holds_leads")]

    def __str__(self) -> str:
        return self.name
