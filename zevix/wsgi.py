"""WSGI, for servers that want only that; `zevix.asgi` is what `script/server` runs."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zevix.settings")

application = get_wsgi_application()
