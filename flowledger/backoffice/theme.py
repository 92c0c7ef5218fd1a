"""Look of the back office: Unfold's settings. Read by the settings module, so nothing is imported here."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "FlowLedger",
    "SITE_HEADER": "FlowLedger",
    "SITE_SUBHEADER": "flowledger.backoffice.navigation.organization_name",
    "SITE_SYMBOL": "conversion_path",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "flowledger.backoffice.navigation.favicon"}],
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "flowledger.backoffice.navigation.environment_badge",
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .014 243.2)",
            "100": "oklch(94.0% .030 243.0)",
            "200": "oklch(89.1% .058 242.5)",
            "300": "oklch(81.6% .102 241.6)",
            "400": "oklch(72.3% .148 243.6)",
            "500": "oklch(62.8% .174 248.2)",
            "600": "oklch(53.1% .183 253.8)",
            "700": "oklch(46.3% .160 254.6)",
            "800": "oklch(40.2% .132 254.2)",
            "900": "oklch(35.2% .105 254.0)",
            "950": "oklch(26.2% .083 256.8)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": False,
        "show_all_applications": False,
        "navigation": "flowledger.backoffice.navigation.sidebar",
    },
}
