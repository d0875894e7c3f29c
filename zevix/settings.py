"""Settings, from the environment and ``.env``. ``docs/operations.md`` explains each name."""

from datetime import timedelta
from pathlib import Path

import environ
import pghistory
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.utils.translation import gettext_lazy as _

from zevix import __version__, embedded_postgres, logs

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

# Where it runs ----------------------------------------------------------------------------------------------------------

# DEBUG chooses between a workplace on one's own machine and production. Django's own DEBUG stays off in both, so that what is
# tried, tested and measured is what runs: no query log that grows, no other error pages.
DEVELOPMENT = env.bool("DEBUG", default=True)
DEBUG = False

DATA_DIR = Path(env.str("DATA_DIR", default="var"))
if not DATA_DIR.is_absolute():
    DATA_DIR = BASE_DIR / DATA_DIR
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _secret_key() -> str:
    key = env.str("SECRET_KEY", default="")
    if key:
        return key
    if not DEVELOPMENT:
        raise ImproperlyConfigured("Set SECRET_KEY: with DEBUG=false there is no generated one.")
    kept = DATA_DIR / "secret_key"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(get_random_secret_key())
    return kept.read_text()


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])  # former ones: what they sealed can still be read
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
_LOOPBACK = ["localhost", "127.0.0.1", "[::1]", HOST]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=_LOOPBACK if DEVELOPMENT else [])
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Apps and middleware ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # its default one would put its own site in the place of ours
    "unfold.contrib.filters",
    "zevix.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "procrastinate.contrib.django",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "corsheaders",
    "axes",
    "pgtrigger",
    "pghistory",
    "zevix.apps.ZevixConfig",
    "accounts",
    "billing",
    "leads",
    "crm",
    "ai",
]

MIDDLEWARE = [
    "zevix.middleware.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "zevix.middleware.CleanInput",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "zevix.urls"
ASGI_APPLICATION = "zevix.asgi.application"
WSGI_APPLICATION = "zevix.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "zevix" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Data -------------------------------------------------------------------------------------------------------------------

DATABASE_URL = env.str("DATABASE_URL", default="") or embedded_postgres.start(DATA_DIR / "postgres")
DATABASES = {
    "default": {
        **environ.Env.db_url_config(DATABASE_URL),
        # a thread keeps its connection: a new one would cost more than most requests
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "zevix_cache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},  # by default the throttles' counts would be culled at 300
        }
    )
}

# the model that every tenant's row points at; named here because the ground may not import it
TENANT_MODEL = "accounts.Workspace"

# Sign-in ----------------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "admin:index"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "accounts.backends.EmailOrUsername"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 60 * 60  # seconds

ACCESS_TOKEN_LIFETIME = timedelta(minutes=env.int("ACCESS_TOKEN_MINUTES", default=15))
REFRESH_TOKEN_LIFETIME = timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=30))
INVITATION_LIFETIME = timedelta(days=env.int("INVITATION_DAYS", default=7))
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": ACCESS_TOKEN_LIFETIME,
    "SIGNING_KEY": f"access-token:{SECRET_KEY}",
    "USER_ID_CLAIM": "sub",
}

AXES_FAILURE_LIMIT = env.int("LOGIN_FAILURE_LIMIT", default=10)  # of one account from one address
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
LOGIN_ADDRESS_LIMIT = env.int("LOGIN_ADDRESS_LIMIT", default=100)  # of all accounts from one address
AXES_COOLOFF_TIME = timedelta(minutes=env.int("LOGIN_LOCKOUT_MINUTES", default=15))
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_CLIENT_IP_CALLABLE = "zevix.addresses.client_address"
AXES_USERNAME_CALLABLE = "accounts.backends.account_attempted"
AXES_VERBOSE = False

ZEVIX_BETA_SIGNUP = env.str("ZEVIX_BETA_SIGNUP", default="open" if DEVELOPMENT else "closed")

SESSION_COOKIE_NAME = "zevix_session"
SESSION_COOKIE_AGE = int(REFRESH_TOKEN_LIFETIME.total_seconds())
SESSION_COOKIE_HTTPONLY = True
# pages on other origins sign in by this cookie; browsers send it there only when it is Secure
SESSION_COOKIE_SAMESITE = "Lax" if DEVELOPMENT else "None"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEVELOPMENT
SECURE_HSTS_SECONDS = 0 if DEVELOPMENT else env.int("SECURE_HSTS_SECONDS", default=0)

CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOWED_ORIGIN_REGEXES = [r"^http://(localhost|127\.0\.0\.1)(:\d+)?$"] if DEVELOPMENT else []
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = [
    "accept", "accept-language", "authorization", "content-type", "idempotency-key", "if-match", "x-request-id",
]  # fmt: skip
CORS_EXPOSE_HEADERS = ["etag", "idempotent-replayed", "retry-after", "x-request-id", "content-disposition"]

