"""How leads refuse."""

from django.utils.translation import gettext_lazy as _

from zevix.errors import Conflict, Forbidden, NotFound, Refusal, ValidationFailed


class QuotaExhausted(Refusal):
    code, status = "monthly_limit_exceeded", 403
    message = _("You have {remaining} leads remaining ({used}/{limit})")


class AllOwned(Refusal):
    code, status = "all_leads_already_used", 409
    message = _("All of these leads were exported before. {remaining} leads remaining")


class CatalogueHasNoQuota(Conflict):
    message = _("This is the operator's catalogue: it has no quota.")


class AdjustsTooFar(Conflict):
    message = _("The adjustment goes too far.")


class LeadsNotFound(NotFound):
    code = "leads_not_found"
    message = _("None of these leads is known.")


class QuoteExpired(Refusal):
    code, status = "quote_expired", 410
    message = _("This quote has expired. Ask for a new one.")


class QuoteUsed(Refusal):
    code, status = "quote_used", 409
    message = _("This quote was used: export {export_id} is what became of it.")


class NothingToExport(Refusal):
    code, status = "nothing_to_export", 409
    message = _("Nothing in this quote can be handed over. Ask for a new one.")


class ExternalIdTaken(Conflict):
    message = _("There is a lead with this external id already.")


class LeadChanged(Conflict):
    message = _("Somebody has changed this lead since you read it.")


class NotYourLead(Forbidden):
    message = _("Can only update your assigned leads")


class NotYourActivity(Forbidden):
    message = _("Can only change your own activities")


class StillRunning(Conflict):
    message = _("It is still running; wait until it is over.")


class ExportFailed(Conflict):
    message = _("This export failed: nothing was exported, so there is nothing to download.")


class TooManyCustomFields(Conflict):
    message = _("These leads have more than {limit} custom fields, too many for columns: take them as JSON.")


class RuleNameTaken(Conflict):
    message = _("There is a rule with this name already.")


class FieldExists(Conflict):
    message = _("There is a custom field with this key already.")


class ValuesDoNotFit(Conflict):
    message = _("Leads that hold a value which is none of this kind: {count}. Change these first.")


class NoSuchMembers(Conflict):
    message = _("None of them is a member of this workspace any more.")


class ViewExists(Conflict):
    message = _("You have a saved view with this name already.")


class AlreadyUndone(Conflict):
    message = _("This was undone already.")


class SurvivorMerged(Conflict):
    message = _("Lead {lead} was itself merged since: undo merge {merge} first.")


class SurvivorDeleted(Conflict):
    message = _("Lead {lead} was deleted since: take it out of the bin first.")


class KeyTakenSince(Conflict):
    message = _("Lead {lead} can't come back: another lead has its external id by now.")


class MergeTooOld(Conflict):
    message = _("Merges can be undone for {days} days.")


class LeadSold(Conflict):
    message = _("Workspaces have exported {count} of these leads; the catalogue keeps what was paid for.")


class UnreadableFile(Refusal):
    code, status = "malformed_request", 400
    message = _("The file can't be read: {reason}")


class NothingMapped(ValidationFailed):
    message = _("None of the columns is a field of a lead.")
