#!/usr/bin/env python3
"""Puts the table of studies/long/table.md into README.md, between its markers.

Run it after new rows of `long` (ropewalk reproduce long --report --out studies);
a test fails where the two differ.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARKS = ("<!-- studies/long -->\n", "<!-- /studies/long -->\n")


def side_by_side(page: str) -> str:
    section = page.split("\n## Side by side\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    if rows is None:
        sys.exit("studies/long/table.md has no table under 'Side by side'")
    return rows.group(0)


def main() -> None:
    table = side_by_side((ROOT / "studies/long/table.md").read_text())
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(MARKS[0], 1)
    after = rest.split(MARKS[1], 1)[1]
    readme.write_text(before + MARKS[0] + table + MARKS[1] + after)


if __name__ == "__main__":
    main()
