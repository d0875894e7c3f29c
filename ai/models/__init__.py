"""The tables of AI, by what they are about."""

from ai.models.analyses import AnalysisRun, LeadAnalysis
from ai.models.calls import AICall, AIMonth
from ai.models.chats import ChatMessage, ChatSession, Proposal
from ai.models.knowledge import Chunk, Document
from ai.models.prompts import Prompt, PromptCase, PromptEvaluation, PromptRelease, PromptVersion

__all__ = [
    "AICall",
    "AIMonth",
    "AnalysisRun",
    "ChatMessage",
    "ChatSession",
    "Chunk",
    "Document",
    "LeadAnalysis",
    "Prompt",
    "PromptCase",
    "PromptEvaluation",
    "PromptRelease",
    "PromptVersion",
    "Proposal",
]
