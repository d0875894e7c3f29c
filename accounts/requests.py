"""What a request holds once its caller is known."""

import uuid

from rest_framework.request import Request

from accounts.models import Membership, User, Workspace


class SignedInRequest(Request):
    """A request of a member. ``sign_in`` names the sign-in (the family of its refresh tokens)."""

    user: User
    workspace: Workspace
    membership: Membership
    sign_in: uuid.UUID
