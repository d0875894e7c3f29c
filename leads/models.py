"""Leads: the rows that everything here is about."""

from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVector, SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now, Upper
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from zevix.json_rows import json_row
from zevix.tenancy import TenantQuerySet


class LeadStatus(models.TextChoices):
    NEW = "NEW", _("New")
    CONTACTED = "CONTACTED", _("Contacted")
    QUALIFIED = "QUALIFIED", _("Qualified")
    PROPOSAL = "PROPOSAL", _("Proposal")
    WON = "WON", _("Won")
    LOST = "LOST", _("Lost")


class EmailStatus(models.TextChoices):
    DELIVERABLE = "deliverable", _("Deliverable")
    RISKY = "risky", _("Risky")
    UNDELIVERABLE = "undeliverable", _("Undeliverable")
    UNKNOWN = "unknown", _("Unknown")


class DisgType(models.TextChoices):
    DOMINANT = "D", _("Dominant")
    INITIATIVE = "I", _("Initiative")
    STEADY = "S", _("Steady")
    CONSCIENTIOUS = "G", _("Conscientious")


class NeedsAction(models.Func):
    """Whether a lead needs action, by the rule that stands without AI: no status, never contacted, or open and silent for 30 days.

    The rule itself is the database's function, so that bulk SQL and single leads can't differ.
    """

    function = "leads_needs_action"
    output_field = models.BooleanField()


class LeadQuerySet(TenantQuerySet["Lead"]):
    def in_catalogue(self) -> Self:
        """The operator's own stock."""
        return self.for_workspaces(Workspace.objects.filter(is_catalogue=True))

    def search(self, text: str, *, masked: bool = False) -> Self:
        """Leads with every word of ``text``, each as the beginning of a word.

        Masked, only what a masked lead shows is searched: else one could guess an address letter by letter.
        """
        label = ":*A" if masked else ":*"
        words = [word for word in text.split()[:16] if any(map(str.isalnum, word))]
        if not words:
            return self.none() if text.strip() else self
        query = " & ".join("'" + word.replace("\\", "").replace("'", "''") + "'" + label for word in words)
        return self.filter(search_vector=SearchQuery(query, config="simple", search_type="raw"))

    def flat(self) -> "models.QuerySet[Lead, str]":
        """Leads as the API answers them, each a JSON text that PostgreSQL has written."""
        return self.values_list(LEAD_ROW, flat=True)


def _text(label: Any) -> Any:
    """Text that may be blank. The database knows the default too, since imports and exports write by SQL."""
    return models.TextField(label, blank=True, default="", db_default="")


def _list(label: Any) -> Any:
    return ArrayField(
        models.TextField(),
        verbose_name=label,
        blank=True,
        default=list,
        db_default=models.Value([], ArrayField(models.TextField())),
    )


