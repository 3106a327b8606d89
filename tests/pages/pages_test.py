"""Report pages as a telephone shows them.

    pages_test.py ROPEWALK SOURCE_FOLDER [FOLDER]

Makes pages with the program and lays them out in headless Chromium at 390 px,
light and dark. Nothing may be wider than the screen but what lies in a box that
scrolls for itself: a table, a command. Text has a contrast of at least 4.5, and
each page says what it comes to. With FOLDER the pages and pictures of them stay
there. Without Chromium the test is skipped (exit code 77).
"""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

WIDTH = 390
LEAST_CONTRAST = 4.5
SKIPPED = 77

# Runs beside the page, in a frame of the screen's width, and leaves its findings
# in the document.
MEASURE = """
const parts = text => text.match(/[\\d.]+/g).map(Number);
const opaque = text => { const c = parts(text); return c.length < 4 || c[3] > 0.5; };
const light = text => parts(text).slice(0, 3)
  .map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => {
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
function ground(view, element) {
  const picture = element.closest('svg');
  if (picture) {
    const back = picture.querySelector('.bg');
    return view.getComputedStyle(back).fill;
  }
  for (let at = element; at; at = at.parentElement) {
    const colour = view.getComputedStyle(at).backgroundColor;
    if (opaque(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
}
function examine(frame) {
  const view = frame.contentWindow;
  const page = frame.contentDocument;
  for (const details of page.querySelectorAll('details')) details.open = true;
  const found = {width: page.documentElement.scrollWidth, wide: [], faint: [],
                 texts: 0, verdicts: page.querySelectorAll('.verdict').length,
                 plots: page.querySelectorAll('.narrow svg').length,
                 height: page.documentElement.scrollHeight};
  for (const element of page.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) continue;
    const scrolls = element.closest('pre') ||
        (element.closest('.scroll') && element.closest('table'));
    if (box.right > WIDTH + 0.5 && !scrolls) {
      found.wide.push([element.tagName, element.textContent.trim().slice(0, 40),
                       Math.round(box.right)]);
    }
    const own = [...element.childNodes].some(
        node => node.nodeType === 3 && node.data.trim());
    if (!own || /^(STYLE|TITLE)$/i.test(element.tagName)) continue;
    // In the cell of a map the ground is the cell's.
    if (/on-(dark|light)/.test(element.getAttribute('class') || '')) continue;
    const style = view.getComputedStyle(element);
    const ink = element.closest('svg') ? style.fill : style.color;
    const ratio = contrast(ink, ground(view, element));
    ++found.texts;
    if (ratio < LEAST) {
      found.faint.push([element.textContent.trim().slice(0, 40), ink, ratio]);
    }
  }
  return found;
}
addEventListener('load', () => {
  const found = examine(document.querySelector('iframe'));
  document.body.innerHTML = '<pre id="found"></pre>';
  document.querySelector('#found').textContent = JSON.stringify(found);
});
"""


def find_chromium():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


def run_chromium(chromium, home, scheme, arguments):
    # 0 is dark, 1 is light.
    preferred = {"dark": 0, "light": 1}[scheme]
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu",
               "--disable-dev-shm-usage", "--hide-scrollbars",
               "--no-first-run", f"--user-data-dir={home}",
               f"--blink-settings=preferredColorScheme={preferred}",
               *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300,
                          check=True).stdout


def wrapped(page, height, script=""):
    """The page in a frame as wide as a telephone, alone in a document."""
    return ("<!DOCTYPE html><meta charset='utf-8'><body style='margin:0'>"
            f"<iframe style='border:0' width='{WIDTH}' height='{height}' "
            f"srcdoc=\"{html.escape(page)}\"></iframe>{script}")


