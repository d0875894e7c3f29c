"""Documents of each kind, read as sections."""

from ai.knowledge.reading.reader import checked, sections

__all__ = ["checked", "sections"]
