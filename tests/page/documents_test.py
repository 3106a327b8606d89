"""Documents that go with a message, and memories."""
import unittest

from page_test import MockedPage

NOVEL = "It was a dark night. " * 500


class DocumentTest(MockedPage):
    def test_dropped_text_goes_with_the_message_as_a_closed_chip(self):
        page = self.open()
        self.drop(page, "novel.txt", NOVEL)
        page.wait_for_selector("#chips .chip:has-text('2,500 tokens')")
        self.ask(page, "What night was it?")
        content = self.sent()["messages"][-1]["content"]
        self.assertIn(NOVEL, content)
        self.assertTrue(content.startswith("novel.txt:"))
        self.assertTrue(content.endswith("What night was it?"))
        self.assertEqual(page.locator("#chips .chip").count(), 0)
        chip = page.locator(".user details")
        self.assertEqual(chip.locator("summary").inner_text(), "novel.txt 2,500 tokens")
        self.assertFalse(chip.locator("pre").is_visible())
        chip.locator("summary").click()
        self.assertTrue(chip.locator("pre").inner_text().startswith("It was a dark"))
        self.ask(page, "And then?")
        self.assertEqual(self.sent()["messages"][0]["content"], content)

    def test_reading_shows_its_progress_rate_and_time_left(self):
        self.server.reading_s = 3
        page = self.open()
        self.drop(page, "novel.txt", NOVEL)
        self.ask(page, "What night?", is_awaited=False)
        page.wait_for_selector(".reading:has-text('left')")
        self.assertRegex(page.inner_text(".reading"),
                         r"Reading [\d,]+ of 2,50\d tokens, [\d,.]+ tokens/s, [\d.]+ s left")
        share = page.evaluate("document.querySelector('.reading progress').value")
        self.assertTrue(0 < share < 1)
        self.assertIn("to read", page.inner_text("#gauge-text"))
        self.wait_for_end(page)
        self.assertFalse(page.is_visible(".reading"))

    def test_long_paste_is_a_document_and_a_short_one_is_text(self):
        page = self.open()
        paste = """([text]) => {
            const data = new DataTransfer();
            data.setData('text/plain', text);
            return document.querySelector('#entry').dispatchEvent(new ClipboardEvent(
                'paste', {clipboardData: data, bubbles: true, cancelable: true}));
        }"""
        self.assertTrue(page.evaluate(paste, ["short"]), "the browser pastes it")
        self.assertFalse(page.evaluate(paste, [NOVEL]), "the page takes it")
        page.wait_for_selector("#chips .chip:has-text('pasted text')")
        self.ask(page, "What is it?")
        self.assertIn(NOVEL, self.sent()["messages"][0]["content"])

    def test_what_is_no_text_is_refused_in_one_line(self):
        page = self.open()
        for name, data, line in [("a.png", b"\x89PNG\0\xff", "is not a text in UTF-8"),
                                 ("zero.txt", b"a\0b", "is not a text"),
                                 ("empty.txt", b"", "is empty")]:
            page.set_input_files("#attach-file",
                                 {"name": name, "mimeType": "text/plain", "buffer": data})
            page.wait_for_selector(f"#notice:has-text('{name} {line}')")
        self.assertEqual(page.locator("#chips .chip").count(), 0)

    def test_chip_can_be_removed(self):
        page = self.open()
        self.drop(page, "novel.txt", NOVEL)
        page.get_by_role("button", name="Remove novel.txt").click()
        self.ask(page, "hello")
        self.assertEqual(self.sent()["messages"][0]["content"], "hello")

    def test_chip_says_when_a_document_is_too_long(self):
        self.server.model["ropewalk"]["context_length"] = 1000
        page = self.open()
        self.drop(page, "novel.txt", NOVEL)
        page.wait_for_selector("#chips .bad:has-text('more than the 1,000 of this server')")

    def test_edited_message_keeps_its_document(self):
        page = self.open()
        self.drop(page, "novel.txt", NOVEL)
        self.ask(page, "What night?")
        page.get_by_role("button", name="Edit").click()
        page.fill(".user textarea", "Which night?")
        page.press(".user textarea", "Enter")
        self.wait_for_end(page)
        content = self.sent()["messages"][0]["content"]
        self.assertTrue(NOVEL in content and content.endswith("Which night?"))


class MemoryTest(MockedPage):
    def test_remembered_text_is_uploaded_read_and_attached(self):
        page = self.open()
        self.drop(page, "novel.txt", NOVEL)
        page.get_by_role("button", name="Remember novel.txt instead").click()
        page.wait_for_selector("#memory-list progress")
        self.assertIn("reading,", page.inner_text("#memory-list"))
        page.wait_for_selector("#memory-list:has-text('100 tokens')")
        self.assertIn(NOVEL.encode(), self.server.uploads[0])
        self.assertIn(b'name="purpose"\r\n\r\nmemory', self.server.uploads[0])
        self.ask(page, "What night?")
        self.assertEqual(self.sent()["memories"], ["file-1"])
        self.assertEqual(self.sent()["messages"][0]["content"], "What night?")

    def test_unticked_memory_is_not_sent(self):
        page = self.open()
        for name in ("one.txt", "two.txt"):
            page.set_input_files("#memory-file", {
                "name": name, "mimeType": "text/plain", "buffer": NOVEL.encode()})
            page.wait_for_selector(f"#memory-list:has-text('{name}')")
        page.get_by_label("one.txt").first.uncheck()
        self.ask(page, "hello")
        self.assertEqual(self.sent()["memories"], ["file-2"])

    def test_deleted_memory_is_gone(self):
        page = self.open()
        page.set_input_files("#memory-file", {
            "name": "one.txt", "mimeType": "text/plain", "buffer": NOVEL.encode()})
        page.get_by_role("button", name="Delete the memory of one.txt").click()
        page.wait_for_selector("#memory-list:has-text('None yet')")
        self.assertEqual(self.server.files, [])
        self.ask(page, "hello")
        self.assertNotIn("memories", self.sent())

    def test_server_without_memories_shows_none_of_it(self):
        self.server.files = None
        page = self.open()
        self.drop(page, "novel.txt", NOVEL)
        page.wait_for_selector("#chips .chip")
        self.assertFalse(page.is_visible("#memories"))
        self.assertEqual(page.locator("#chips >> text=Remember").count(), 0)


if __name__ == "__main__":
    unittest.main()
