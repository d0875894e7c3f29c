"""The API's shapes: errors, pages, JSON, idempotency, the OpenAPI document."""
