"""Which workspace is which of Stripe's customers."""

from accounts.models import Workspace
from billing.errors import TwoCustomers
from billing.models import BillingAccount
from billing.stripe_gateway.reading import CheckoutFacts


def account_of(customer_id: str) -> BillingAccount | None:
    """The workspace that is this customer; None where none of ours is."""
    return BillingAccount.objects.filter(customer_id=customer_id).exclude(customer_id="").first()


def account_at(checkout: CheckoutFacts) -> BillingAccount | None:
    """The workspace that went through with a Checkout session; None where it is nobody of ours.

    Where we lost the customer's id (a crash, a restored backup), the workspace that we wrote on the session gets it again.
    Raises TwoCustomers where that is another customer by now.
    """
    account = account_of(checkout.customer_id)
    if account or not checkout.customer_id:
        return account
    workspace = _workspace(checkout.workspace_id)
    if workspace is None:
        return None
    BillingAccount.objects.get_or_create(workspace=workspace)
    nameless = BillingAccount.objects.filter(workspace=workspace, customer_id="")
    if not nameless.update(customer_id=checkout.customer_id):
        raise TwoCustomers(customer=checkout.customer_id, workspace=workspace.pk)
    return account_of(checkout.customer_id)


def _workspace(written: str) -> Workspace | None:
    """The tenant of this id. Payment links let their visitors write what they like there."""
    if not (written.isascii() and written.isdigit() and len(written) < 19):
        return None
    return Workspace.objects.tenants().filter(pk=int(written)).first()
