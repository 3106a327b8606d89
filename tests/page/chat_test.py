"""Conversations: what is shown, what is sent, what is kept."""
import json
import pathlib
import unittest

from page_test import MockedPage


class ChatTest(MockedPage):
    def test_text_appears_while_it_streams(self):
        self.server.pause_s = 0.02
        page = self.open()
        self.ask(page, "ENDLESS", is_awaited=False)
        page.wait_for_selector(".answer .text p")
        first = len(self.answers(page)[0])
        self.wait_until(page, "document.querySelector('.answer .text').textContent.length"
                              f" > {first + 50}")
        self.assertTrue(page.is_visible("#stop"))
        self.assertIn("tokens/s", page.inner_text(".answer .stats"))
        page.click("#stop")

    def test_finished_blocks_stay_the_same_elements_while_text_streams(self):
        self.server.pause_s = 0.01
        page = self.open()
        self.ask(page, "MARKDOWN", is_awaited=False)
        page.wait_for_selector(".answer .text ul")
        page.evaluate("window.heading = document.querySelector('.answer h3')")
        page.wait_for_selector(".answer .text pre")
        page.evaluate("window.block = document.querySelector('.answer pre')")
        self.wait_for_end(page)
        self.assertTrue(page.evaluate(
            "heading === document.querySelector('.answer h3') && "
            "block === document.querySelector('.answer pre')"))

    def test_stop_ends_the_request_and_keeps_the_text(self):
        self.server.pause_s = 0.02
        page = self.open()
        self.ask(page, "ENDLESS", is_awaited=False)
        page.wait_for_selector(".answer .text p")
        page.click("#stop")
        self.wait_for_end(page)
        self.assertTrue(self.server.stopped.wait(5), "the server saw no hang-up")
        kept = self.answers(page)[0]
        self.assertTrue(kept.startswith("word word"))
        self.assertIn("You stopped", page.inner_text(".answer .note"))
        self.assertRegex(page.inner_text(".answer .stats"), r"1 read · [\d,]+ written")
        self.assertNotIn("0 of", page.inner_text("#gauge-text"))
        self.ask(page, "next")
        self.assertEqual(self.sent()["messages"][1]["content"].strip(), kept.strip())

    def test_answer_that_was_cut_short_says_why(self):
        page = self.open()
        self.ask(page, "FULL")
        self.assertIn("The context is full.", page.inner_text(".answer .note"))

    def test_escape_stops(self):
        self.server.pause_s = 0.02
        page = self.open()
        self.ask(page, "ENDLESS", is_awaited=False)
        page.wait_for_selector(".answer .text p")
        page.keyboard.press("Escape")
        self.wait_for_end(page)
        self.assertTrue(self.server.stopped.wait(5))

    def test_shift_enter_is_a_new_line_and_enter_sends(self):
        page = self.open()
        page.fill("#entry", "one")
        page.press("#entry", "Shift+Enter")
        page.keyboard.type("two")
        self.assertEqual(self.server.requests, [])
        page.press("#entry", "Enter")
        self.wait_for_end(page)
        self.assertEqual(self.sent()["messages"][-1]["content"], "one\ntwo")

    def test_request_holds_the_whole_conversation(self):
        page = self.open()
        self.ask(page, "first")
        self.ask(page, "second")
        path, body = self.server.requests[-1]
        self.assertEqual(path, "/v1/chat/completions")
        self.assertEqual([m["role"] for m in body["messages"]],
                         ["user", "assistant", "user"])
        self.assertEqual(body["messages"][1]["content"], "You said: first Goodbye.")
        self.assertTrue(body["stream"] and body["return_progress"])
        self.assertNotIn("position", body)
        self.assertNotIn("temperature", body)

    def test_edit_cuts_what_follows_and_sends_the_new_text(self):
        page = self.open()
        for text in ("first", "second", "third"):
            self.ask(page, text)
        page.locator(".user").nth(1).get_by_role("button", name="Edit").click()
        page.fill(".user textarea", "SECOND")
        page.press(".user textarea", "Enter")
        self.wait_for_end(page)
        self.assertEqual([m["content"] for m in self.sent()["messages"]],
                         ["first", "You said: first Goodbye.", "SECOND"])
        self.assertEqual(page.locator(".message").count(), 4)
        self.assertIn("SECOND", self.answers(page)[-1])

    def test_escape_leaves_an_edit_without_a_change(self):
        page = self.open()
        self.ask(page, "first")
        page.get_by_role("button", name="Edit").click()
        page.fill(".user textarea", "other")
        page.press(".user textarea", "Escape")
        self.assertEqual(page.inner_text(".bubble"), "first")
        self.assertEqual(len(self.server.requests), 1)

    def test_regenerate_asks_the_same_with_another_seed(self):
        page = self.open()
        page.click("#open-settings")
        page.fill("#setting-seed", "7")
        page.keyboard.press("Enter")
        self.ask(page, "first")
        self.ask(page, "second")
        page.locator(".answer").nth(1).get_by_role("button", name="Regenerate").click()
        self.wait_for_end(page)
        before, after = self.sent(-2), self.sent(-1)
        self.assertEqual(before["messages"], after["messages"])
        self.assertEqual((before["seed"], after["seed"]), (7, 8))
        self.assertEqual(page.locator(".message").count(), 4)

    def test_settings_and_system_text_are_sent(self):
        page = self.open()
        page.click("#open-settings")
        page.fill("#system", "Be brief.")
        page.fill("#setting-temperature", "0.5")
        page.fill("#setting-max_tokens", "20")
        page.fill("#setting-stop", "END\n\nSTOP")
        page.locator("#settings-dialog").get_by_role("button", name="Use").click()
        self.ask(page, "hello")
        body = self.sent()
        self.assertEqual(body["messages"][0], {"role": "system", "content": "Be brief."})
        self.assertEqual((body["temperature"], body["max_tokens"], body["stop"]),
                         (0.5, 20, ["END", "STOP"]))

    def test_setting_out_of_range_is_refused_in_one_line(self):
        page = self.open()
        page.click("#open-settings")
        page.fill("#setting-top_p", "1.5")
        page.locator("#settings-dialog").get_by_role("button", name="Use").click()
        self.assertEqual(page.inner_text("#settings-check"),
                         "Top p must be a number from 0 to 1, not '1.5'.")
        self.assertTrue(page.is_visible("#settings-dialog"))

    def test_conversations_survive_a_reload_and_can_be_deleted(self):
        page = self.open()
        self.ask(page, "first")
        page.click("#new-chat")
        self.ask(page, "other")
        page.reload()
        page.wait_for_selector("#conversations li")
        self.assertEqual(page.locator("#conversations .open").all_inner_texts(),
                         ["other", "first"])
        page.locator("#conversations .open", has_text="first").click()
        self.assertIn("You said: first", self.answers(page)[0])
        page.get_by_role("button", name="Delete the chat first").click()
        self.assertEqual(page.locator("#conversations li").count(), 1)
        page.click("#notice >> text=Undo")
        self.assertEqual(page.locator("#conversations li").count(), 2)

    def test_answer_goes_on_while_another_conversation_is_open(self):
        self.server.pause_s = 0.02
        page = self.open()
        self.ask(page, "MARKDOWN", is_awaited=False)
        page.wait_for_selector(".answer .text h3")
        page.click("#new-chat")
        self.assertEqual(page.locator(".message").count(), 0)
        self.wait_until(page, """JSON.parse(localStorage.getItem(Object.keys(localStorage)
            .find((key) => key.startsWith('ropewalk.chat.')))).messages[1].finish === 'stop'""")
        page.locator("#conversations .open").click()
        self.assertIn("https://example.org/path", self.answers(page)[0])

    def test_export_is_what_the_chat_command_loads(self):
        page = self.open()
        self.ask(page, "first")
        with page.expect_download() as download:
            page.click("#export")
        exported = json.loads(pathlib.Path(download.value.path()).read_text())
        self.assertEqual(exported["model"], "mock-135m")
        self.assertEqual([(m["role"], m["content"]) for m in exported["messages"]],
                         [("user", "first"), ("assistant", "You said: first Goodbye.")])

    def test_damaged_storage_is_passed_over(self):
        page = self.open()
        page.evaluate("""() => {
            localStorage.setItem('ropewalk.chat.a', '{"messages": 3}');
            localStorage.setItem('ropewalk.chat.b', 'no JSON');
            localStorage.setItem('ropewalk.chat.c', '{"messages": [null]}');
        }""")
        page.reload()
        page.wait_for_selector("#app:not([aria-busy])")
        self.assertEqual(page.locator("#conversations li").count(), 0)
        self.ask(page, "still works")

    def test_chat_beyond_the_storage_says_so_and_goes_on(self):
        page = self.open()
        self.drop(page, "long.txt", "x" * 6_000_000)
        page.wait_for_selector("#chips .chip")
        self.ask(page, "what is it?")
        self.assertIn("no room left", page.inner_text("#notice"))
        self.assertEqual(len(self.answers(page)), 1)

    def test_model_that_only_continues_gets_the_text_itself(self):
        self.server.model["ropewalk"]["chat"] = False
        page = self.open()
        self.ask(page, "Once upon")
        path, body = self.server.requests[-1]
        self.assertEqual(path, "/v1/completions")
        self.assertEqual(body["prompt"], "Once upon")
        self.assertNotIn("messages", body)
        self.ask(page, " a time")
        self.assertTrue(self.sent()["prompt"].startswith("Once uponYou said"))


