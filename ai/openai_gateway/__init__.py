"""The AI's server: OpenAI, or any that speaks its Responses API. Nothing outside this folder imports its package.

A call succeeds only when the server says that the answer is complete. It is tried again only where the server can't have worked:
no connection, too many requests, or a fault that it reports; never after a time-out, since that answer may have been paid for.
Nothing is kept over there (``store`` is false).
"""

from ai.openai_gateway.connections import is_configured, require_configured
from ai.openai_gateway.embeddings import DIMENSIONS, batches, body_of, embed
from ai.openai_gateway.insisting import VENDOR
from ai.openai_gateway.questions import Answer, Delta, Question, Tool, ToolCall
from ai.openai_gateway.responses import ask, stream

__all__ = [
    "DIMENSIONS",
    "VENDOR",
    "Answer",
    "Delta",
    "Question",
    "Tool",
    "ToolCall",
    "ask",
    "batches",
    "body_of",
    "embed",
    "is_configured",
    "require_configured",
    "stream",
]
