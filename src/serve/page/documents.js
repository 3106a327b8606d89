'use strict';
// Texts that go with the next message, each a chip with its count of tokens.

const Documents = (() => {
  const PASTE_LEAST = 2000;       // characters from which a paste is a doc
  const COUNT_MOST = 20e6;        // beyond, counting would send too much
  const SHOWN = 20000;            // characters of a document that a chip shows
  const FILE_MOST = 64 * 2 ** 20; // bytes

  let pending = [];
  let pastes = 0;

  async function addFiles(files) {
    for (const file of files) {
      const text = await textOf(file);
      if (text !== null) add(file.name, text);
    }
    byId('entry').focus();
  }

  // The text of a file, or null after a notice that says why it is none.
  async function textOf(file) {
    const refuse = (why) => {
      Notice.show(`${file.name} ${why}`, {kind: 'error'});
      return null;
    };
    if (file.size > FILE_MOST) {
      return refuse(`has ${bytesText(file.size)}. ` +
                    'The page takes up to 64 MB: cut it, or use ropewalk remember.');
    }
    let bytes;
    try {
      bytes = await file.arrayBuffer();
    } catch {
      return refuse('cannot be read. Drop files, not folders.');
    }
    try {
      const text = new TextDecoder('utf-8', {fatal: true}).decode(bytes);
      if (text.includes('\0')) return refuse('is not a text. Take its text first.');
      if (text.trim() === '') return refuse('is empty.');
      return text;
    } catch {
      return refuse('is not a text in UTF-8. Convert it, or take its text first.');
    }
  }

  function add(name, text) {
    const doc = {name, text, tokens: null};
    pending.push(doc);
    draw();
    count(doc);
  }

  // A count is a help: without it a doc works as well.
  async function count(doc) {
    if (doc.text.length > COUNT_MOST) return;
    try {
      doc.tokens = await Api.countTokens(doc.text);
    } catch {
      doc.tokens = null;
    }
    draw();
  }

  // True if the paste became a doc.
  function takePaste(event) {
    const data = event.clipboardData;
    if (data.files.length && !data.getData('text/plain')) {
      addFiles(data.files);
      return true;
    }
    const text = data.getData('text/plain');
    if (text.length < PASTE_LEAST) return false;
    ++pastes;
    add(pastes === 1 ? 'pasted text' : `pasted text ${pastes}`, text);
    return true;
  }

  const sizeText = (doc) => doc.tokens === null
      ? `${counted(doc.text.length)} characters` : tokensText(doc.tokens);

  function remove(doc) {
    pending = pending.filter((other) => other !== doc);
    draw();
    byId('entry').focus();
  }

  async function remember(doc) {
    remove(doc);
    await Memories.upload(new File([doc.text], fileNameOf(doc),
                                   {type: 'text/plain'}));
  }

  const fileNameOf = ({name}) => /\.\w+$/.test(name) ? name : name + '.txt';

  function draw() {
    const chips = pending.map((doc) => {
      const limit = Models.facts.context_length;
      const isTooLong = limit && doc.tokens > limit;
      return el('li', {class: isTooLong ? 'chip bad' : 'chip'},
          el('span', {class: 'chip-name'}, doc.name),
          el('span', {class: 'muted'}, sizeText(doc) + (isTooLong
              ? `: more than the ${counted(limit)} of this server` : '')),
          Memories.available && button(
              'Remember', () => remember(doc),
              {class: 'quiet', 'aria-label': `Remember ${doc.name} instead`,
               title: 'Reads it once, into a memory that any chat may look into'}),
          button('Remove', () => remove(doc),
                 {class: 'quiet', 'aria-label': `Remove ${doc.name}`}));
    });
    byId('chips').replaceChildren(...chips, ...Memories.chips());
  }

  // What goes with a message; the chips are gone then.
  function take() {
    const taken = pending;
    pending = [];
    draw();
    return taken;
  }

  // A document of a sent message, closed until somebody opens it.
  function chipOf(doc) {
    const body = el('pre', {tabindex: 0});
    const details = el('details', {class: 'document'},
        el('summary', {}, el('span', {class: 'chip-name'}, doc.name), ' ',
           el('span', {class: 'muted'}, sizeText(doc))), body);
    details.addEventListener('toggle', () => {
      if (!details.open || body.textContent) return;
      const isCut = doc.text.length > SHOWN;
      body.textContent = doc.text.slice(0, SHOWN) + (isCut
          ? `\n[${counted(doc.text.length - SHOWN)} more characters]` : '');
    });
    return details;
  }

  function listen() {
    const isFiles = (event) => event.dataTransfer?.types.includes('Files');
    let depth = 0;  // dragenter and dragleave come for every child
    const show = (isOver) => { byId('drop').hidden = !isOver; };
    window.addEventListener('dragenter', (event) => {
      if (isFiles(event)) show(++depth > 0);
    });
    window.addEventListener('dragleave', (event) => {
      if (isFiles(event)) show((depth = Math.max(0, depth - 1)) > 0);
    });
    window.addEventListener('dragover', (event) => {
      if (isFiles(event)) event.preventDefault();
    });
    window.addEventListener('drop', (event) => {
      depth = 0;
      show(false);
      const text = event.dataTransfer.getData('text/plain');
      if (isFiles(event)) {
        event.preventDefault();
        addFiles([...event.dataTransfer.files]);
      } else if (text.length >= PASTE_LEAST) {
        event.preventDefault();
        add('dropped text', text);
      }
    });
    byId('entry').addEventListener('paste', (event) => {
      if (takePaste(event)) event.preventDefault();
    });
    byId('attach').addEventListener('click', () => byId('attach-file').click());
    byId('attach-file').addEventListener('change', async (event) => {
      await addFiles([...event.target.files]);
      event.target.value = '';
    });
  }

  return {listen, draw, take, chipOf, get pending() { return pending; }};
})();
