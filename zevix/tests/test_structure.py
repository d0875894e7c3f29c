"""The house keeps its shape: apps import downwards only, and domain code knows no REST framework."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

BELOW = {
    "zevix": set(),
    "accounts": {"zevix"},
    "billing": {"zevix", "accounts"},
    "leads": {"zevix", "accounts", "billing"},
    "crm": {"zevix", "accounts", "billing", "leads"},
    "ai": {"zevix", "accounts", "billing", "leads"},
}
FRONT_DOORS = ("views.py", "serializers.py", "permissions.py", "authentication.py", "requests.py", "filters.py")


def sources(app):
    return [path for path in (ROOT / app).rglob("*.py") if not {"tests", "migrations"} & set(path.parts)]


def imported(path):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("app", BELOW)
def test_an_app_imports_only_those_below_it(app):
    above = set(BELOW) - BELOW[app] - {app}

    upwards = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in sources(app)
        for module in imported(path)
        if module.split(".")[0] in above
    ]

    assert upwards == []


@pytest.mark.parametrize("app", [app for app in BELOW if app != "zevix"])
def test_domain_code_does_not_know_rest_framework(app):
    knowing = [
        str(path.relative_to(ROOT))
        for path in sources(app)
        if not path.name.endswith(FRONT_DOORS) and not {"views", "serializers"} & set(path.parts)
        for module in imported(path)
        if module.split(".")[0] == "rest_framework"
    ]

    assert knowing == []


def test_every_tenants_table_names_its_workspace():
    from django.apps import apps

    # what belongs to an import, an undo, a merge, a rule or a prompt is of its workspace
    parts = {"RejectedRow", "ImportPiece", "KeptLead", "MergedLead", "RuleMember"}
    parts |= {"PromptVersion", "PromptRelease", "PromptCase", "PromptEvaluation"}
    offers = {"Plan", "Price", "TopUpPack"}
    exempt = {"Workspace", "User", "StripeEvent", *offers, *parts}
    lacking = [
        model.__name__
        for app in BELOW
        for model in apps.get_app_config(app).get_models()
        if model.__name__ not in exempt and "workspace" not in {field.name for field in model._meta.get_fields()}
    ]

    assert lacking == []
