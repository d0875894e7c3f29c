"""The floors of the HTTP jobs: views that do the job and nothing else, beside the project's own routes.

The thin views verify the token's signature and do the rest in one statement. `ModelSerializerPage` is the page as
REST framework's tutorial would write it.
"""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import orjson
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, StreamingHttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from rest_framework import generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.renderers import JSONRenderer
from rest_framework_simplejwt.tokens import AccessToken

from accounts.authentication import AccessTokenAuthentication
from accounts.requests import SignedInRequest
from leads.models import Lead

PAGE = 50

# The same columns as the project's page; the row after the last says that there is more. ANY, since after `workspace_id = …` the
# planner drops workspace_id from the order, and may walk the primary key past the rows of every other workspace.
_PAGE = f"""
    WITH found AS (
        SELECT {", ".join(Lead.COLUMNS)}, company AS practice_name, name AS owner_name, phone AS practice_phone
        FROM leads_lead WHERE workspace_id = ANY(ARRAY[%(workspace)s]) AND id < %(before)s AND {{narrowed}}
        ORDER BY workspace_id DESC, id DESC LIMIT {PAGE + 1}
    ), shown AS (
        SELECT * FROM found LIMIT {PAGE}
    )
    SELECT json_build_object(
        'results', (SELECT coalesce(json_agg(shown), '[]') FROM shown),
        'next', (SELECT min(id) FROM shown HAVING (SELECT count(*) FROM found) > {PAGE}),
        'previous', NULL
    )::text
"""

_OWN = ("id", "external_id", "source", "created_at", "updated_at", "version", "assigned_user_id", "import_batch_id")
_COPIED = ", ".join(
    ["external_id", "phone_normalized", *(column for column in Lead.COLUMNS if column not in _OWN)],
)

# Lock the month's usage, charge what is not owned yet as far as the plan goes, copy, write ledger, receipt and events.
_EXPORT = f"""
    WITH given AS (
        SELECT id, place FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS given (id, place)
    ), quota AS MATERIALIZED (
        SELECT used, month FROM leads_usage
        WHERE workspace_id = %(workspace)s AND month = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')
        FOR UPDATE
    ), plan AS (
        SELECT monthly_leads AS leads FROM billing_plan
        JOIN billing_subscription ON plan_id = billing_plan.id WHERE workspace_id = %(workspace)s
    ), wanted AS (
        SELECT lead.*, place FROM given JOIN leads_lead AS lead USING (id)
        WHERE lead.workspace_id = (SELECT id FROM accounts_workspace WHERE is_catalogue)
          AND (
              SELECT true FROM leads_exportedlead AS charge
              WHERE charge.workspace_id = %(workspace)s AND charge.lead_id = lead.id
          ) IS NULL
        ORDER BY place LIMIT (SELECT greatest(plan.leads - quota.used, 0) FROM plan, quota)
    ), receipt AS (
        INSERT INTO leads_export (workspace_id, user_id, month, new_count, duplicate_count, not_exported_count,
                                  unknown_count, used, "limit", created_at)
        SELECT %(workspace)s, %(user)s, quota.month, count(wanted.id), 0, 0, 0, quota.used + count(wanted.id), plan.leads, now()
        FROM quota, plan, wanted GROUP BY quota.month, quota.used, plan.leads
        RETURNING *
    ), charged AS (
        INSERT INTO leads_exportedlead (workspace_id, lead_id, export_id)
        SELECT %(workspace)s, wanted.id, receipt.id FROM wanted, receipt
        ON CONFLICT (workspace_id, lead_id) DO NOTHING
        RETURNING lead_id
    ), copied AS (
        INSERT INTO leads_lead (workspace_id, catalogue_lead_id, source, {_COPIED})
        SELECT %(workspace)s, wanted.id, 'catalogue', {_COPIED} FROM wanted
        ON CONFLICT (workspace_id, catalogue_lead_id) DO NOTHING
    ), counted AS (
        INSERT INTO leads_usageentry (workspace_id, month, kind, leads, ceiling, export_id, user_id)
        SELECT %(workspace)s, month, 'charge', (SELECT count(*) FROM charged), "limit", id, user_id FROM receipt
        RETURNING (SELECT used FROM receipt) AS used
    ), told AS (
        INSERT INTO zevix_event (workspace_id, type, data, created_at)
        SELECT %(workspace)s, type, jsonb_build_object('export_id', receipt.id, 'count', receipt.new_count, 'used', counted.used,
            'remaining', receipt."limit" - counted.used, 'limit', receipt."limit", 'month', receipt.month), now()
        FROM receipt, counted, unnest(ARRAY['export.created', 'usage.changed']) AS type
    )
    SELECT json_build_object(
        'success', true, 'export_id', receipt.id, 'used', counted.used, 'remaining', receipt."limit" - counted.used,
        'limit', receipt."limit", 'month', receipt.month,
        'new_ids', (SELECT json_agg(given.id::text ORDER BY place) FROM given JOIN charged ON lead_id = given.id),
        'duplicate_ids', (SELECT coalesce(json_agg(given.id::text), '[]') FROM given WHERE id NOT IN (SELECT lead_id FROM charged)),
        'not_exported', '[]'::json, 'unknown_ids', '[]'::json
    )::text FROM receipt, counted
"""


