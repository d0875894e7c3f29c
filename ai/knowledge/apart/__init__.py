"""Readers of what may be made to do harm, PDF and HTML: run as a process of its own, with little time and memory, and without Django.

``python -m ai.knowledge.apart pdf|html SECONDS`` reads a file from its input and writes JSON: ``{"sections": [[heading, page or null, text], …]}``, or
``{"error": "…"}``, one of the words that `ai.knowledge.reading.apart` has a sentence for.
"""
