"""Markdown: what it becomes, and that it can run nothing."""
import json
import unittest

from page_test import MockedPage


class MarkdownTest(MockedPage):
    def shown(self, text):
        """HTML of the text as the page draws it."""
        return self.page.evaluate(f"""() => {{
            const box = document.createElement('div');
            box.append(...Markdown.nodesOf({json.dumps(text)}));
            return box.innerHTML;
        }}""")

    def setUp(self):
        super().setUp()
        self.page = self.open()

    def test_blocks(self):
        for text, html in [
            ("# One", "<h3>One</h3>"),
            ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
            ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
            ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
            ("- a\n  - b\n- c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
            ("- a\n\n- b", "<ul><li>a</li><li>b</li></ul>"),
            ("> a\n> > b", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>"),
            ("---", "<hr>"),
            ("1.5 is no list", "<p>1.5 is no list</p>"),
            ("a | b without a rule", "<p>a | b without a rule</p>"),
        ]:
            with self.subTest(text=text):
                self.assertEqual(self.shown(text), html)

    def test_marks_within_a_line(self):
        for text, html in [
            ("**a** and __b__", "<p><strong>a</strong> and <strong>b</strong></p>"),
            ("*a* and _b_", "<p><em>a</em> and <em>b</em></p>"),
            ("*a **b** c*", "<p><em>a <strong>b</strong> c</em></p>"),
            ("snake_case_name 2 * 3 * 4", "<p>snake_case_name 2 * 3 * 4</p>"),
            ("`a **b**` ``c`d``", "<p><code>a **b**</code> <code>c`d</code></p>"),
            (r"\*a\*", "<p>*a*</p>"),
            ("~~a~~", "<p><s>a</s></p>"),
            ("**open", "<p>**open</p>"),
        ]:
            with self.subTest(text=text):
                self.assertEqual(self.shown(text), html)

    def test_code_keeps_its_text(self):
        text = "```py\n  <b>x</b>\n\n# no heading\n```\nafter"
        language, code, after = self.page.evaluate(f"""() => {{
            const [block, after] = Markdown.nodesOf({json.dumps(text)});
            return [block.querySelector('span').textContent,
                    block.querySelector('pre').textContent, after.textContent];
        }}""")
        self.assertEqual((language, code, after),
                         ("py", "  <b>x</b>\n\n# no heading", "after"))

    def test_copy_takes_the_code(self):
        self.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.ask(self.page, "MARKDOWN")
        self.page.get_by_role("button", name="Copy the code").click()
        self.assertEqual(self.page.evaluate("navigator.clipboard.readText()"),
                         "def f(x):\n    return x < 1")

    def test_table_with_sides(self):
        self.assertIn('<th class="right">b</th></tr></thead><tbody><tr><td>1</td>'
                      '<td class="right">2 | 3</td>',
                      self.shown("| a | b |\n|---|--:|\n| 1 | 2 \\| 3 |"))

    def test_links_lead_to_the_web_alone(self):
        self.assertEqual(
            self.shown("[a](https://example.org/)"),
            '<p><a href="https://example.org/" rel="noopener noreferrer" '
            'target="_blank">a</a></p>')
        for text in ["[a](javascript:alert(1))", "[a](JaVaScRiPt:alert(1))",
                     "[a](java\tscript:alert(1))", "[a](&#106;avascript:alert(1))",
                     "[a](data:text/html,x)", "[a](vbscript:x)", "[a](file:///etc/passwd)",
                     "[a](//example.org)", "[a](/v1/files)", "![a](javascript:x)",
                     "<javascript:alert(1)>"]:
            with self.subTest(text=text):
                self.assertNotIn("<a", self.shown(text))

    def test_html_in_an_answer_is_text_and_runs_nothing(self):
        requests = []
        self.page.on("request", lambda request: requests.append(request.url))
        self.ask(self.page, "MARKDOWN")
        body = self.page.locator(".answer .text")
        self.assertEqual(body.locator("img, script, iframe, b, [onclick], [onerror]").count(), 0)
        self.assertIn('<img src=x onerror="window.broken = true">', body.inner_text())
        self.assertIsNone(self.page.evaluate("window.broken ?? null"))
        self.assertEqual([url for url in requests if "example.org" in url], [])
        self.assertEqual(
            body.evaluate("node => [...node.querySelectorAll('a')].map(a => a.protocol)"),
            ["https:"] * 3)

    def test_html_of_names_and_questions_is_text_too(self):
        attack = "<img src=x onerror='window.broken = true'>"
        self.drop(self.page, attack + ".txt", attack)
        self.page.wait_for_selector("#chips .chip")
        self.ask(self.page, attack)
        self.page.locator(".user summary").click()
        self.assertEqual(self.page.locator("main img").count(), 0)
        self.assertEqual(self.page.inner_text(".bubble"), attack)
        self.assertIsNone(self.page.evaluate("window.broken ?? null"))

    def test_text_of_marks_alone_takes_no_time(self):
        for piece in ["*", "**a ", "_a", "`", "[", "![a](", "> ", "- ", "|", "<", "*a **",
                      "h", "http://", "\\", "~~", "*a_b`"]:
            text = piece * 20000
            with self.subTest(piece=piece):
                took = self.page.evaluate(f"""() => {{
                    const start = performance.now();
                    Markdown.nodesOf({json.dumps(text)});
                    return performance.now() - start;
                }}""")
                self.assertLess(took, 2000)

    def test_text_in_pieces_looks_as_the_whole_does(self):
        from mock_server import MARKDOWN
        for text in [MARKDOWN, MARKDOWN * 2, "- a\n\n  b\n\n- c\n\nd", "```\na\n\nb\n```\n\nc"]:
            for step in (1, 3, 7):
                self.assertTrue(self.page.evaluate(f"""() => {{
                    const text = {json.dumps(text)};
                    const box = document.createElement('div');
                    const whole = document.createElement('div');
                    const view = new Markdown.View(box);
                    for (let end = 0; end < text.length; end += {step}) {{
                        view.set(text.slice(0, end));
                    }}
                    view.set(text);
                    whole.append(...Markdown.nodesOf(text));
                    return box.innerHTML === whole.innerHTML;
                }}"""), f"{text!r} in pieces of {step}")


if __name__ == "__main__":
    unittest.main()
