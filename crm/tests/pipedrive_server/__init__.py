"""Pipedrive on loopback: stateful, refuses what Pipedrive refuses, counts tokens and bursts, and posts its webhooks for real.

It speaks v2 where v2 has a path, and v1 for leads, notes, webhooks, users and merging, as far as the CRM needs them. A parameter that
it does not know is refused aloud. What it knows of Pipedrive: https://developers.pipedrive.com/docs/api/v1 and the guide for webhooks
v2. Where these are silent it is strict: a body that Pipedrive might tolerate is refused here.
"""

from crm.tests.pipedrive_server.standin import PipedriveServer

__all__ = ["PipedriveServer"]
