"""The page on the program itself: what a mocked server could have wrong."""
import os
import re
import subprocess
import unittest

from page_test import Browser

URL = os.environ.get("ROPEWALK_PAGE_URL")
MODEL = os.environ.get("ROPEWALK_PAGE_MODEL")
ANSWER_MS = 120000


@unittest.skipUnless(URL or MODEL, "no server: run.sh --url URL or --model MODEL")
class RealServerTest(Browser):
    @classmethod
    def setUpClass(cls):
        cls.url, cls.server = URL, None
        if not URL:
            cls.server = subprocess.Popen(
                [os.environ["ROPEWALK_BINARY"], "serve", "-m", MODEL, "--port", "0"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            said = ""
            for line in cls.server.stdout:
                said += line
                found = re.search(r"http://\S+", line)
                if found:
                    cls.url = found[0].rstrip("/.,") + "/"
                    break
            else:
                raise AssertionError(f"the server ended: {said}")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        if cls.server:
            cls.server.terminate()
            cls.server.wait(30)
            cls.server.stdout.close()

    def open(self):
        page = self.open_page(self.url)
        page.set_default_timeout(ANSWER_MS)
        page.click("#open-settings")
        page.fill("#setting-max_tokens", "24")
        page.fill("#setting-temperature", "0")
        page.locator("#settings-dialog").get_by_role("button", name="Use").click()
        return page

    def test_answer_comes_with_counts_bands_and_scheme(self):
        page = self.open()
        # What is shared between requests is whole tiles of 128 tokens.
        self.ask(page, "The sea is grey. " * 60 + "Name three colours.")
        self.assertEqual(page.locator(".answer [role=alert]").count(), 0)
        self.assertTrue(self.answers(page)[0].strip())
        stats = page.inner_text(".answer .stats")
        self.assertRegex(stats, r"\d+ read at [\d.,]+ tokens/s")
        self.assertRegex(stats, r"\d+ written at [\d.,]+ tokens/s")
        last = page.evaluate("Chat.current.messages.at(-1).extras")
        self.assertTrue(last["bands"], last)
        self.assertLessEqual(last["generated_tokens"], 24)
        self.ask(page, "And one more?")
        self.assertRegex(page.locator(".answer .stats").last.inner_text(), r"\d+ known")

    def test_document_is_counted_and_read_with_progress(self):
        page = self.open()
        sentence = "The lighthouse keeper slept badly. "  # up to 14 tokens
        most = page.evaluate("Models.facts.context_length")
        self.drop(page, "novel.txt", sentence * min(250, most // 20))
        page.wait_for_selector("#chips .chip:has-text('tokens')")
        page.evaluate("""() => {
            window.seen = [];
            new MutationObserver(() => {
                const line = document.querySelector('.reading:not([hidden])');
                if (line) seen.push(line.innerText);
            }).observe(document.body, {subtree: true, childList: true, attributes: true});
        }""")
        self.ask(page, "Who slept badly?")
        self.assertTrue(any(re.search(r"Reading [\d,]+ of [\d,]+ tokens", line)
                            for line in page.evaluate("seen")), "no progress was shown")

    def test_every_scheme_of_the_list_is_known_to_the_server(self):
        page = self.open()
        page.click("#open-scheme")
        picks = page.locator(".pick")
        self.assertGreater(picks.count(), 10)
        page.fill("#scheme-text", "ropes")
        page.wait_for_selector("#scheme-check.bad")
        page.click(".pick[data-position=rerope]")
        page.wait_for_selector("#scheme-check:has-text('it runs as rerope')")

    def test_two_schemes_side_by_side(self):
        page = self.open()
        self.ask(page, "Name three colours.")
        page.locator(".answer .compare").click()
        fields = page.locator("#compare-columns input")
        fields.nth(0).fill("rope")
        fields.nth(1).fill("rerope:window=16,far=16")
        page.click("#compare-run")
        page.wait_for_selector("#compare-run:visible")
        for text, scheme in zip(page.locator(".side").all_inner_texts(), ("rope", "rerope")):
            self.assertRegex(text, rf"written at [\d.,]+ tokens/s · {scheme}")

    def test_stop_ends_the_answer_and_the_next_one_works(self):
        page = self.open()
        page.click("#open-settings")
        page.fill("#setting-max_tokens", "2000")
        page.keyboard.press("Enter")
        self.ask(page, "Tell a long story.", is_awaited=False)
        self.wait_until(page, "document.querySelector('.answer .text').innerText.trim() !== ''")
        page.click("#stop")
        self.wait_for_end(page)
        self.assertIn("You stopped", page.inner_text(".answer .note"))
        page.click("#open-settings")
        page.fill("#setting-max_tokens", "8")
        page.keyboard.press("Enter")
        self.ask(page, "Hello")
        self.assertTrue(self.answers(page)[1].strip())

    def test_remembered_text_is_read_and_attached(self):
        page = self.open()
        if not page.is_visible("#memories"):
            self.skipTest("this server keeps no memories")
        page.set_input_files("#memory-file", {
            "name": "page-test.txt", "mimeType": "text/plain",
            "buffer": b"The key lies under the third stone. " * 40})
        page.wait_for_selector("#memory-list:has-text('page-test.txt')")
        page.wait_for_selector("#memory-list progress", state="detached")
        self.ask(page, "Where is the key?")
        self.assertEqual(page.locator(".answer [role=alert]").count(), 0)
        self.assertEqual(len(page.evaluate("Chat.current.messages.at(-1).extras.memories")), 1)
        page.get_by_role("button", name="Delete the memory of page-test.txt").click()
        page.wait_for_selector("#memory-list:has-text('page-test.txt')", state="detached")

    def test_refused_field_is_one_line(self):
        page = self.open()
        page.evaluate("Chat.current.position = 'ropes'")
        self.ask(page, "hello")
        self.assertIn("ropes", page.inner_text(".answer [role=alert]"))


if __name__ == "__main__":
    unittest.main()
