"""Who acts in the admin, and how it is told what came of an act."""

from typing import Any

from django.contrib import messages
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from leads import undoing
from leads.history import Author
from leads.models import (
    Undo,
)
from zevix.errors import Refusal


def author(request: HttpRequest) -> Author:
    """The operator, or a manager: whoever else reaches a lead here."""
    return Author("human", request.user.pk)


def tell_of_undo(model_admin: Any, request: HttpRequest, act: str, workspace: Workspace) -> None:
    """Undo an act, and say what came of it."""
    try:
        undo = undoing.undo(act, workspace=workspace, by=author(request))
    except Refusal as refusal:
        model_admin.message_user(request, f"{act}: {refusal}", messages.ERROR)
        return
    if undo.status == Undo.Status.RUNNING:
        sentence = _("{act}: is being undone in the background.").format(act=act)
    else:
        sentence = _("{act}: {removed} removed, {reverted} changed back, {restored} brought back, {kept} kept.").format(
            act=act, removed=undo.removed_count, reverted=undo.reverted_count, restored=undo.restored_count,
            kept=undo.kept_count,
        )  # fmt: skip
    model_admin.message_user(request, sentence, messages.WARNING if undo.kept_count else messages.SUCCESS)


def links(*lists: tuple[type[models.Model], str]) -> SafeString:
    """Links to the rows of other lists."""
    return format_html_join(
        " · ",
        '<a class="text-link" href="{}?{}">{}</a>',
        ((list_of(model), query, str(model._meta.verbose_name_plural).capitalize()) for model, query in lists),
    )


def list_of(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
