"""Who a visitor is: nobody knows, or their website has signed it.

A website that knows its visitors signs a token (JWT, HS256) with its workspace's secret: ``sub`` names the visitor there, ``exp`` is at
most a day away; ``email``, ``name`` and ``phone`` are welcome. Nobody else can: so what a signed visitor asks may be answered from
what the workspace knows of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """``id`` is the website's own name for the visitor."""

    id: str
    email: str = ""
    name: str = ""
    phone: str = ""