# The API ----------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["zevix.api.json.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["zevix.api.json.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "zevix.api.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "zevix.api.errors.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "NUM_PROXIES": TRUSTED_PROXIES,
    "DEFAULT_THROTTLE_RATES": {
        "register": env.str("REGISTER_RATE", default="2000/hour" if DEVELOPMENT else "30/hour"),
        "invitation": env.str("INVITATION_RATE", default="2000/hour" if DEVELOPMENT else "100/hour"),
        "password_reset": env.str("PASSWORD_RESET_RATE", default="200/hour" if DEVELOPMENT else "20/hour"),
        "chat": env.str("CHAT_RATE", default="2000/hour" if DEVELOPMENT else "200/hour"),
        "chat_session": env.str("CHAT_SESSION_RATE", default="2000/hour" if DEVELOPMENT else "60/hour"),
        "chat_member": env.str("CHAT_MEMBER_RATE", default="2000/hour" if DEVELOPMENT else "1000/hour"),
    },
    "URL_FORMAT_OVERRIDE": None,  # else ?format=csv of a download would choose among REST framework's renderers
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Zevix",
    "DESCRIPTION": "Sales leads: stock, search, exports under a monthly quota, work.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    # what several serializers call alike
    "ENUM_NAME_OVERRIDES": {
        "LeadStatus": "leads.models.LeadStatus.values",
        "JobStatus": "leads.models.ImportBatch.Status",
        "ExportStatus": "leads.models.Export.Status",
        "UndoStatus": "leads.models.Undo.Status",
        "CustomFieldKind": "leads.models.CustomField.Kind",
        "BulkChangeKind": "leads.models.BulkChange.Kind",
        "PromptStatus": "ai.models.PromptVersion.Status",
        "PromptKey": "ai.prompts.keys.KEYS",
        "ProposalKind": "ai.models.Proposal.Kind",
        "ProposalStatus": "ai.models.Proposal.Status",
        "MessageRole": "ai.serializers.actions.ROLES",
        "RoleEnum": "accounts.models.Role",
        "DocumentKind": "ai.models.Document.Kind",
        "DocumentStatus": "ai.models.Document.Status",
        "DealStatus": "crm.models.Deal.Status",
        "ConnectionState": "crm.models.Connection.State",
        "DuplicateState": "leads.models.DuplicatePair.State",
        "SyncRunKind": "crm.models.SyncRun.Kind",
        "SyncState": "crm.serializers.sync.SYNC_STATES",
        "WebhookState": "crm.serializers.sync.WEBHOOK_STATES",
        "ConnectionStateWanted": "crm.serializers.connection.SETTABLE",
        "DealOutcome": "crm.serializers.deals.SETTABLE",
        "ConflictChoice": "crm.serializers.conflicts.CHOICES",
        "ConflictState": "crm.serializers.conflicts.STATES",
    },
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440  # bytes of an ordinary JSON body
IMPORT_MAX_BYTES = env.int("IMPORT_MAX_BYTES", default=50 * 1024 * 1024)
IMPORT_MAX_UNPACKED_BYTES = env.int("IMPORT_MAX_UNPACKED_BYTES", default=1024 * 1024 * 1024)  # of a workbook's sheet
IMPORT_INLINE_ROWS = env.int("IMPORT_INLINE_ROWS", default=20_000)  # more are imported by a worker
EXPORT_BATCH_MAX = 10_000  # ids in a request; an export of more leads, by a filter, goes on in the background
EXPORT_MAX = 100_000  # leads in one export
BULK_INLINE_LEADS = 20_000  # a change of more goes on in the background
UNDO_INLINE_LEADS = 20_000  # an undo of more goes on in the background
DEFAULT_PHONE_REGION = env.str("DEFAULT_PHONE_REGION", default="US")

# else what a long import did would bear the time of its beginning
PGHISTORY_CREATED_AT_FUNCTION = "statement_timestamp()"
PGHISTORY_FOREIGN_KEY_FIELD = pghistory.ForeignKey(db_index=False)  # versions are found by their lead

# Billing ----------------------------------------------------------------------------------------------------------------

STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRETS = env.list("STRIPE_WEBHOOK_SECRET", default=[])  # two, while one takes the other's place
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="").rstrip("/")
BILLING_GRACE = timedelta(days=env.int("BILLING_GRACE_DAYS", default=7))  # that an unpaid plan is kept for
BILLING_SYNC_EVERY = timedelta(minutes=15)  # older readings of Stripe are read anew at the next sign of life
REFUND_WINDOW = timedelta(days=env.int("REFUND_DAYS", default=14))  # in which a dead lead is given back for
QUOTE_LIFETIME = timedelta(minutes=15)
SEAT_LIMIT = "billing.entitlements.seats_of"  # a function of a workspace; named here because accounts may not import it

# AI ---------------------------------------------------------------------------------------------------------------------