class ErrorTest(MockedPage):
    def test_refusal_is_one_line_and_the_turn_is_left_out_later(self):
        page = self.open()
        self.ask(page, "TOO LONG")
        line = page.locator(".answer [role=alert]")
        self.assertIn("The prompt has 40000 tokens, the context 32768;", line.inner_text())
        line.get_by_role("button", name="Change the scheme").click()
        self.assertTrue(page.is_visible("#scheme-dialog"))
        page.keyboard.press("Escape")
        self.ask(page, "short")
        self.assertEqual([m["content"] for m in self.sent()["messages"]], ["short"])
        self.assertIn("left out of what follows", line.inner_text())

    def test_failure_of_the_server_can_be_tried_again(self):
        page = self.open()
        self.ask(page, "FAIL")
        self.assertEqual(
            page.locator(".answer .note span").inner_text(),
            "The server failed on this request. A worker stopped. Try again.")
        page.get_by_role("button", name="Try again").click()
        self.wait_for_end(page)
        self.assertEqual(len(self.server.requests), 2)
        self.assertEqual(self.sent(0)["messages"], self.sent(1)["messages"])

    def test_error_within_a_stream_is_shown(self):
        page = self.open()
        self.ask(page, "BREAK")
        self.assertIn("The context is full.", page.inner_text(".answer [role=alert]"))

    def test_server_that_is_gone_is_one_line(self):
        page = self.open()
        page.route("**/v1/chat/completions", lambda route: route.abort())
        self.ask(page, "hello")
        self.assertIn("The server does not answer", page.inner_text(".answer [role=alert]"))

    def test_stream_that_ends_early_is_an_error(self):
        page = self.open()
        page.route("**/v1/chat/completions", lambda route: route.fulfill(
            content_type="text/event-stream",
            body='data: {"choices":[{"index":0,"delta":{"content":"half"}}]}\n\n'))
        self.ask(page, "hello")
        self.assertEqual(self.answers(page), ["half"])
        self.assertIn("ended before the answer did", page.inner_text(".answer [role=alert]"))


class KeyTest(MockedPage):
    def test_key_is_asked_for_sent_and_kept_for_the_tab(self):
        self.server.key = "secret"
        context = self.browser.new_context()
        self.addCleanup(context.close)
        page = context.new_page()
        page.goto(self.server.url)
        page.fill("#key-text", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=The server does not know the last key.")
        page.fill("#key-text", "secret")
        page.keyboard.press("Enter")
        self.wait_until(page, "document.querySelector('#model').value === 'mock-135m'")
        self.ask(page, "hello")
        self.assertIn("You said: hello", self.answers(page)[0])
        self.assertEqual(page.evaluate("Object.values(sessionStorage)"), ["secret"])
        self.assertNotIn("secret", page.evaluate("JSON.stringify(localStorage)"))

    def test_leaving_the_key_out_is_one_line(self):
        self.server.key = "secret"
        context = self.browser.new_context()
        self.addCleanup(context.close)
        page = context.new_page()
        page.goto(self.server.url)
        page.wait_for_selector("#key-dialog[open]")
        page.keyboard.press("Escape")
        page.wait_for_selector("#notice:has-text('wants a key')")


if __name__ == "__main__":
    unittest.main()