class Lead(models.Model):
    """Somebody to sell to, in a workspace or in the catalogue."""

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "id", "external_id", "name", "email", "phone", "company", "website", "channel", "owner_phone", "address", "city",
        "state", "zip_code", "country", "ein", "npi", "entity_type", "providers", "specialties", "is_sole_proprietor",
        "status", "score", "needs_action", "next_action_at", "next_action_description", "last_contact", "disg_type",
        "notes", "tags", "extra", "email_status", "assigned_user_id", "source", "import_batch_id", "created_at",
        "updated_at", "version",
    )  # fmt: skip

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="leads", verbose_name=_("workspace"), db_index=False
    )
    catalogue_lead = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="copies", db_index=False,
        help_text=_("The lead of the catalogue that this one is a copy of."),
    )  # fmt: skip

    external_id = _text(_("external id"))
    name = _text(_("name"))
    email = _text(_("e-mail address"))
    phone = _text(_("phone"))
    phone_normalized = models.TextField(blank=True, default="", db_default="", editable=False)
    company = _text(_("company"))
    website = _text(_("website"))
    channel = _text(_("channel"))
    owner_phone = _text(_("owner's phone"))
    address = _text(_("address"))
    city = _text(_("city"))
    state = _text(_("state"))
    zip_code = _text(_("ZIP code"))
    country = _text(_("country"))
    ein = _text(_("EIN"))
    npi = _text(_("NPI"))
    entity_type = _text(_("kind of entity"))
    providers = _list(_("providers"))
    specialties = _list(_("specialties"))
    is_sole_proprietor = models.BooleanField(_("sole proprietor"), null=True, blank=True)

    status = models.TextField(_("status"), choices=LeadStatus, default=LeadStatus.NEW, db_default="NEW")
    score = models.SmallIntegerField(
        _("score"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    needs_action = models.BooleanField(_("needs action"), default=True, db_default=True)
    next_action_at = models.DateTimeField(_("next action at"), null=True, blank=True)
    next_action_description = _text(_("next action"))
    last_contact = models.DateTimeField(_("last contact"), null=True, blank=True)
    disg_type = models.TextField(_("DISC type"), choices=DisgType, blank=True, default="", db_default="")
    notes = _text(_("notes"))
    tags = _list(_("tags"))
    extra = models.JSONField(
        _("custom fields"), blank=True, default=dict, db_default=models.Value({}, models.JSONField())
    )
    email_status = models.TextField(
        _("e-mail status"),
        choices=EmailStatus,
        default=EmailStatus.UNKNOWN,
        db_default="unknown",
        editable=False,
    )
    assigned_user = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="assigned_leads", verbose_name=_("assigned to"),
        db_index=False,
    )  # fmt: skip
    source = _text(_("source"))
    import_batch = models.ForeignKey(
        "ImportBatch", models.SET_NULL, null=True, blank=True, editable=False, related_name="leads",
        verbose_name=_("import"),
    )  # fmt: skip
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(_("changed"), auto_now=True, db_default=Now())
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)

    # weight A is what a masked lead shows, B what it hides
    search_vector = models.GeneratedField(
        expression=SearchVector("name", "company", "city", weight="A", config="simple")
        + SearchVector("email", "phone", "notes", weight="B", config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects: ClassVar[Any] = LeadQuerySet.as_manager()

    class Meta:
        verbose_name = _("lead")
        verbose_name_plural = _("leads")
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "external_id"],
                condition=~Q(external_id=""),
                name="leads_external_id_names_one_lead",
            ),
            models.UniqueConstraint(
                fields=["workspace", "catalogue_lead"],
                name="leads_catalogue_lead_is_copied_once_per_workspace",
            ),
            models.CheckConstraint(condition=Q(status__in=LeadStatus.values), name="leads_status_is_known"),
            models.CheckConstraint(condition=Q(score__range=(0, 100)), name="leads_score_is_a_percentage"),
        ]
        indexes = [
            # with workspace_id in front: an order by id alone makes the planner walk past every other workspace's rows
            models.Index(fields=["workspace", "id"], name="leads_page"),
            models.Index(fields=["workspace", "status", "id"], name="leads_by_status"),
            models.Index("workspace", Upper("state"), Upper("city"), "id", name="leads_by_place"),
            models.Index(
                fields=["workspace", "assigned_user", "id"],
                condition=Q(assigned_user__isnull=False),
                name="leads_by_agent",
            ),
            models.Index("workspace", Lower("email"), condition=~Q(email=""), name="leads_by_email"),
            models.Index(fields=["workspace", "npi"], condition=~Q(npi=""), name="leads_by_npi"),
            GinIndex("search_vector", name="leads_by_words"),
        ]

    def __str__(self) -> str:
        return self.company or self.name or self.email or self.npi or f"#{self.pk}"


LEAD_ROW = json_row(Lead, Lead.COLUMNS, {"practice_name": "company", "owner_name": "name", "practice_phone": "phone"})


