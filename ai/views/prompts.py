"""Front doors: what the AI is told, in versions, and the cases that they are tried on."""

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from ai.models import Prompt, PromptCase, PromptVersion
from ai.prompts import cases, versions
from ai.serializers.prompts import (
    CASE_ROW,
    PROMPT_ROW,
    VERSION_ROW,
    CasePage,
    CaseRequest,
    CaseSerializer,
    LabelRequest,
    PromptPage,
    PromptRequest,
    PromptSerializer,
    PromptWithVersions,
    PublishedSerializer,
    VersionRequest,
    VersionSerializer,
    all_of,
    with_variables,
)
from zevix.api.idempotency import Idempotent
from zevix.errors import NotFound

_SHOWN = 50  # versions


class _ManagersChange(Idempotent, APIView):
    def get_permissions(self) -> Any:
        return [IsAuthenticated() if self.request.method in SAFE_METHODS else IsManager()]


class Prompts(_ManagersChange):
    @extend_schema(responses=PromptPage)
    def get(self, request: SignedInRequest) -> Response:
        """What each action tells the AI: the workspace's own prompt, else everybody's. All at once."""
        rows = versions.visible(request.workspace).values_list(PROMPT_ROW, flat=True)
        return Response(all_of([with_variables(row) for row in rows]))

    @extend_schema(request=PromptRequest, responses={201: PromptSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Make a prompt of the workspace's own, with a first draft; for managers. Until one is published, everybody's is used."""
        written = PromptRequest.parse(request)
        key = written.pop("key")
        prompt = versions.create(key, written, workspace=request.workspace, by=request.user)
        return Response(_shown(prompt), status=status.HTTP_201_CREATED, headers={"Location": f"/api/v1/prompts/{key}"})


class OnePrompt(APIView):
    @extend_schema(responses=PromptWithVersions)
    def get(self, request: SignedInRequest, key: str) -> Response:
        """A prompt with its latest 50 versions, the newest first."""
        prompt = versions.find(key, request.workspace)
        latest = prompt.versions.order_by("-number").values_list(VERSION_ROW, flat=True)[:_SHOWN]
        return Response(_shown(prompt) | {"versions": [Fragment(row) for row in latest]})


class Versions(_ManagersChange):
    @extend_schema(request=VersionRequest, responses={201: VersionSerializer})
    def post(self, request: SignedInRequest, key: str) -> Response:
        """Write a new draft of the workspace's own prompt; for managers. What is not given is as in the published version."""
        prompt = versions.own(key, request.workspace)
        version = versions.draft(prompt, VersionRequest.parse(request), by=request.user)
        return Response(_version(version), status=status.HTTP_201_CREATED)


class OneVersion(_ManagersChange):
    @extend_schema(responses=VersionSerializer)
    def get(self, request: SignedInRequest, key: str, number: int) -> Response:
        """One version of a prompt."""
        return Response(_version(_find(versions.find(key, request.workspace), number)))

    @extend_schema(request=VersionRequest, responses=VersionSerializer)
    def patch(self, request: SignedInRequest, key: str, number: int) -> Response:
        """Change a draft; for managers. A version that was published, or has a label, stays as it is (409)."""
        version = _find(versions.own(key, request.workspace), number)
        versions.change(version, VersionRequest.parse(request))
        return Response(_version(version))


class PublishVersion(_ManagersChange):
    @extend_schema(request=LabelRequest, responses=PublishedSerializer)
    def post(self, request: SignedInRequest, key: str, number: int) -> Response:
        """Give a version a label, `production` by default: then it is what everybody in the workspace is answered by; for managers."""
        version = _find(versions.own(key, request.workspace), number)
        label = LabelRequest.parse(request)["label"]
        warning = versions.warning(version)
        versions.publish(version, by=request.user, label=label)
        return Response(_labelled(version, label) | ({"warning": warning} if warning else {}))


class RollBack(_ManagersChange):
    @extend_schema(request=LabelRequest, responses=PublishedSerializer)
    def post(self, request: SignedInRequest, key: str) -> Response:
        """Give a label back to the version that had it before; for managers. Done twice, it is undone."""
        prompt = versions.own(key, request.workspace)
        label = LabelRequest.parse(request)["label"]
        return Response(_labelled(versions.roll_back(prompt, by=request.user, label=label), label))


class Cases(_ManagersChange):
    @extend_schema(responses=CasePage)
    def get(self, request: SignedInRequest, key: str) -> Response:
        """What a prompt is tried on. All at once; there are at most 100."""
        prompt = versions.find(key, request.workspace)
        return Response(all_of(list(prompt.cases.order_by("pk").values_list(CASE_ROW, flat=True))))

    @extend_schema(request=CaseRequest, responses={201: CaseSerializer})
    def post(self, request: SignedInRequest, key: str) -> Response:
        """Add a case to the workspace's own prompt: an input, and what must hold of the answer; for managers."""
        prompt = versions.own(key, request.workspace)
        case = cases.add(prompt, CaseRequest.parse(request))
        row = PromptCase.objects.filter(pk=case.pk).values_list(CASE_ROW, flat=True).get()
        return Response(Fragment(row), status=status.HTTP_201_CREATED)


class OneCase(_ManagersChange):
    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, key: str, case_id: int) -> Response:
        """Remove a case of the workspace's own prompt; for managers."""
        prompt = versions.own(key, request.workspace)
        deleted, _counts = prompt.cases.filter(pk=case_id).delete()
        if not deleted:
            raise NotFound
        return Response(status=status.HTTP_204_NO_CONTENT)


def _find(prompt: Prompt, number: int) -> PromptVersion:
    found: PromptVersion | None = prompt.versions.filter(number=number).first()
    if found is None:
        raise NotFound
    return found


def _shown(prompt: Prompt) -> dict[str, Any]:
    return with_variables(Prompt.objects.filter(pk=prompt.pk).values_list(PROMPT_ROW, flat=True).get())


def _version(version: PromptVersion) -> Fragment:
    return Fragment(_row(version))


def _labelled(version: PromptVersion, label: str) -> dict[str, Any]:
    shown: dict[str, Any] = orjson.loads(_row(version))
    return shown | {"label": label}


def _row(version: PromptVersion) -> str:
    row: str = PromptVersion.objects.filter(pk=version.pk).values_list(VERSION_ROW, flat=True).get()
    return row
