"""All scenarios, a file for each few categories; their order is the tables'."""

import importlib

MODULES = ("freshness", "storing", "directives", "vary", "validation", "conditional", "ranges", "invalidation", "stale", "fields", "framing",
           "methods")

ALL, CATEGORIES = [], []
for name in MODULES:
    module = importlib.import_module(f"scenarios.{name}")
    for category, rows in module.ROWS.items():
        CATEGORIES.append(category)
        for row in rows:
            row.category = category
            ALL.append(row)
assert len({s.name for s in ALL}) == len(ALL), "two scenarios have one name"
