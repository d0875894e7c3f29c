"""The project's own settings, with the routes of the floors, and with billing on; nobody is at Stripe's address."""

from zevix.settings import *  # noqa: F403

ROOT_URLCONF = "script.benchmarks.floors"

STRIPE_SECRET_KEY = "sk_test_bench"
STRIPE_WEBHOOK_SECRETS = ["whsec_bench"]
STRIPE_API_BASE = "http://127.0.0.1:9"
