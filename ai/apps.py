from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AiConfig(AppConfig):
    name = "ai"
    verbose_name = "AI"

    def ready(self) -> None:
        from ai import receivers  # noqa: F401  # importing connects them
        from ai.models import AnalysisRun
        from ai.prompts import seeding
        from leads import undoing

        undoing.KINDS["analysis"] = AnalysisRun
        post_migrate.connect(seeding.seed, sender=self)
