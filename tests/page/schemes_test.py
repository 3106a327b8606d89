"""Schemes: the gauge, the switch, and two of them side by side."""
import unittest

from page_test import MockedPage


class GaugeTest(MockedPage):
    def test_trained_length_is_marked_where_it_ends(self):
        page = self.open()
        mark = page.evaluate("""() => {
            const bar = document.querySelector('#gauge-bar').getBoundingClientRect();
            const mark = document.querySelector('#gauge-mark').getBoundingClientRect();
            return (mark.left - bar.left) / bar.width;
        }""")
        self.assertAlmostEqual(mark, 8192 / 32768, delta=0.01)
        self.assertIn("trained to 8,192", page.inner_text("#gauge-text"))
        self.assertIn("auto", page.inner_text("#gauge-text"))
        self.ask(page, "hello")
        self.assertIn("rerope:window=4096", page.inner_text("#gauge-text"))

    def test_bands_are_shown_after_an_answer_and_after_a_reload(self):
        page = self.open()
        self.drop(page, "novel.txt", "word " * 6000)
        page.wait_for_selector("#chips .chip")
        self.ask(page, "What?")
        for _ in range(2):
            text = page.inner_text("#gauge-text")
            self.assertIn("4,096 at their distances", text)
            self.assertRegex(text, r"1,9\d\d all at distance 4096")
            self.assertRegex(text, r"6,0\d\d of 32,768 tokens")
            meter = page.get_by_role("meter")
            self.assertTrue(6000 < int(meter.get_attribute("aria-valuenow")) < 6100)
            page.reload()
            page.wait_for_selector("#app:not([aria-busy])")

    def test_tokens_that_a_window_left_behind_are_out_of_sight(self):
        page = self.open()
        page.click("#open-scheme")
        page.fill("#scheme-text", "sink-window")
        page.keyboard.press("Enter")
        page.wait_for_selector("#scheme-dialog", state="hidden")
        self.drop(page, "novel.txt", "word " * 6000)
        self.ask(page, "What?")
        text = page.inner_text("#gauge-text")
        self.assertRegex(text, r"6,0\d\d of 32,768 tokens")
        self.assertRegex(text, r"1,9\d\d out of sight")

    def test_gauge_grows_while_the_model_writes(self):
        self.server.pause_s = 0.02
        page = self.open()
        self.ask(page, "ENDLESS", is_awaited=False)
        seen = set()
        for _ in range(200):
            seen.add(page.get_attribute("#gauge-bar", "aria-valuenow"))
            if len(seen) > 4:
                break
            page.wait_for_timeout(20)
        self.assertGreater(len(seen), 4)
        self.assertIn("written", page.inner_text("#gauge-text"))
        page.click("#stop")

    def test_context_within_the_trained_length_has_no_mark(self):
        self.server.model["ropewalk"]["context_length"] = 4096
        page = self.open()
        self.assertFalse(page.is_visible("#gauge-mark"))
        self.assertIn("trained to 8,192", page.inner_text("#gauge-text"))


class ServerTest(MockedPage):
    def test_dialog_shows_the_model_and_the_requests_in_progress(self):
        page = self.open()
        page.click("#show-server")
        page.wait_for_selector("#server-requests td")
        self.assertEqual(page.locator("#server-requests td").all_inner_texts(),
                         ["writing", "rope", "5,000", "5,000", "12", "7", "1.5 s"])
        facts = page.inner_text("#server-facts")
        self.assertIn("32,768 tokens", facts)
        self.assertIn("f16, 23 kB a token", facts)


