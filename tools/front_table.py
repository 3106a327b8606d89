#!/usr/bin/env python3
"""Puts what other pages show between their markers: into docs/results.md the table of
studies/long/table.md, and into README.md the part of studies/real/README.md that is
marked `front`.

Run it after new rows of either (ropewalk reproduce long --report --out studies,
ropewalk reproduce real --report --out studies); a test fails where they differ.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def side_by_side() -> str:
    page = (ROOT / "studies/long/table.md").read_text()
    section = page.split("\n## Side by side\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    if rows is None:
        sys.exit("studies/long/table.md has no table under 'Side by side'")
    return rows.group(0)


def between(page: str, mark: str) -> tuple[str, str, str]:
    """The page up to the mark's end, what it marks, and the rest."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"
    before, rest = page.split(begin, 1)
    inside, after = rest.split(end, 1)
    return before + begin, inside, end + after


def front_of_real() -> str:
    page = (ROOT / "studies/real/README.md").read_text()
    _, inside, _ = between(page, "front")
    # Links of that page start in its folder.
    return re.sub(r"\]\((?!https?:|#)", "](studies/real/", inside)


def main() -> None:
    for name, mark, text in (
        ("docs/results.md", "studies/long", side_by_side()),
        ("README.md", "studies/real", front_of_real()),
    ):
        before, _, after = between((ROOT / name).read_text(), mark)
        (ROOT / name).write_text(before + text + after)


if __name__ == "__main__":
    main()
