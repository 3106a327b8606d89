'use strict';
// Markdown as elements. Only nodes of a fixed set are made, and only links to
// http and https are links, so that no answer can run anything in this page.
// HTML in a text is text.

const Markdown = (() => {
  const MAX_DEPTH = 12;  // of quotes, lists and emphasis within each other

  const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([^`]*)$/;
  const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
  const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
  const QUOTE = /^ {0,3}> ?/;
  const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(?:\s+|$)/;
  const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

  const isBlank = (line) => line.trim() === '';
  const indentOf = (line) => line.length - line.trimStart().length;

  function isTableAt(lines, i) {
    return lines[i].includes('|') && i + 1 < lines.length &&
        lines[i + 1].includes('-') && TABLE_RULE.test(lines[i + 1]) &&
        cellsOf(lines[i]).length === cellsOf(lines[i + 1]).length;
  }

  function beginsBlock(lines, i) {
    return FENCE.test(lines[i]) || HEADING.test(lines[i]) ||
        RULE.test(lines[i]) || QUOTE.test(lines[i]) || ITEM.test(lines[i]) ||
        isTableAt(lines, i);
  }

  // The block that begins at line i: {kind, begin, end, ...}, lines [begin,
  // end). Blank lines before it are its own.
  function blockAt(lines, begin) {
    let i = begin;
    while (i < lines.length && isBlank(lines[i])) ++i;
    if (i === lines.length) return {kind: 'blank', begin, end: i};
    const first = i;
    const fence = FENCE.exec(lines[i]);
    if (fence) {
      const closing = new RegExp(
          `^ {0,3}${fence[2][0]}{${fence[2].length},}\\s*$`);
      while (++i < lines.length && !closing.test(lines[i])) {}
      const indent = fence[1].length;
      const inner = lines.slice(first + 1, i).map(
          (line) => line.slice(Math.min(indent, indentOf(line))));
      return {
        kind: 'code', language: fence[3].trim().split(/\s/)[0],
        text: inner.join('\n'), begin, end: Math.min(i + 1, lines.length),
      };
    }
    const heading = HEADING.exec(lines[i]);
    if (heading) {
      return {kind: 'heading', level: heading[1].length,
              text: heading[2] || '', begin, end: i + 1};
    }
    if (RULE.test(lines[i])) return {kind: 'rule', begin, end: i + 1};
    if (QUOTE.test(lines[i])) {
      while (i < lines.length && QUOTE.test(lines[i])) ++i;
      return {
        kind: 'quote', begin, end: i,
        lines: lines.slice(first, i).map((line) => line.replace(QUOTE, '')),
      };
    }
    if (ITEM.test(lines[i])) return listAt(lines, begin, first);
    if (isTableAt(lines, i)) {
      i += 2;
      while (i < lines.length && lines[i].includes('|')) ++i;
      return {kind: 'table', begin, end: i, lines: lines.slice(first, i)};
    }
    ++i;
    while (i < lines.length && !isBlank(lines[i]) && !beginsBlock(lines, i)) ++i;
    return {kind: 'paragraph', begin, end: i,
            text: lines.slice(first, i).map((line) => line.trim()).join('\n')};
  }

  function listAt(lines, begin, first) {
    const [, indent, mark] = ITEM.exec(lines[first]);
    const isOrdered = /\d/.test(mark);
    const items = [];
    let i = first;
    while (i < lines.length) {
      if (isBlank(lines[i])) {
        // A blank line ends the list unless an item or its text goes on.
        let next = i;
        while (next < lines.length && isBlank(lines[next])) ++next;
        if (next === lines.length) break;
        const goesOn = indentOf(lines[next]) > indent.length ||
            isItemOf(lines[next], indent, isOrdered);
        if (!goesOn) break;
        items.at(-1).push(...lines.slice(i, next));
        i = next;
        continue;
      }
      if (isItemOf(lines[i], indent, isOrdered)) {
        const [all] = ITEM.exec(lines[i]);
        items.push([lines[i].slice(all.length)]);
        items.at(-1).width = all.trimEnd().length + 1;
      } else if (indentOf(lines[i]) > indent.length) {
        const width = Math.min(items.at(-1).width, indentOf(lines[i]));
        items.at(-1).push(lines[i].slice(width));
      } else if (beginsBlock(lines, i)) {
        break;
      } else {
        items.at(-1).push(lines[i]);
      }
      ++i;
    }
    return {kind: 'list', isOrdered, start: parseInt(mark, 10) || 1, items,
            begin, end: i};
  }

  function isItemOf(line, indent, isOrdered) {
    const item = ITEM.exec(line);
    return item !== null && item[1].length <= indent.length + 1 &&
        /\d/.test(item[2]) === isOrdered && !RULE.test(line);
  }

  function cellsOf(line) {
    const cells = [];
    let cell = '';
    const text = line.trim().replace(/^\|/, '');
    for (let i = 0; i < text.length; ++i) {
      if (text[i] === '\\' && text[i + 1] === '|') {
        cell += '|';
        ++i;
      } else if (text[i] === '|') {
        cells.push(cell.trim());
        cell = '';
      } else {
        cell += text[i];
      }
    }
    if (cell.trim() !== '') cells.push(cell.trim());
    return cells;
  }

  // Blocks of lines, as nodes.
  function nodesOf(lines, depth) {
    if (depth > MAX_DEPTH) return [el('p', {}, lines.join('\n'))];
    const nodes = [];
    for (let i = 0; i < lines.length;) {
      const block = blockAt(lines, i);
      if (block.kind !== 'blank') nodes.push(nodeOf(block, depth));
      i = block.end;
    }
    return nodes;
  }

  function nodeOf(block, depth = 0) {
    switch (block.kind) {
      case 'code': return codeNode(block);
      case 'heading':
        return el(`h${Math.min(block.level + 2, 6)}`, {}, ...inline(block.text));
      case 'rule': return el('hr');
      case 'quote': return el('blockquote', {}, ...nodesOf(block.lines, depth + 1));
      case 'list': return listNode(block, depth);
      case 'table': return tableNode(block);
      default: return el('p', {}, ...inline(block.text));
    }
  }

  function codeNode(block) {
    const code = el('code', {}, document.createTextNode(block.text));
    const copy = button('Copy', () => copyText(code.textContent, copy),
                        {class: 'quiet', 'aria-label': 'Copy the code'});
    return el('div', {class: 'code'},
              el('div', {class: 'code-head'},
                 el('span', {class: 'grow'}, block.language), copy),
              el('pre', {tabindex: 0}, code));
  }

  function listNode(block, depth) {
    const list = el(block.isOrdered ? 'ol' : 'ul',
                    {start: block.isOrdered && block.start !== 1 && block.start});
    for (const lines of block.items) {
      while (lines.length > 1 && isBlank(lines.at(-1))) lines.pop();
      const task = /^\[([ xX])\]\s+/.exec(lines[0]);
      if (task) lines[0] = (task[1] === ' ' ? '☐ ' : '☑ ') +
          lines[0].slice(task[0].length);
      const nodes = nodesOf(lines, depth + 1);
      const isTight = !lines.some(isBlank);
      // A tight item's text stands in the item itself.
      const children = nodes.flatMap(
          (node) => isTight && node.tagName === 'P' ? [...node.childNodes] : [node]);
      list.append(el('li', {}, ...children));
    }
    return list;
  }

  function tableNode(block) {
    const sides = cellsOf(block.lines[1]).map(
        (cell) => cell.endsWith(':') ? (cell.startsWith(':') ? 'middle' : 'right')
                                     : null);
    const row = (tag, line) => {
      const cells = cellsOf(line);
      return el('tr', {}, ...sides.map(
          (side, i) => el(tag, {class: side}, ...inline(cells[i] || ''))));
    };
    return el('div', {class: 'table', tabindex: 0, role: 'group',
                      'aria-label': 'Table'},
              el('table', {},
                 el('thead', {}, row('th', block.lines[0])),
                 el('tbody', {}, ...block.lines.slice(2).map(
                     (line) => row('td', line)))));
  }

  // The address if it is one that a link may lead to, else null.
  function safeAddress(text) {
    try {
      const address = new URL(text);
      const isWeb = address.protocol === 'https:' || address.protocol === 'http:';
      return isWeb ? address.href : null;
    } catch {
      return null;
    }
  }

  const link = (address, ...children) => el(
      'a', {href: address, rel: 'noopener noreferrer', target: '_blank'},
      ...children);

  // Text with code, emphasis and links, as nodes. A mark that has no partner is
  // looked for once, so that a text of marks alone costs no more than others.
  function inline(text, depth = 0) {
    const nodes = [];
    const missing = new Set();
    let plain = '';
    const flush = () => {
      if (plain) nodes.push(document.createTextNode(plain));
      plain = '';
    };
    const add = (node) => { flush(); nodes.push(node); };
    const closing = (mark, from) => {
      if (missing.has(mark)) return -1;
      const at = text.indexOf(mark, from);
      if (at < 0) missing.add(mark);
      return at;
    };
    for (let i = 0; i < text.length;) {
      const c = text[i];
      if (c === '\\' && /[!-/:-@[-`{-~]/.test(text[i + 1] || '')) {
        plain += text[i + 1];
        i += 2;
        continue;
      }
      if (c === '\n') {
        add(el('br'));
        ++i;
        continue;
      }
      if (c === '`') {
        const mark = /^`+/.exec(text.slice(i, i + 64))[0];
        const end = closing(mark, i + mark.length);
        if (end > 0) {
          add(el('code', {}, text.slice(i + mark.length, end).trim()));
          i = end + mark.length;
        } else {
          plain += mark;
          i += mark.length;
        }
        continue;
      }
      if ('*_~'.includes(c) && depth < MAX_DEPTH) {
        const found = emphasisAt(text, i, closing);
        if (found) {
          add(el(found.tag, {}, ...inline(found.text, depth + 1)));
          i = found.end;
          continue;
        }
      }
      if (c === '[' || (c === '!' && text[i + 1] === '[')) {
        const found = /^!?\[([^[\]]{0,500})\]\(<?([^\s()<>]{1,2000})>?(?:\s+"[^"]{0,500}")?\)/
            .exec(text.slice(i, i + 3200));
        const address = found && safeAddress(found[2]);
        if (address) {
          // A picture is not fetched: a link says where it is.
          add(link(address, ...(c === '!' ? [found[1] || address]
                                          : inline(found[1], depth + 1))));
          i += found[0].length;
          continue;
        }
      }
      if (c === 'h' && !/\w$/.test(plain)) {
        const found = /^https?:\/\/[^\s<>"'`]+/.exec(text.slice(i, i + 2000));
        const shown = found && found[0].replace(/[.,;:!?)\]}*_]+$/, '');
        if (shown && safeAddress(shown)) {
          add(link(safeAddress(shown), shown));
          i += shown.length;
          continue;
        }
      }
      plain += c;
      ++i;
    }
    flush();
    return nodes;
  }

  function emphasisAt(text, i, closing) {
    const c = text[i];
    const isWord = (at) => /[\p{L}\p{N}]/u.test(text[at] || '');
    for (const mark of c === '~' ? ['~~'] : [c + c, c]) {
      if (!text.startsWith(mark, i)) continue;
      const from = i + mark.length;
      if (/\s/.test(text[from] || ' ') || text[from] === c) continue;
      if (c === '_' && isWord(i - 1)) continue;
      let end = closing(mark, from + 1);
      // A single mark does not end within a double one. The limit keeps a text
      // of marks alone from costing its square.
      for (let tries = 0;
           end > 0 && mark.length === 1 && text[end + 1] === c; ++tries) {
        end = tries < 50 ? text.indexOf(mark, end + 2) : -1;
      }
      if (end < 0 || /\s/.test(text[end - 1])) continue;
      if (c === '_' && isWord(end + mark.length)) continue;
      return {tag: c === '~' ? 's' : mark.length === 2 ? 'strong' : 'em',
              text: text.slice(from, end), end: end + mark.length};
    }
    return null;
  }

  // A text that grows. Only the last block is read again, and a code block only
  // gets its new characters, so that a selection and a scrolled block stay.
  class View {
    constructor(container) {
      this.container = container;
      this.clear();
    }

    clear() {
      this.text = '';
      this.start = 0;     // where the last block begins in the text
      this.last = null;   // its node
      this.kind = '';
      this.container.replaceChildren();
    }

    // Returns the blocks that are finished since the last call, as text.
    set(text) {
      if (text === this.text) return [];
      if (!text.startsWith(this.text)) this.clear();
      this.text = text;
      const finished = [];
      const lines = text.slice(this.start).split('\n');
      let offset = this.start;
      for (let i = 0; i < lines.length;) {
        const block = blockAt(lines, i);
        if (block.kind === 'blank') break;
        if (i > 0) {
          if (this.last) finished.push(this.last.textContent);
          this.last = null;
          this.start = offset;
        }
        this.show(block);
        for (; i < block.end; ++i) offset += lines[i].length + 1;
      }
      return finished;
    }

    show(block) {
      if (this.last && block.kind === 'code' && this.kind === 'code') {
        const code = this.last.querySelector('code').firstChild;
        if (block.text.startsWith(code.data)) {
          code.appendData(block.text.slice(code.length));
        } else {
          code.data = block.text;
        }
        this.last.querySelector('.code-head span').textContent = block.language;
        return;
      }
      const node = nodeOf(block);
      if (this.last) this.last.replaceWith(node); else this.container.append(node);
      this.last = node;
      this.kind = block.kind;
    }
  }

  return {View, nodesOf: (text) => nodesOf(text.split('\n'), 0), safeAddress};
})();
