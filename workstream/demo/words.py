"""The vocabulary of the demonstration: an invented maker of measuring instruments and its invented customers."""

from __future__ import annotations

ORGANIZATION = "Brightwater Instruments (demo)"

# (name, industry, country, employees, annual revenue in millions)
COMPANIES: tuple[tuple[str, str, str, int, int], ...] = (
    ("Alderbrook Dairy", "food", "US", 640, 210),
    ("Anselm & Pike Brewing", "food", "IE", 85, 24),
    ("Bellhaven Water Board", "utilities", "GB", 1450, 390),
    ("Calder Valley Foods", "food", "GB", 320, 96),
    ("Corvane Pharma", "pharmaceuticals", "CH", 5200, 2100),
    ("Dunmere Paper", "paper", "SE", 780, 260),
    ("Eastmark Chemicals", "chemicals", "US", 2300, 940),
    ("Fenwick Semicon", "electronics", "TW", 8700, 4300),
    ("Glasswing Biotech", "pharmaceuticals", "DK", 140, 55),
    ("Hollins Steelworks", "metals", "US", 3900, 1750),
    ("Ironbridge Castings", "metals", "GB", 210, 48),
    ("Juniper Ridge Winery", "food", "US", 38, 9),
    ("Kestrel Aerospace", "aerospace", "FR", 6100, 3200),
    ("Lakeshore Power", "utilities", "CA", 1900, 820),
    ("Marlow Textiles", "textiles", "PT", 430, 77),
    ("Northgate Cement", "building materials", "PL", 960, 310),
    ("Ostrander Glass", "building materials", "NL", 540, 150),
    ("Pellworm Shipyard", "shipbuilding", "DE", 1250, 480),
    ("Quillon Packaging", "paper", "US", 270, 66),
    ("Redfern Orchards", "food", "NZ", 120, 31),
    ("Silverlake Desalination", "utilities", "AE", 350, 175),
    ("Thornbury Plastics", "chemicals", "US", 720, 205),
    ("Umber & Sons Ceramics", "building materials", "IT", 95, 18),
    ("Vantage Wind", "energy", "DK", 410, 290),
    ("Westerly Fisheries", "food", "NO", 180, 64),
    ("Yarrow Medical", "medical devices", "US", 1600, 710),
)

FIRST_NAMES: tuple[str, ...] = (
    "Amara", "Anders", "Beatriz", "Callum", "Chiara", "Dario", "Eleni", "Farid", "Greta", "Hamish", "Ines", "Jonas",
    "Katya", "Lorenzo", "Maeve", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Sanjay", "Tilda", "Ulrik", "Vera",
    "Wanda", "Yusuf", "Zofia",
)  # fmt: skip
LAST_NAMES: tuple[str, ...] = (
    "Abernathy", "Bergstrom", "Castellan", "Dufresne", "Eriksen", "Fairweather", "Galvani", "Hathersage", "Iversen",
    "Jankowski", "Kowal", "Lindqvist", "Montrose", "Nakamura", "Okonkwo", "Pellegrin", "Quayle", "Rasmussen",
    "Sandoval", "Thackeray", "Ueda", "Vandermeer", "Whitlock", "Yilmaz", "Zeller",
)  # fmt: skip
JOB_TITLES: tuple[str, ...] = (
    "Head of Process Engineering",
    "Plant Manager",
    "Maintenance Lead",
    "Quality Manager",
    "Purchasing Manager",
    "Director of Operations",
    "Laboratory Manager",
    "Automation Engineer",
)

