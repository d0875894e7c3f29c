"""Leads: the rows that everything here is about."""

import re
from typing import Any, ClassVar, Self

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchQuery, SearchVector, SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Left, Lower, Now, Upper
from django.db.models.lookups import Exact
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

    def with_email(self, email: str) -> Self:
        """Those with an e-mail address, in any case; by the index, whose condition needs naming."""
        return self.exclude(email="").filter(Exact(Lower("email"), Lower(Value(email))))

    def search(self, text: str, *, masked: bool = False) -> Self:
        """Leads with every word of ``text``, each as the beginning of a word; a phone number in it by its digits, however written.

        Masked, only what a masked lead shows is searched: else one could guess an address letter by letter.
        """
        label = ":*A" if masked else ":*"
        terms = [term for piece in _PHONE.split(text[:500]) if (term := _term(piece, label))]
        if not terms:
            return self.none() if text.strip() else self
        return self.filter(search_vector=SearchQuery(" & ".join(terms), config="simple", search_type="raw"))

    def flat(self) -> "models.QuerySet[Lead, str]":
        """Leads as the API answers them, each a JSON text that PostgreSQL has written."""
        return self.values_list(LEAD_ROW, flat=True)


# what may be a phone number: it begins and ends with a digit, and has nothing but digits and the usual signs
_PHONE = re.compile(r"(\+?\(?[0-9][0-9\s()./-]{3,}[0-9])")


def _term(piece: str, label: str) -> str:
    """The part of a search that asks for a piece of text: all of its words, or the number that it is."""
    words = [word for word in piece.split()[:16] if any(map(str.isalnum, word))]
    digits = re.sub(r"\D", "", piece).lstrip("0")
    if _PHONE.fullmatch(piece) and digits:
        return f"(({_ending(words, label)}) | {_quoted(digits, label)})"
    return " & ".join(_word(word, label) for word in words)


def _word(word: str, label: str) -> str:
    """A word as it stands; or, since addresses and names are joined in many ways, all of its parts."""
    parts = [part for part in re.split(r"[@._+-]", word) if any(map(str.isalnum, part))]
    if len(parts) < 2 or re.fullmatch(r"[^@]+@[^@]+[.][^@.]+", word):
        return _quoted(word, label)
    last_is_whole = re.search(r"[.][^@._+-]*$", word) is not None  # the end of a host's name
    return f"({_quoted(word, label)} | ({_ending(parts, label, last_is_whole)}))"


def _ending(words: list[str], label: str, last_is_whole: bool = False) -> str:
    """Whole words, of which only the last may go on, if any: to gather all that begin with an area's code, or with ``com``, takes long."""
    *whole, last = words
    exact = label.replace("*", "").rstrip(":")
    return " & ".join([*(_quoted(word, exact) for word in whole), _quoted(last, exact if last_is_whole else label)])


def _quoted(word: str, label: str) -> str:
    return "'" + word.replace("\\", "").replace("'", "''") + "'" + label


class _Words(models.Func):
    """A list's texts as one; the database's own function of that kind is not immutable, as an index needs it."""

    function = "leads_words"
    output_field = models.TextField()


class _PhoneWords(models.Func):
    """A number for matching as words: with the country's code, without it, and without the area's."""

    function = "leads_phone_words"
    output_field = models.TextField()


class _EmailWords(models.Func):
    """An address as words: whole, and its parts."""

    function = "leads_email_words"
    output_field = models.TextField()