OPENAI_API_KEY = env.str("OPENAI_API_KEY", default="").strip()
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", default="").rstrip("/")  # any server that speaks the Responses API
OPENAI_TIMEOUT = env.float("OPENAI_TIMEOUT", default=60.0)  # seconds without a sign of life
OPENAI_MODEL = env.str("OPENAI_MODEL", default="gpt-4o-mini")
OPENAI_EMBEDDING_MODEL = env.str("OPENAI_EMBEDDING_MODEL", default="text-embedding-3-small")
AI_ANALYSIS_PARALLEL = env.int("AI_ANALYSIS_PARALLEL", default=12)  # leads that are asked about at once
AI_ANALYSIS_PER_MINUTE = env.int("AI_ANALYSIS_PER_MINUTE", default=3_000)  # 0 for any number
ZEVIX_DEFAULT_WORKSPACE = env.str("ZEVIX_DEFAULT_WORKSPACE", default="")  # a public key; empty: the oldest workspace
CHAT_SESSION_PER_MINUTE = env.int("CHAT_SESSION_PER_MINUTE", default=20)  # messages in one chat
CHAT_SESSION_MESSAGES = env.int("CHAT_SESSION_MESSAGES", default=200)  # in one chat altogether
CHAT_VISITOR_SHARE = env.int("CHAT_VISITOR_SHARE", default=50)  # percent of the month's AI budget that visitors may use
PROPOSAL_DAYS = env.int("PROPOSAL_DAYS", default=7)  # that a person has to decide on what the AI proposes
# cosine; what is farther off is not found
KNOWLEDGE_MIN_SIMILARITY = env.float("KNOWLEDGE_MIN_SIMILARITY", default=0.2)
DOCUMENT_MAX_BYTES = env.int("DOCUMENT_MAX_BYTES", default=20 * 1024 * 1024)
DOCUMENT_MAX_PASSAGES = 20_000
KNOWLEDGE_MAX_BYTES = env.int("KNOWLEDGE_MAX_BYTES", default=1024 * 1024 * 1024)  # of a workspace's documents together
KNOWLEDGE_MAX_PASSAGES = env.int("KNOWLEDGE_MAX_PASSAGES", default=200_000)  # of these
# US dollars for a million tokens: in, in from the cache, out. A model that is not here is taken to cost as much as the dearest.
AI_PRICES = {
    "gpt-4o-mini": (0.15, 0.075, 0.60),
    "gpt-4o": (2.50, 1.25, 10.00),
    "gpt-4.1-mini": (0.40, 0.10, 1.60),
    "gpt-4.1": (2.00, 0.50, 8.00),
    "text-embedding-3-small": (0.02, 0.02, 0.0),
    "text-embedding-3-large": (0.13, 0.13, 0.0),
    **{model: tuple(prices) for model, prices in env.json("AI_PRICES", default={}).items()},
}

# Pipedrive --------------------------------------------------------------------------------------------------------------

# the account of the workspace of ZEVIX_DEFAULT_WORKSPACE; other workspaces connect their own
PIPEDRIVE_API_KEY = env.str("PIPEDRIVE_API_KEY", default="").strip()
PIPEDRIVE_DOMAIN = env.str("PIPEDRIVE_DOMAIN", default="").strip()
# in the place of https://<domain>.pipedrive.com, for all
PIPEDRIVE_BASE_URL = env.str("PIPEDRIVE_BASE_URL", default="").rstrip("/")
PIPEDRIVE_TIMEOUT = env.float("PIPEDRIVE_TIMEOUT", default=15.0)  # seconds that an answer may take
PIPEDRIVE_PAUSES = (0.25, 1.0)  # seconds before a question that had no answer is asked again
PIPEDRIVE_RUN_PAUSE = 2.0  # seconds until a run comes back to a lead that had none
# after which a request without an answer is taken to have come to nothing, where nothing of it can be found
PIPEDRIVE_UNCERTAIN = timedelta(seconds=env.float("PIPEDRIVE_UNCERTAIN_SECONDS", default=60.0))

# Jobs and mail ----------------------------------------------------------------------------------------------------------

PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"

_email = env.email_url("EMAIL_URL", default="consolemail://")
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST = _email.get("EMAIL_HOST") or ""
EMAIL_PORT = _email.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _email.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _email.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 20  # seconds
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Zevix <zevix@localhost>")
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://{HOST}:{PORT}").rstrip("/")

# Languages, time, files -------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "zevix" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "zevix" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# Watching it run --------------------------------------------------------------------------------------------------------

LOGGING_CONFIG = None
logs.configure(level=env.str("LOG_LEVEL", default="INFO"))

SENTRY_DSN = env.str("SENTRY_DSN", default="")
if SENTRY_DSN:
    import sentry_sdk

    sentry_sdk.init(dsn=SENTRY_DSN, send_default_pii=False, max_request_body_size="never")

UNFOLD = {
    "SITE_TITLE": "Zevix",
    "SITE_HEADER": "Zevix",
    "SITE_SYMBOL": "hub",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
}

SILENCED_SYSTEM_CHECKS = [
    "auth.W004",  # e-mail addresses are unique without regard to case, by a constraint that the check can't see
    "axes.W002",  # the sign-in act refuses the locked out itself, in the one error shape
]
