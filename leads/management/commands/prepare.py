"""``manage.py prepare``: what must be done before the server may start."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from leads import demo


class Command(BaseCommand):
    help = "Migrate, make the cache table, seed the plans and, in development on an empty installation, the demo workspace."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        if not settings.DEVELOPMENT:
            call_command("collectstatic", interactive=False, verbosity=0)
        elif demo.seed() or demo.is_there():
            self.stdout.write(
                "Demo: sign in as admin / admin123 (manager / manager123, agent1 / agent123, agent2 / agent123)."
            )
