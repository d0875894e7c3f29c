from django.urls import path

from ai.views import actions, analyses, chat, documents, prompts, proposals, usage

urlpatterns = [
    path("ai", actions.Actions.as_view()),
    path("api/v1/prompts", prompts.Prompts.as_view()),
    path("api/v1/prompts/<slug:key>", prompts.OnePrompt.as_view()),
    path("api/v1/prompts/<slug:key>/versions", prompts.Versions.as_view()),
    path("api/v1/prompts/<slug:key>/versions/<int:number>", prompts.OneVersion.as_view()),
    path("api/v1/prompts/<slug:key>/versions/<int:number>/publish", prompts.PublishVersion.as_view()),
    path("api/v1/prompts/<slug:key>/rollback", prompts.RollBack.as_view()),
    path("api/v1/prompts/<slug:key>/cases", prompts.Cases.as_view()),
    path("api/v1/prompts/<slug:key>/cases/<int:case_id>", prompts.OneCase.as_view()),
    path("api/v1/proposals", proposals.Proposals.as_view()),
    path("api/v1/proposals/<int:proposal_id>", proposals.OneProposal.as_view()),
    path("api/v1/proposals/<int:proposal_id>/approve", proposals.ApproveProposal.as_view()),
    path("api/v1/proposals/<int:proposal_id>/reject", proposals.RejectProposal.as_view()),
    path("api/v1/analyses", analyses.Analyses.as_view()),
    path("api/v1/analyses/<int:number>", analyses.OneAnalysis.as_view()),
    path("api/v1/analyses/<int:number>/leads", analyses.AnalyzedLeads.as_view()),
    path("api/v1/analyses/<int:number>/cancel", analyses.CancelAnalysis.as_view()),
    path("api/v1/analyses/<int:number>/undo", analyses.UndoAnalysis.as_view()),
    path("api/session", chat.BeginSession.as_view()),
    path("api/chat", chat.Chat.as_view()),
    path("api/sessions", chat.Sessions.as_view()),
    path("api/session/<str:session_id>", chat.OneSession.as_view()),
    path("api/v1/chat/settings", chat.ChatSettings.as_view()),
    path("api/v1/documents", documents.Documents.as_view()),
    path("api/v1/documents/search", documents.SearchDocuments.as_view()),
    path("api/v1/documents/<int:document_id>", documents.OneDocument.as_view()),
    path("api/v1/ai/usage", usage.AIUsage.as_view()),
]
