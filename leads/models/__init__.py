"""The tables of leads, by what they are about."""

from leads.models.distribution import (
    Assignment,
    Availability,
    DistributionRule,
    RuleMember,
    Territory,
    WaitingLead,
)
from leads.models.exports import Export, ExportedLead, ExportQuote, Suppression
from leads.models.history import BulkChange, KeptLead, LeadVersion, Undo
from leads.models.imports import ImportBatch, ImportPiece, RejectedRow, RememberedMapping
from leads.models.lead import LEAD_ROW, DisgType, EmailStatus, Lead, LeadQuerySet, LeadStatus, NeedsAction
from leads.models.ledger import LeadCredit, Usage, UsageAlert, UsageEntry
from leads.models.merging import DuplicatePair, Merge, MergedLead, UncomparedLead
from leads.models.work import ACTIVITY_ROW, Activity, ActivityQuerySet, CustomField, SavedView

__all__ = [
    "ACTIVITY_ROW",
    "LEAD_ROW",
    "Activity",
    "ActivityQuerySet",
    "Assignment",
    "Availability",
    "BulkChange",
    "CustomField",
    "DisgType",
    "DistributionRule",
    "DuplicatePair",
    "EmailStatus",
    "Export",
    "ExportQuote",
    "ExportedLead",
    "ImportBatch",
    "ImportPiece",
    "KeptLead",
    "Lead",
    "LeadCredit",
    "LeadQuerySet",
    "LeadStatus",
    "LeadVersion",
    "Merge",
    "MergedLead",
    "NeedsAction",
    "RejectedRow",
    "RememberedMapping",
    "RuleMember",
    "SavedView",
    "Suppression",
    "Territory",
    "UncomparedLead",
    "Undo",
    "Usage",
    "UsageAlert",
    "UsageEntry",
    "WaitingLead",
]
