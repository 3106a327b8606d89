"""What the tests of the page share: a browser, a server and the page in it."""
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from playwright.sync_api import sync_playwright

from mock_server import MockServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WAIT_MS = 10000


def join_page():
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "page.html"
        subprocess.run(["cmake", f"-DPAGE={ROOT}/src/serve/page", f"-DHTML={page}",
                        "-P", f"{ROOT}/cmake/embed_page.cmake"], check=True)
        return page.read_bytes()


class Browser(unittest.TestCase):
    """One browser for a class, one context with an empty storage for a test."""

    @classmethod
    def setUpClass(cls):
        cls.playwright = sync_playwright().start()
        cls.browser = cls.playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()

    def open_page(self, url, width=1200, height=800, **options):
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, **options)
        self.addCleanup(context.close)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        self.page_errors = []
        page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        page.on("console", lambda line: "Content Security Policy" in line.text and
                self.page_errors.append(line.text))
        page.goto(url)
        page.wait_for_selector("#app:not([aria-busy])")
        return page

    def wait_until(self, page, condition):
        """As wait_for_function, which the page's security policy forbids."""
        end = time.monotonic() + WAIT_MS / 1000
        while not page.evaluate(condition):
            self.assertLess(time.monotonic(), end, f"never true: {condition}")
            time.sleep(0.02)

    def doCleanups(self):
        # A script that failed fails the test, whatever the test looked at.
        errors = getattr(self, "page_errors", [])
        done = super().doCleanups()
        if errors:
            raise AssertionError(f"the page's scripts failed: {errors}")
        return done

    @staticmethod
    def ask(page, text, is_awaited=True):
        page.fill("#entry", text)
        page.press("#entry", "Enter")
        if is_awaited:
            Browser.wait_for_end(page)

    @staticmethod
    def wait_for_end(page):
        page.wait_for_selector("#send:visible")
        page.wait_for_selector(".answer[aria-busy=false]")

    @staticmethod
    def answers(page):
        return page.locator(".answer .text").all_inner_texts()

    @staticmethod
    def drop(page, name, text):
        page.evaluate("""([name, text]) => {
            const data = new DataTransfer();
            data.items.add(new File([text], name, {type: 'text/plain'}));
            for (const kind of ['dragenter', 'dragover', 'drop']) {
              document.querySelector('#log').dispatchEvent(new DragEvent(
                  kind, {dataTransfer: data, bubbles: true, cancelable: true}));
            }
        }""", [name, text])


class MockedPage(Browser):
    """The page on a server whose answers the test picks."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = MockServer(join_page()).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        super().tearDownClass()

    def setUp(self):
        self.server.hang_up.set()  # answers of the test before
        self.server.reset()

    def open(self, **options):
        return self.open_page(self.server.url, **options)

    def sent(self, index=-1):
        """The body of a request for an answer."""
        return self.server.requests[index][1]