# problem: (definition, what customers say, subject line of a deal)
PROBLEMS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "Flow measurement drift": (
        "Readings wander between calibrations, so batches are dosed wrong.",
        (
            "Our flow meters are off by four percent again, and the last calibration was in spring.",
            "Dosing on line two drifts within weeks. We throw away a batch a month because of it.",
            "The auditors found readings outside tolerance on three of our meters. We need something stable.",
        ),
        "Stable flow metering",
    ),
    "Unplanned downtime": (
        "Sensors fail without warning and stop the line.",
        (
            "A pressure sensor died on Saturday and the whole line stood for nine hours.",
            "We lost two shifts to a failed level switch. Do you offer anything that warns before it breaks?",
            "Spare sensors take weeks to arrive and we cannot stand still that long again.",
        ),
        "Sensors that warn before they fail",
    ),
    "Compliance reporting": (
        "Measured values are copied by hand into reports for the authorities.",
        (
            "Each month two people type readings into a spreadsheet for the regulator. That has to stop.",
            "New emission rules apply to us from next year and our logging does not meet them.",
            "We need tamper-proof records of discharge temperatures, ideally by the end of the quarter.",
        ),
        "Automatic compliance records",
    ),
    "Energy costs": (
        "Nobody knows which machine uses how much steam, air and power.",
        (
            "Compressed air is our third largest bill and we cannot say where it goes.",
            "Management wants energy use per product. Today we have one meter for the whole site.",
            "We are planning an energy audit and look for sub-metering of steam and power.",
        ),
        "Energy sub-metering",
    ),
    "Remote sites": (
        "Stations without staff are read by driving there.",
        (
            "Somebody drives four hours to read the gauges at our pumping stations. There must be a better way.",
            "We run thirty unmanned sites and learn about leaks from the neighbours.",
            "Looking for battery-powered level sensors with radio, for reservoirs without mains power.",
        ),
        "Remote monitoring",
    ),
}  # fmt: skip

# solution: (list price, playbook)
SOLUTIONS: dict[str, tuple[int, str]] = {
    "Coriolis flow package": (48_000, "playbooks/flow.md"),
    "Predictive sensor kit": (27_500, "playbooks/predictive.md"),
    "Audit-proof data logger": (19_900, "playbooks/logger.md"),
    "Energy metering suite": (64_000, "playbooks/energy.md"),
    "Remote telemetry network": (112_000, "playbooks/telemetry.md"),
}
SOLUTION_OF: dict[str, str] = dict(zip(PROBLEMS, SOLUTIONS, strict=True))

TAGS: tuple[str, ...] = ("key account", "retrofit", "new build", "partner", "tender", "upsell", "trade fair")

ARCHIVE_REASONS: tuple[str, ...] = (
    "No budget this year.",
    "Bought from a competitor before we spoke.",
    "Never answered.",
)
HOLD_REASONS: tuple[str, ...] = ("Waits for the budget round.", "Plant is being moved; ask again afterwards.")
REJECT_REASONS: tuple[str, ...] = ("Job application, no enquiry.", "Advertisement.", "Student project.")
LOSS_REASONS: tuple[str, ...] = (
    "Price: the competitor was a fifth cheaper.",
    "The project was cancelled.",
    "Delivery time was too long.",
)
WIN_REASONS: tuple[str, ...] = (
    "Accuracy and local service.",
    "Pilot convinced the plant manager.",
    "Framework agreement.",
)
CALLS: tuple[str, ...] = (
    "Called to understand the requirement",
    "Talked through the site survey",
    "Discussed budget and decision makers",
    "Went through the open technical questions",
)
MEETINGS: tuple[str, ...] = (
    "Site visit with the maintenance team",
    "Online demonstration",
    "Workshop on the installation plan",
)
NEXT_STEPS: tuple[str, ...] = (
    "Send the data sheet",
    "Call back about the budget",
    "Arrange a site survey",
    "Ask for the piping drawings",
)
SPAM: tuple[str, ...] = (
    "I would like to apply for a position in your company. My references are attached.",
    "Grow your website traffic with our limited offer.",
    "For my thesis I am looking for data on industrial sensors. Could you fill in my survey?",
)
EVIDENCE: tuple[str, ...] = (
    "Confirmed by the customer on the phone.",
    "See the minutes of the site visit.",
    "Email from purchasing is on file.",
)