_NARROWED = {
    "status": "status = %(status)s",
    "search": "search_vector @@ to_tsquery('simple', %(search)s || ':*')",
}


def thin_page(request: HttpRequest) -> HttpResponse:
    claims = _claims(request)
    asked = {name: text for name, text in request.GET.items() if name in _NARROWED}
    narrowed = " AND ".join(_NARROWED[name] for name in asked) or "true"
    given = {"workspace": claims["workspace"], "before": int(request.GET.get("before", 2**63 - 1)), **asked}
    return _answer(_PAGE.format(narrowed=narrowed), given)


@csrf_exempt
def thin_export(request: HttpRequest) -> HttpResponse:
    claims = _claims(request)
    ids = [int(given) for given in orjson.loads(request.body)["lead_ids"]]
    return _answer(_EXPORT, {"workspace": claims["workspace"], "user": int(claims["sub"]), "ids": ids})


# The same columns and leads as the project's file, as they are: nothing made harmless, no custom field apart.
_FILE = f"""
    COPY (
        SELECT {", ".join(f"lead.{column}" for column in Lead.COLUMNS)}
        FROM leads_export AS export, unnest(export.leads) WITH ORDINALITY AS root (id, place), leads_lead AS lead
        WHERE export.workspace_id = %(workspace)s AND export.id = %(export)s AND lead.id = root.id ORDER BY root.place
    ) TO STDOUT (FORMAT csv)
"""


def thin_download(request: HttpRequest) -> StreamingHttpResponse:
    given = {"workspace": _claims(request)["workspace"], "export": int(request.GET["export"])}
    return StreamingHttpResponse(_copied(given), content_type="text/csv")


def _copied(parameters: dict[str, Any]) -> Iterator[bytes]:
    written = bytearray()
    with connection.cursor() as cursor, cursor.copy(_FILE, parameters) as copy:
        for line in copy:
            written += line
            if len(written) > 65_536:
                yield bytes(written)
                written.clear()
    yield bytes(written)


_EVENT = """
    INSERT INTO billing_stripeevent (event_id, type, customer_id, payload, status, attempts, error, sent_at, received_at)
    VALUES (%(id)s, %(type)s, '', %(payload)s, 'ignored', 0, '', to_timestamp(%(created)s), now()) ON CONFLICT DO NOTHING
"""


@csrf_exempt
def thin_webhook(request: HttpRequest) -> HttpResponse:
    signed = dict(part.split("=", 1) for part in request.headers["Stripe-Signature"].split(","))
    key = settings.STRIPE_WEBHOOK_SECRETS[0].encode()
    expected = hmac.new(key, signed["t"].encode() + b"." + request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signed["v1"]):
        return HttpResponseForbidden()
    event = orjson.loads(request.body)
    with connection.cursor() as cursor:
        cursor.execute(
            _EVENT, {"payload": request.body.decode(), **{name: event[name] for name in ("id", "type", "created")}}
        )
    return HttpResponse(b'{"success": true}', content_type="application/json")


def _claims(request: HttpRequest) -> dict[str, Any]:
    text = request.headers["Authorization"].removeprefix("Bearer ")
    return AccessToken(text).payload  # type: ignore[arg-type]  # simplejwt annotates its own class


def _answer(statement: str, parameters: dict[str, Any]) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        (text,) = cursor.fetchone()
    return HttpResponse(text, content_type="application/json")


class PlainLeadSerializer(serializers.ModelSerializer):
    practice_name = serializers.CharField(source="company")
    owner_name = serializers.CharField(source="name")
    practice_phone = serializers.CharField(source="phone")
    assigned_user_id = serializers.IntegerField()
    import_batch_id = serializers.IntegerField()

    class Meta:
        model = Lead
        fields = [*Lead.COLUMNS, "practice_name", "owner_name", "practice_phone"]


class NewestFirst(CursorPagination):
    page_size = PAGE
    ordering = "-id"


class ModelSerializerPage(generics.ListAPIView):
    request: SignedInRequest
    authentication_classes = [AccessTokenAuthentication]
    renderer_classes = [JSONRenderer]
    serializer_class = PlainLeadSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> Any:
        return Lead.objects.filter(workspace=self.request.workspace)


class BareLead(generics.RetrieveUpdateAPIView):
    request: SignedInRequest
    authentication_classes = [AccessTokenAuthentication]
    renderer_classes = [JSONRenderer]
    serializer_class = PlainLeadSerializer

    def get_queryset(self) -> Any:
        return Lead.objects.filter(workspace=self.request.workspace)


urlpatterns = [
    path("floor/lead/<int:pk>", BareLead.as_view()),
    path("floor/page", thin_page),
    path("floor/export", thin_export),
    path("floor/download", thin_download),
    path("floor/webhook", thin_webhook),
    path("floor/model-serializer", ModelSerializerPage.as_view()),
    path("", include("zevix.urls")),
]

# as in zevix.urls: Django looks for them in the root alone
handler400 = "zevix.api.errors.bad_request"
handler403 = "zevix.api.errors.permission_denied"
handler404 = "zevix.api.errors.page_not_found"
handler500 = "zevix.api.errors.server_error"
