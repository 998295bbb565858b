#!/usr/bin/python3
"""Makes the rows of tests/rfc/*.toml ones that gen.c includes: requirements.py FOLDER > requirements.def"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import table  # pylint: disable=wrong-import-position


def quoted(text):
    """A C string."""
    return '"' + " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'


assert Path(sys.argv[1]).resolve() == table.FOLDER
for document in table.load_all():
    print(f"DOCUMENT({document.rfc}, {quoted(document.title)})")
    for row in document.rows:
        print(f"REQUIREMENT({document.rfc}, {quoted(row.section)}, {quoted('' if row.level == 'BY DEFINITION' else row.level)}, "
              f"{quoted(row.text)}, {quoted(row.larder)}, {quoted(row.reason)}, {quoted(row.open and row.open + '.')})")
