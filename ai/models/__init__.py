"""The tables of AI, by what they are about."""

from ai.models.analysis import AnalysisRun
from ai.models.calls import AICall, AIMonth
from ai.models.chats import ChatMessage, ChatSession, Proposal
from ai.models.knowledge import Chunk, Document, DocumentFile
from ai.models.prompts import Prompt, PromptCase, PromptEvaluation, PromptRelease, PromptVersion

__all__ = [
    "AICall",
    "AIMonth",
    "AnalysisRun",
    "ChatMessage",
    "ChatSession",
    "Chunk",
    "Document",
    "DocumentFile",
    "Prompt",
    "PromptCase",
    "PromptEvaluation",
    "PromptRelease",
    "PromptVersion",
    "Proposal",
]