class SchemeTest(MockedPage):
    def test_list_has_every_scheme_with_its_summary(self):
        page = self.open()
        page.click("#open-scheme")
        text = page.inner_text("#scheme-list")
        self.assertIn("distances beyond a window are one distance", text)
        page.get_by_label("More about rerope").click()
        self.assertIn("rerope:window=1024", page.inner_text("#scheme-list"))

    def test_picked_scheme_and_context_are_sent(self):
        page = self.open()
        page.click("#open-scheme")
        page.click(".pick[data-position=rerope]")
        page.wait_for_selector("#scheme-check:has-text('it runs as rerope:window=4096 on 3')")
        page.fill("#scheme-context", "16k")
        page.click("#scheme-use")
        page.wait_for_selector("#scheme-dialog", state="hidden")
        self.ask(page, "hello")
        self.assertEqual((self.sent()["position"], self.sent()["context"]),
                         ("rerope", 16384))
        self.assertEqual(page.inner_text("#scheme-name"), "rerope")

    def test_spelling_that_is_none_is_refused_with_the_servers_reason(self):
        page = self.open()
        page.click("#open-scheme")
        page.fill("#scheme-text", "ropes")
        page.keyboard.press("Enter")  # before the check that waits for a pause
        page.wait_for_selector("#scheme-check.bad:has-text(\"'ropes' is no scheme\")")
        self.assertTrue(page.is_visible("#scheme-dialog"))
        self.assertTrue(page.is_disabled("#scheme-use"))
        page.fill("#scheme-text", "rope")
        page.wait_for_selector("#scheme-check.warn:has-text('never trained')")
        page.fill("#scheme-context", "much")
        page.wait_for_selector("#scheme-check.bad:has-text('is no length')")


class CompareTest(MockedPage):
    def start(self, page):
        self.ask(page, "first")
        self.ask(page, "second")
        page.locator(".answer").last.get_by_role("button", name="Compare schemes").click()
        fields = page.locator("#compare-columns input")
        fields.nth(0).fill("rerope:window=1024")
        fields.nth(1).fill("sink-window")
        before = len(self.server.requests)
        page.click("#compare-run")
        return before

    def test_last_turn_runs_under_both_with_one_seed(self):
        page = self.open()
        before = self.start(page)
        page.wait_for_selector("#compare-run:visible")
        bodies = [body for _, body in self.server.requests[before:]]
        self.assertEqual(sorted(body["position"] for body in bodies),
                         ["rerope:window=1024", "sink-window"])
        self.assertEqual(bodies[0]["messages"], bodies[1]["messages"])
        self.assertEqual(bodies[0]["messages"][-1]["content"], "second")
        self.assertEqual(bodies[0]["seed"], bodies[1]["seed"])
        sides = page.locator(".side").all_inner_texts()
        self.assertIn("Under rerope:window=1024.", sides[0])
        self.assertIn("Under sink-window.", sides[1])
        for side in sides:
            self.assertRegex(side, r"written at [\d.,]+ tokens/s")
            self.assertRegex(side, r"[\d.]+ s in all")
            self.assertIn("at their distances", side)

    def test_columns_stand_side_by_side_and_below_each_other_on_a_phone(self):
        page = self.open()
        self.start(page)
        boxes = [side.bounding_box() for side in page.locator(".side").all()]
        self.assertLess(boxes[0]["x"] + boxes[0]["width"], boxes[1]["x"])
        page.set_viewport_size({"width": 390, "height": 844})
        boxes = [side.bounding_box() for side in page.locator(".side").all()]
        self.assertEqual(boxes[0]["x"], boxes[1]["x"])

    def test_kept_answer_takes_the_place_of_the_last_and_brings_its_scheme(self):
        page = self.open()
        self.start(page)
        page.wait_for_selector("#compare-run:visible")
        page.locator(".side").nth(1).get_by_role("button", name="Keep").click()
        self.assertIn("Under sink-window.", self.answers(page)[-1])
        self.assertEqual(page.locator(".message").count(), 4)
        self.ask(page, "third")
        self.assertEqual(self.sent()["position"], "sink-window")
        self.assertIn("Under sink-window.", self.sent()["messages"][3]["content"])

    def test_escape_stops_both_and_then_closes(self):
        self.server.pause_s = 0.05
        page = self.open()
        self.start(page)
        page.wait_for_selector(".side .text p")
        page.keyboard.press("Escape")
        page.wait_for_selector("#compare-run:visible")
        self.assertIn("stopped", page.locator(".side").first.inner_text())
        page.keyboard.press("Escape")
        page.wait_for_selector("#compare-dialog", state="hidden")

    def test_nothing_to_compare_is_said(self):
        page = self.open()
        page.click("#open-scheme")
        page.click("#open-compare")
        self.assertIn("no turn to compare", page.inner_text("#notice"))


if __name__ == "__main__":
    unittest.main()
