"""What eyes and fingers meet: sizes, colours, keys, what is read aloud."""
import unittest

from page_test import MockedPage

# The least contrast of any text on screen, by the formula of WCAG 2.
CONTRASTS = """() => {
    const parse = (color) => {
        const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
        return {r, g, b, a};
    };
    const over = (top, below) => ({
        r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a),
        b: top.b * top.a + below.b * (1 - top.a), a: 1});
    const groundOf = (node) => {
        if (!node) return {r: 255, g: 255, b: 255, a: 1};
        const own = parse(getComputedStyle(node).backgroundColor);
        return own.a === 1 ? own : over(own, groundOf(node.parentElement));
    };
    const light = ({r, g, b}) => {
        const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045
            ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const contrast = (one, two) => {
        const [high, low] = [light(one), light(two)].sort((a, b) => b - a);
        return (high + 0.05) / (low + 0.05);
    };
    const found = [];
    const look = (node, style, text) => {
        const ground = groundOf(node);
        found.push([contrast(over(parse(style.color), ground), ground), text]);
    };
    for (const node of document.querySelectorAll('body *')) {
        if (!node.checkVisibility({visibilityProperty: true})) continue;
        const text = [...node.childNodes].filter((child) => child.nodeType === 3)
            .map((child) => child.data.trim()).join('');
        if (text) look(node, getComputedStyle(node), text);
        if (node.placeholder && !node.value) {
            look(node, getComputedStyle(node, '::placeholder'), node.placeholder);
        }
    }
    return found;
}"""

