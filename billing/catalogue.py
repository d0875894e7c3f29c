"""What is on offer: new prices in the place of former ones, and the same in Stripe as here."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from billing.models import Plan, Price
from billing.stripe_gateway import catalogue as stripe_catalogue
from billing.stripe_gateway.catalogue import PriceFacts, Terms
from zevix.errors import Rejected


@dataclass(frozen=True)
class Finding:
    """A line of a report: what was done (or would be), or what somebody has to look into."""

    text: str
    is_problem: bool = False


@transaction.atomic
def offer(price: Price) -> Price:
    """Put a new price on offer; the former one of the plan and interval is on offer no more, and those who pay it keep it."""
    Plan.objects.select_for_update(no_key=True).get(pk=price.plan_id)
    Price.objects.filter(plan=price.plan_id, interval=price.interval, is_current=True).update(is_current=False)
    price.is_current = True
    price.save()
    return price


def sync(plans: list[Plan], *, dry_run: bool = False) -> Iterator[Finding]:
    """Bring the products and prices in Stripe into line with these plans, and tell what was done. Asked again, it has nothing to do.

    A price that Stripe has by its id is not changed there: its amount is taken over here, since it is what customers pay.
    A plan that Stripe refuses is told as a problem, and the next one goes on. Raises Unreachable, and NotConfigured.
    """
    products = stripe_catalogue.products() if plans else []
    for plan in plans:
        try:
            yield from _Sync(plan, products, dry_run).run()
        except Rejected as refusal:
            yield Finding(f"{plan.code}: {refusal}", is_problem=True)


def sold_plans(among: QuerySet[Plan] | None = None) -> list[Plan]:
    """The plans that are on offer and have a price, or had one."""
    plans = Plan.objects.all() if among is None else among
    priced = Exists(Price.objects.filter(plan=OuterRef("pk")))
    return list(plans.filter(priced, is_active=True).order_by("monthly_leads", "pk"))


class _Sync:
    def __init__(self, plan: Plan, products: list[stripe_catalogue.ProductFacts], dry_run: bool) -> None:
        self.plan, self.products, self.dry_run = plan, products, dry_run
        self.prices = list(plan.prices.order_by("-is_current", "interval", "pk"))
        self.current = [price for price in self.prices if price.is_current]
        self.former = [price for price in self.prices if not price.is_current and price.stripe_price_id]

    def run(self) -> Iterator[Finding]:
        found = {
            price.pk: stripe_catalogue.price(price.stripe_price_id) for price in self.current if price.stripe_price_id
        }
        product_id = ""
        if self.current:
            product_id, findings = self._product(found)
            yield from findings
        for price in self.current:
            yield from self._price(price, found.get(price.pk), product_id)
        for price in self.former:
            yield from self._archive(price)

    def _product(self, found: dict[int, PriceFacts | None]) -> tuple[str, list[Finding]]:
        """The product's id; empty where it would be made."""
        plan = self.plan
        theirs = next((one.product_id for one in found.values() if one), "")
        matches = [one for one in self.products if one.id == plan.stripe_product_id]
        matches += [one for one in self.products if one.plan_code == plan.code]
        matches += [one for one in self.products if one.id == theirs]
        if not matches:
            product_id = (
                ""
                if self.dry_run
                else stripe_catalogue.create_product(
                    plan.code, plan.name, once=f"zevix:product:{plan.code}:{_digest(plan.name)}"
                )
            )
            self._keep_product(product_id)
            return product_id, [self._done(_("product created"), product_id)]
        product, findings = matches[0], []
        if product.id != plan.stripe_product_id:
            self._keep_product(product.id)
            findings.append(self._done(_("product found"), product.id))
        if (product.name, product.is_active, product.plan_code) != (plan.name, True, plan.code):
            if not self.dry_run:
                stripe_catalogue.name_product(product.id, plan.code, plan.name)
            findings.append(self._done(_("product named “{name}”").format(name=plan.name), product.id))
        return product.id, findings

    def _price(self, price: Price, found: PriceFacts | None, product_id: str) -> Iterator[Finding]:
        if found is None:
            yield self._find_or_create(price, product_id)
            return
        if not found.is_active:
            if not self.dry_run:
                stripe_catalogue.offer_price(found.id, active=True)
            yield self._done(_("price on offer again"), found.id)
        yield from self._compare(price, found)

    def _find_or_create(self, price: Price, product_id: str) -> Finding:
        key = f"zevix_{self.plan.code}_{price.interval}"
        terms = _terms(price, self.plan)
        known = {one.stripe_price_id for one in self.prices if one.pk != price.pk}
        found = stripe_catalogue.price_by_key(key)
        if found and found.terms == terms and found.product_id == product_id and found.id not in known:
            if not found.is_active and not self.dry_run:
                stripe_catalogue.offer_price(found.id, active=True)
            self._keep_price(price, found.id)
            return self._done(_("price found, {interval}").format(interval=price.get_interval_display()), found.id)
        price_id = (
            ""
            if self.dry_run
            else stripe_catalogue.create_price(
                product_id, terms, lookup_key=key, once=f"zevix:price:{product_id}:{price.pk}:{_digest(terms)}"
            )
        )
        self._keep_price(price, price_id)
        return self._done(_("price created, {interval}").format(interval=price.get_interval_display()), price_id)

    def _compare(self, price: Price, found: PriceFacts) -> Iterator[Finding]:
        ours, theirs = _terms(price, self.plan), found.terms
        if ours == theirs:
            return
        if theirs is None:
            yield self._problem(_("no plan can have a price of this kind"), found.id)
        elif theirs.interval != price.interval:
            yield self._problem(_("this price is charged at another interval than here"), found.id)
        elif theirs.extra_seat_amount is not None and theirs.seats != self.plan.seats:
            sentence = _("{theirs} seats are included in this price, and {ours} in the plan")
            yield self._problem(sentence.format(theirs=theirs.seats, ours=self.plan.seats), found.id)
        else:
            if not self.dry_run:
                Price.objects.filter(pk=price.pk).update(
                    currency=theirs.currency, amount=theirs.amount, extra_seat_amount=theirs.extra_seat_amount
                )
            sentence = _("the amount is taken over from Stripe: {amount} {currency}")
            yield self._done(sentence.format(amount=theirs.amount, currency=theirs.currency), found.id)

    def _archive(self, price: Price) -> Iterator[Finding]:
        found = stripe_catalogue.price(price.stripe_price_id)
        if found and found.is_active:
            if not self.dry_run:
                stripe_catalogue.offer_price(found.id, active=False)
            yield self._done(_("former price archived"), found.id)

    def _keep_product(self, product_id: str) -> None:
        if not self.dry_run:
            Plan.objects.filter(pk=self.plan.pk).update(stripe_product_id=product_id)

    def _keep_price(self, price: Price, price_id: str) -> None:
        if not self.dry_run:
            Price.objects.filter(pk=price.pk).update(stripe_price_id=price_id)

    def _done(self, what: str, id: str) -> Finding:
        return Finding(f"{self.plan.code}: {what}{f' ({id})' if id else ''}")

    def _problem(self, what: str, id: str) -> Finding:
        return Finding(f"{self.plan.code}: {what} ({id})", is_problem=True)


def _terms(price: Price, plan: Plan) -> Terms:
    seats = (plan.seats, price.extra_seat_amount) if price.sells_seats else ()
    return Terms(price.interval, price.currency, price.amount, *seats)


def _digest(what: object) -> str:
    """For an idempotency key, which takes no other parameters than before."""
    return hashlib.sha256(str(what).encode()).hexdigest()[:32]
