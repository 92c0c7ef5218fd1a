"""The WSGI entry point."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
application = get_wsgi_application()

# What is loaded by now lives as long as the process: no collection has to walk through it. And a request that makes
# thousands of rows is no sign of garbage.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