def lay_out(chromium, work, page, scheme):
    script = (f"<script>const WIDTH = {WIDTH}, LEAST = {LEAST_CONTRAST};"
              f"{MEASURE}</script>")
    path = work / "wrapped.html"
    path.write_text(wrapped(page, 844, script), encoding="utf-8")
    dom = run_chromium(chromium, work / "home", scheme,
                       ["--dump-dom", path.as_uri()])
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    if not found:
        raise AssertionError("the page was not laid out:\n" + dom[-2000:])
    return json.loads(html.unescape(found[1]))


def problems_of(name, scheme, found, has_plots):
    problems = []
    if found["width"] > WIDTH:
        problems.append(f"is {found['width']} px wide")
    problems += [f"{tag} '{text}' ends at {right} px"
                 for tag, text, right in found["wide"][:5]]
    problems += [f"'{text}' in {ink} has a contrast of {ratio:.2f}"
                 for text, ink, ratio in found["faint"][:5]]
    if found["texts"] < 20:
        problems.append(f"has only {found['texts']} texts")
    if found["verdicts"] != 1:
        problems.append(f"has {found['verdicts']} verdicts")
    if has_plots and found["plots"] == 0:
        problems.append("has no plot for a telephone")
    return [f"{name}, {scheme}: {problem}" for problem in problems]


def positions(schemes):
    return [word for scheme in schemes for word in ("--position", scheme)]


def make_pages(ropewalk, source, folder):
    """Name -> path. A small measurement, the studies of real models, and a
    search for numbers."""
    model = str(source / "models" / "novels-4m.gguf")
    text = folder / "text.txt"
    text.write_text("".join((source / "docs" / name).read_text()
                            for name in ("positions.md", "architecture.md")))
    pages = {"measure": folder / "measure.html",
             "needle": folder / "needle.html"}
    schemes = ["rope", "rerope", "yarn:factor=4", "ntk-mixed+logn",
               "self-extend", "sink-window"]
    subprocess.run([ropewalk, "measure", "-m", model, "-t", str(text),
                    "--length", "256,512,1024,2048", "--documents", "4",
                    *positions(schemes),
                    "--html", str(pages["measure"])],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run([ropewalk, "needle", "-m", model, "--length", "512,1024",
                    "--html", str(pages["needle"]), "--trials", "1",
                    *positions(["rope", "rerope"])],
                   check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(source / "studies" / "real", folder / "studies" / "real")
    subprocess.run([ropewalk, "reproduce", "real", "--report", "--out",
                    str(folder / "studies")],
                   check=True, stdout=subprocess.DEVNULL)
    for page in sorted((folder / "studies" / "real").glob("*/index.html")):
        pages["real-" + page.parent.name] = page
    return pages


def main():
    ropewalk, source = sys.argv[1], pathlib.Path(sys.argv[2])
    chromium = find_chromium()
    if not chromium:
        print("no chromium here; skipped")
        return SKIPPED
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        kept = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else work / "pages"
        kept.mkdir(parents=True, exist_ok=True)
        pages = make_pages(ropewalk, source, kept)
        problems = []
        for name, path in pages.items():
            page = path.read_text(encoding="utf-8")
            if re.search(r'(src|href)="https?:', page):
                problems.append(f"{name}: needs a network")
            for scheme in ("light", "dark"):
                found = lay_out(chromium, work, page, scheme)
                problems += problems_of(name, scheme, found, name != "needle")
                print(f"{name}, {scheme}: {found['texts']} texts, "
                      f"{found['plots']} plots, {found['width']} px")
                if len(sys.argv) > 3:
                    whole = work / "whole.html"
                    whole.write_text(wrapped(page, found["height"]),
                                     encoding="utf-8")
                    run_chromium(chromium, work / "home", scheme,
                                 [f"--window-size={WIDTH},{found['height']}",
                                  f"--screenshot={kept}/{name}-{scheme}.png",
                                  whole.as_uri()])
    for problem in problems:
        print(problem)
    return 1 if problems or len(pages) < 3 else 0


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    sys.exit(main())
