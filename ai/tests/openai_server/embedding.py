"""Vectors that mean something to a test: each word has its place, so that texts with words in common are near each other."""

import array
import base64
import hashlib
import re
from math import sqrt
from typing import Any

from openai.types import CreateEmbeddingResponse

from ai.tests.openai_server.answers import tokens_of
from ai.tests.openai_server.checking import EMBEDDING_MODELS


def embedded(body: dict[str, Any]) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    length = body.get("dimensions") or EMBEDDING_MODELS[body["model"]]
    vectors: list[Any] = [vector(text, length) for text in texts]
    taken = sum(map(tokens_of, texts))
    made = {
        "object": "list",
        "model": body["model"],
        "data": [{"object": "embedding", "index": number, "embedding": each} for number, each in enumerate(vectors)],
        "usage": {"prompt_tokens": taken, "total_tokens": taken},
    }
    CreateEmbeddingResponse.model_validate(made)
    if body.get("encoding_format") == "base64":
        for row in made["data"]:
            row["embedding"] = base64.b64encode(array.array("f", row["embedding"]).tobytes()).decode()
    return made


def vector(text: str, length: int) -> list[float]:
    """Of length one; the same for the same words."""
    places = [0.0] * length
    for word in re.findall(r"\w+", text.lower()) or [text]:
        seed = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest())
        places[seed % length] += 1.0 if seed >> 63 else -1.0
    size = sqrt(sum(place * place for place in places)) or 1.0
    return [place / size for place in places]
