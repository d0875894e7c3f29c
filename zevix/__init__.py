"""The ground that the apps stand on: settings, server, the API's shapes, jobs and events. No business rule."""

__version__ = "0.1.0"
