'use strict';
// Memories of the server: texts that it read once. Those that are ticked go
// with each answer of the chat.

const Memories = (() => {
  const POLL_MS = 1000;
  const MISSES = 5;  // polls in a row that may fail

  let all = [];
  let available = false;
  let timer = 0;
  let misses = 0;

  async function load() {
    try {
      const {data} = await Api.getJson('/v1/files');
      all = data.filter((file) => !file.purpose || file.purpose === 'memory');
      available = true;
      misses = 0;
    } catch (error) {
      // A server without memories answers 404 or 501.
      if (!available || [404, 501].includes(error.status)) {
        available = false;
        all = [];
      } else {
        ++misses;
      }
    }
    draw();
    clearTimeout(timer);
    if (all.some(isUnread) && misses < MISSES) timer = setTimeout(load, POLL_MS);
  }

  const isUnread = (file) => file.status === 'uploaded';
  const nameOf = (file) => file.filename || file.id;
  const isAttached = (file) => Chat.current.memories.includes(file.id);

  function shareRead({ropewalk}) {
    return ropewalk?.tokens > 0 ? Math.min(1, (ropewalk.read || 0) / ropewalk.tokens)
                                : 0;
  }

  function stateText(file) {
    if (file.status === 'error') return file.status_details || 'could not be read';
    if (isUnread(file)) return `reading, ${Math.floor(100 * shareRead(file))}%`;
    return file.ropewalk?.tokens ? tokensText(file.ropewalk.tokens)
                                 : bytesText(file.bytes || 0);
  }

  async function upload(file) {
    const form = new FormData();
    form.append('purpose', 'memory');
    form.append('file', file);
    try {
      const made = await Api.getJson('/v1/files', {method: 'POST', form});
      attach(made.id, true);
      Live.say(`${nameOf(made)} is being read into a memory.`);
    } catch (error) {
      Notice.show(`${file.name} was not remembered: ${error.message}`,
                  {kind: 'error', action: {label: 'Try again',
                                           run: () => upload(file)}});
    }
    await load();
  }

  function attach(id, isOn) {
    const chat = Chat.current;
    chat.memories = chat.memories.filter((other) => other !== id);
    if (isOn) chat.memories.push(id);
    Store.save(chat);
    draw();
  }

  async function remove(file) {
    try {
      await Api.request(`/v1/files/${encodeURIComponent(file.id)}`,
                        {method: 'DELETE'});
      Notice.show(`The memory of ${nameOf(file)} is deleted.`, {for_ms: 5000});
      attach(file.id, false);
    } catch (error) {
      Notice.show(`${nameOf(file)} was not deleted: ${error.message}`,
                  {kind: 'error'});
    }
    await load();
  }

  function draw() {
    byId('memories').hidden = !available;
    const items = all.map((file) => {
      const box = el('input', {type: 'checkbox', disabled: file.status === 'error',
                               id: `memory-${file.id}`, on: {
                                 change: () => attach(file.id, box.checked),
                               }});
      box.checked = isAttached(file);
      return el('li', {},
          box,
          el('label', {for: `memory-${file.id}`, class: 'grow'},
             el('span', {class: 'name'}, nameOf(file)),
             el('span', {class: 'muted'}, stateText(file)),
             isUnread(file) && progressOf(file)),
          button('Delete', () => remove(file),
                 {class: 'quiet', 'aria-label': `Delete the memory of ${nameOf(file)}`}));
    });
    if (!items.length) items.push(el('li', {class: 'muted'}, 'None yet.'));
    keepingFocus(byId('memory-list'), () => byId('memory-list').replaceChildren(...items));
    Documents.draw();
  }

  // Lists are drawn anew while somebody may walk through them by keyboard.
  function keepingFocus(list, change) {
    const parts = 'button, input';
    const at = [...list.querySelectorAll(parts)].indexOf(document.activeElement);
    change();
    if (at >= 0) list.querySelectorAll(parts)[at]?.focus();
  }

  function progressOf(file) {
    const bar = el('progress', {max: 1, 'aria-label': `Reading ${nameOf(file)}`});
    bar.value = shareRead(file);
    return bar;
  }

  // Chips of the attached ones, above the message field.
  function chips() {
    return available ? all.filter(isAttached).map((file) => el(
        'li', {class: 'chip'}, el('span', {class: 'muted'}, 'memory'),
        el('span', {class: 'chip-name'}, nameOf(file)),
        el('span', {class: 'muted'}, stateText(file)),
        button('Leave out', () => attach(file.id, false),
               {class: 'quiet', 'aria-label': `Leave out the memory of ${nameOf(file)}`})))
                     : [];
  }

  // Ids that the server still has; others would make it refuse the request.
  const attached = (conversation) => available
      ? conversation.memories.filter((id) => all.some((file) => file.id === id)) : [];

  function listen() {
    byId('add-memory').addEventListener('click', () => byId('memory-file').click());
    byId('memory-file').addEventListener('change', async (event) => {
      const files = [...event.target.files];
      event.target.value = '';
      for (const file of files) await upload(file);
    });
  }

  return {load, draw, upload, chips, attached, listen,
          get available() { return available; }};
})();