WIDER = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > width) return ['the page'];
    return [...document.querySelectorAll('main *, dialog[open], dialog[open] *')].filter((node) => {
        if (!node.checkVisibility() || node.closest('pre, .table, .unseen, .prefix')) return false;
        const scrolls = ['auto', 'scroll'].includes(getComputedStyle(node).overflowX) &&
            node.scrollWidth > node.clientWidth;
        return scrolls || node.getBoundingClientRect().right > width + 0.5;
    }).map((node) => node.outerHTML.slice(0, 100));
}"""


class LooksTest(MockedPage):
    def walk_states(self, page, look):
        """Calls look(name) in every state of the page that has texts of its own."""
        look("empty")
        self.ask(page, "MARKDOWN")
        look("answer")
        self.drop(page, "a novel of a very long name that goes on and on.txt", "word " * 6000)
        page.wait_for_selector("#chips .chip:has-text('tokens')")
        look("chip")
        self.server.reading_s = 2
        self.ask(page, "x" * 300, is_awaited=False)
        page.wait_for_selector(".reading:has-text('left')")
        look("reading")
        self.server.reading_s = 0.05
        self.wait_for_end(page)
        self.ask(page, "TOO LONG")
        look("error")
        page.click("#open-settings")
        page.fill("#setting-top_p", "7")
        page.locator("#settings-dialog").get_by_role("button", name="Use").click()
        look("settings")
        page.keyboard.press("Escape")
        page.click("#open-scheme")
        for spelling, kind in (("rope", "warn"), ("ropes", "bad")):
            page.fill("#scheme-text", spelling)
            page.wait_for_selector(f"#scheme-check.{kind}")
            look(f"scheme {kind}")
        page.keyboard.press("Escape")
        self.ask(page, "short")
        page.locator(".answer .compare").last.click()
        page.click("#compare-run")
        page.wait_for_selector("#compare-run:visible")
        look("compare")
        page.keyboard.press("Escape")
        if page.is_visible("#open-sidebar"):
            page.click("#open-sidebar")
            page.wait_for_timeout(300)
        page.set_input_files("#memory-file", {
            "name": "book.txt", "mimeType": "text/plain", "buffer": b"word " * 100})
        page.wait_for_selector("#memory-list progress")
        look("memories")
        page.click("#show-server")
        page.wait_for_selector("#server-requests td")
        look("server")
        page.keyboard.press("Escape")
        page.click("#show-keys")
        look("keys")

    def check_contrast(self, **options):
        page = self.open(**options)

        def look(name):
            for value, text in page.evaluate(CONTRASTS):
                self.assertGreaterEqual(value, 4.5, f"{name}: {text!r}")

        self.walk_states(page, look)

    def test_texts_have_contrast_in_light(self):
        self.check_contrast(color_scheme="light")

    def test_texts_have_contrast_in_dark(self):
        self.check_contrast(color_scheme="dark")

    def test_phone_has_no_horizontal_scroll(self):
        page = self.open(width=390, height=844, is_mobile=True, has_touch=True)

        def look(name):
            self.assertEqual(page.evaluate(WIDER), [], name)

        self.walk_states(page, look)

    def test_theme_of_the_button_wins_and_is_kept(self):
        page = self.open(color_scheme="light")
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(ground)
        page.click("#theme")
        page.click("#theme")
        self.assertEqual(page.inner_text("#theme"), "Theme: dark")
        dark = page.evaluate(ground)
        self.assertNotEqual(light, dark)
        page.reload()
        self.assertEqual(page.evaluate(ground), dark)

    def test_reduced_motion_has_no_animations(self):
        self.server.pause_s = 0.02
        page = self.open(reduced_motion="reduce")
        self.ask(page, "ENDLESS", is_awaited=False)
        page.wait_for_selector(".answer .text p")
        self.assertEqual(page.evaluate("document.getAnimations().length"), 0)
        page.click("#stop")

    def test_reader_above_is_not_scrolled_down(self):
        self.server.pause_s = 0.005
        page = self.open(height=500)
        self.ask(page, "ENDLESS", is_awaited=False)
        scroll = "document.querySelector('#scroll')"
        self.wait_until(page, f"{scroll}.scrollTop > 200")  # it follows
        page.evaluate(f"{scroll}.scrollTop = 0")
        page.wait_for_selector("#to-end:visible")
        page.wait_for_timeout(200)
        self.assertEqual(page.evaluate(f"{scroll}.scrollTop"), 0)
        page.click("#to-end")
        self.wait_until(page, f"{scroll}.scrollTop > 200")
        page.click("#stop")


class KeyboardTest(MockedPage):
    def focus_name(self, page):
        return page.evaluate("""() => {
            const node = document.activeElement;
            const style = getComputedStyle(node);
            const ring = style.outlineStyle !== 'none' ? style
                : getComputedStyle(node.closest('.entry') || node);
            if (ring.outlineStyle === 'none' && node !== document.body) return 'NO RING ' + node.id;
            return node.id || node.getAttribute('aria-label') || node.textContent;
        }""")

    def go_back_to(self, page, name):
        for _ in range(60):
            if self.focus_name(page) == name:
                return
            page.keyboard.press("Shift+Tab")
        self.fail(f"Shift+Tab does not reach {name}")

    def test_every_control_is_reached_by_tab_with_a_visible_ring(self):
        page = self.open()
        self.ask(page, "MARKDOWN")
        page.evaluate("document.activeElement.blur()")
        seen = []
        for _ in range(60):
            page.keyboard.press("Tab")
            name = self.focus_name(page)
            if name in seen[:1]:
                break
            seen.append(name)
        self.assertEqual([name for name in seen if name.startswith("NO RING")], [])
        missing = page.evaluate("""(seen) => [...document.querySelectorAll(
            'button, input, textarea, select, a[href], summary')].filter((node) =>
                node.checkVisibility({visibilityProperty: true}) && !node.disabled &&
                node.tabIndex >= 0 && !seen.includes(node.id ||
                    node.getAttribute('aria-label') || node.textContent))
            .map((node) => node.outerHTML)""", seen)
        self.assertEqual(missing, [])

    def test_whole_walk_without_a_mouse(self):
        page = self.open()
        page.keyboard.type("first question")  # the field has the focus
        page.keyboard.press("Enter")
        self.wait_for_end(page)
        self.go_back_to(page, "Edit")
        page.keyboard.press("Enter")
        page.keyboard.press("Control+A")
        page.keyboard.type("other question")
        page.keyboard.press("Enter")
        self.wait_for_end(page)
        self.assertEqual(self.sent()["messages"][0]["content"], "other question")
        self.go_back_to(page, "open-scheme")
        page.keyboard.press("Enter")
        page.wait_for_selector("#scheme-dialog[open]")
        page.keyboard.type("rerope")
        page.keyboard.press("Enter")
        page.wait_for_selector("#scheme-dialog", state="hidden")
        self.assertEqual(self.focus_name(page), "open-scheme")
        page.keyboard.press("Control+k")
        self.assertEqual(page.locator(".message").count(), 0)
        self.assertEqual(self.focus_name(page), "entry")
        page.keyboard.type("again")
        page.keyboard.press("Enter")
        self.wait_for_end(page)
        self.assertEqual(self.sent()["position"], "rerope")

    def test_question_mark_shows_the_keys_outside_of_fields(self):
        page = self.open()
        page.keyboard.type("what?")
        self.assertFalse(page.is_visible("#keys-dialog"))
        self.assertEqual(page.input_value("#entry"), "what?")
        page.focus("#new-chat")
        page.keyboard.press("?")
        self.assertTrue(page.is_visible("#keys-dialog"))
        self.assertIn("Ctrl + K", page.inner_text("#keys-dialog"))
        page.keyboard.press("Escape")
        self.assertFalse(page.is_visible("#keys-dialog"))

    def test_every_control_has_a_name_and_the_answer_is_said_aloud(self):
        page = self.open()
        self.ask(page, "MARKDOWN")
        unnamed = page.evaluate("""() => [...document.querySelectorAll(
            'button, input:not([hidden]), textarea, select')].filter((node) =>
                !node.textContent.trim() && !node.getAttribute('aria-label') &&
                !node.labels?.length).map((node) => node.outerHTML)""")
        self.assertEqual(unnamed, [])
        live = page.locator("#live[aria-live=polite]").inner_text()
        self.assertIn("A paragraph with bold", live)
        self.assertIn("Answer finished", live)
        page.click("#open-scheme")
        self.assertEqual(page.locator("dialog[open]").get_attribute("aria-labelledby"),
                         "scheme-title")


if __name__ == "__main__":
    unittest.main()
