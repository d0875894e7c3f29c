"""OpenAI on loopback: the Responses API, whole and streamed, and embeddings; it refuses what OpenAI refuses, and answers what the test says.

Every request is checked by the types of the package that production uses, every answer and event by its models before it leaves.
Simpler than OpenAI: tokens are counted four bytes to one, nothing is stored, and embeddings are words hashed into the vector, so
that texts with words in common are near each other.
"""

from ai.tests.openai_server.standin import OpenAIServer

__all__ = ["OpenAIServer"]