class WrittenBy(models.Func):
    """Who is writing, by the setting in which `leads.history` tells the database; None where nobody told."""

    template = "nullif(current_setting('pghistory.context_metadata', true), '')::jsonb"
    output_field = models.JSONField()


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
    # no foreign key to the database: it would look for copies of every single lead that is deleted, and sold ones are never deleted
    catalogue_lead = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, blank=True, editable=False, related_name="copies", db_index=False,
        db_constraint=False, help_text=_("The lead of the catalogue that this one is a copy of."),
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
        verbose_name=_("import"), db_index=False,
    )  # fmt: skip
    origin = models.JSONField(
        _("origin"), null=True, editable=False, db_default=WrittenBy(), help_text=_("Who brought the lead, and how.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(_("changed"), auto_now=True, db_default=Now())
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)

    # weight A is what a masked lead shows, B what it hides
    search_vector = models.GeneratedField(
        expression=SearchVector("name", "company", "city", _Words("specialties"), weight="A", config="simple")
        + SearchVector(_EmailWords("email"), _PhoneWords("phone_normalized"), "notes", weight="B", config="simple"),
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
            models.Index("workspace", Upper("state"), "id", name="leads_by_state"),
            models.Index(
                fields=["workspace", "assigned_user", "id"],
                condition=Q(assigned_user__isnull=False),
                name="leads_by_agent",
            ),
            models.Index("workspace", Lower("email"), condition=~Q(email=""), name="leads_by_email"),
            models.Index(fields=["workspace", "npi"], condition=~Q(npi=""), name="leads_by_npi"),
            models.Index(
                fields=["workspace", "phone_normalized"], condition=~Q(phone_normalized=""), name="leads_by_phone"
            ),
            models.Index(
                "workspace", Lower("company"), Left("zip_code", 5),
                condition=~Q(company="") & ~Q(zip_code=""), name="leads_by_company_and_zip",
            ),
            models.Index("workspace", Upper("city"), "id", name="leads_by_city"),
            models.Index(
                "workspace", OpClass("zip_code", name="text_pattern_ops"), "id",
                condition=~Q(zip_code=""), name="leads_by_zip",
            ),
            models.Index(fields=["workspace", "source", "id"], name="leads_by_source"),
            models.Index(fields=["workspace", "email_status", "id"], name="leads_by_email_status"),
            models.Index(fields=["workspace", "created_at", "id"], name="leads_by_creation"),
            # while they are many the page's index finds them; when they are few it would walk past all others
            models.Index(fields=["workspace", "id"], condition=Q(assigned_user=None), name="leads_of_nobody"),
            models.Index(fields=["workspace", "id"], condition=Q(needs_action=False), name="leads_needing_nothing"),
            models.Index(fields=["workspace", "name", "id"], name="leads_by_name"),
            models.Index(fields=["workspace", "company", "id"], name="leads_by_company"),
            models.Index(
                "workspace", F("next_action_at").asc(nulls_last=True), F("last_contact").asc(nulls_first=True), "id",
                condition=Q(needs_action=True), name="leads_most_urgent_first",
            ),
            models.Index(
                fields=["import_batch", "id"], condition=Q(import_batch__isnull=False), name="leads_by_import"
            ),
            GinIndex("search_vector", name="leads_by_words"),
            GinIndex("tags", name="leads_by_tag"),
            GinIndex(OpClass("extra", name="jsonb_path_ops"), name="leads_by_custom_field"),
        ]  # fmt: skip
        triggers = [
            pgtrigger.Trigger(
                name="counts_versions",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["search_vector"]),  # which is not known yet at this moment
                func="NEW.version = OLD.version + 1; NEW.updated_at = clock_timestamp(); RETURN NEW;",
            ),
            # whoever is new, or known by something new, is to be compared with the others; see `leads.duplicates`
            pgtrigger.Trigger(
                name="queues_new_leads_for_comparison",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="arrived"),
                func="""
                    INSERT INTO leads_uncomparedlead (workspace_id, lead_id) SELECT workspace_id, id FROM arrived
                    ON CONFLICT DO NOTHING;
                    RETURN NULL;
                """,
            ),
            # no join: its plan is made once for each connection, for the few rows of that moment
            pgtrigger.Trigger(
                name="queues_changed_leads_for_comparison",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                referencing=pgtrigger.Referencing(old="before", new="after"),
                func="""
                    INSERT INTO leads_uncomparedlead (workspace_id, lead_id)
                    SELECT workspace_id, id FROM (
                        SELECT workspace_id, id, email, phone_normalized, npi, address, company, zip_code FROM after EXCEPT
                        SELECT workspace_id, id, email, phone_normalized, npi, address, company, zip_code FROM before
                    ) AS changed
                    ON CONFLICT DO NOTHING;
                    RETURN NULL;
                """,
            ),
            # those that were paired with a lead that goes may be each other's duplicates
            pgtrigger.Trigger(
                name="queues_partners_of_deleted_leads_for_comparison",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Delete,
                referencing=pgtrigger.Referencing(old="gone"),
                func="""
                    INSERT INTO leads_uncomparedlead (workspace_id, lead_id)
                    SELECT DISTINCT pair.workspace_id, pair.second_id FROM gone JOIN leads_duplicatepair AS pair ON pair.first_id = gone.id
                    ON CONFLICT DO NOTHING;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.company or self.name or self.email or self.npi or f"#{self.pk}"


LEAD_ROW = json_row(Lead, Lead.COLUMNS, {"practice_name": "company", "owner_name": "name", "practice_phone": "phone"})