class Usage(models.Model):
    """What a workspace has exported in a month (UTC). Its row is the lock that exports of the workspace queue at."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="usage", verbose_name=_("workspace"))
    month = models.CharField(_("month"), max_length=7, help_text=_("YYYY-MM"))
    used = models.PositiveIntegerField(_("used"), default=0)
    limit_when_charged = models.PositiveIntegerField(_("limit at the last charge"), default=0)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "month"], name="leads_one_usage_per_workspace_and_month"),
            models.CheckConstraint(
                condition=Q(used__lte=models.F("limit_when_charged")),
                name="leads_usage_never_passes_the_limit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.month}: {self.used}"


class Export(models.Model):
    """The receipt of one export: what was charged, and how the quota stood afterwards."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="exports", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    month = models.CharField(_("month"), max_length=7)
    new_count = models.PositiveIntegerField(_("new"))
    duplicate_count = models.PositiveIntegerField(_("owned before"))
    not_exported_count = models.PositiveIntegerField(_("not exported"))
    unknown_count = models.PositiveIntegerField(_("unknown"))
    used = models.PositiveIntegerField(_("used afterwards"))
    limit = models.PositiveIntegerField(_("limit"))
    created_at = models.DateTimeField(_("exported"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")

    def __str__(self) -> str:
        return f"#{self.pk}"


class ExportedLead(models.Model):
    """A lead that a workspace has paid for, for ever. For a copy it names the catalogue's lead, so that both are one."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, verbose_name=_("workspace")
    )
    # what was paid stays paid when the lead is gone, so this is no foreign key to the database
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False, verbose_name=_("lead")
    )
    export = models.ForeignKey(Export, models.PROTECT, related_name="charges", verbose_name=_("export"))

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("exported lead")
        verbose_name_plural = _("exported leads")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "lead"], name="leads_charged_once_per_workspace_for_ever")
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.lead_id}"


class ImportBatch(models.Model):
    """One import and what came of it."""

    class Mode(models.TextChoices):
        CREATE = "create", _("Create only")
        UPSERT = "upsert", _("Create and update")
        UPDATE = "update", _("Update only")

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")

    class Analysis(models.TextChoices):
        QUEUED = "queued", _("Queued")
        NOT_CONFIGURED = "not_configured", _("Not configured")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="imports", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    file_name = models.TextField(_("file"), blank=True, default="")
    mode = models.TextField(_("mode"), choices=Mode, default=Mode.UPSERT)
    header = models.JSONField(_("columns"), default=list)
    mapping = models.JSONField(_("columns and their fields"), default=dict)
    status = models.TextField(_("status"), choices=Status, default=Status.RUNNING)
    ai_analysis = models.TextField(_("AI analysis"), choices=Analysis, default=Analysis.NOT_CONFIGURED)

    total_rows = models.PositiveIntegerField(_("rows"), default=0)
    created_count = models.PositiveIntegerField(_("created"), default=0)
    updated_count = models.PositiveIntegerField(_("updated"), default=0)
    unchanged_count = models.PositiveIntegerField(_("of these unchanged"), default=0)
    skipped_count = models.PositiveIntegerField(_("skipped"), default=0)
    error_count = models.PositiveIntegerField(_("rejected"), default=0)
    needs_action_count = models.PositiveIntegerField(_("need action"), default=0)
    without_last_contact_count = models.PositiveIntegerField(_("never contacted"), default=0)
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    # the errors to show with the answer; the whole are in `row_errors`
    rejected: "list[RejectedRow]"

    def __str__(self) -> str:
        return f"#{self.pk} {self.file_name}"

    @property
    def imported_count(self) -> int:
        return self.created_count + self.updated_count


class RejectedRow(models.Model):
    """A cell that kept its row from being imported, with the row as it stood in the file, so that it can be mended there."""

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="row_errors", verbose_name=_("import"))
    row = models.PositiveIntegerField(_("row"), help_text=_("The line in the file, the header being 1."))
    field = models.TextField(_("field"), blank=True, default="")
    message = models.TextField(_("message"))
    cells = models.JSONField(_("the row"), default=list)

    class Meta:
        verbose_name = _("rejected row")
        verbose_name_plural = _("rejected rows")
        ordering = ["row", "id"]

    def __str__(self) -> str:
        return f"{self.row}: {self.field}: {self.message}"
