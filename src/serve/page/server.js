'use strict';
// What the server runs and what it is at, looked at once a second while the
// dialog is open.

const Server = (() => {
  const POLL_MS = 1000;
  let timer = 0;

  const COLUMNS = [
    ['state', (slot) => slot.state],
    ['scheme', (slot) => slot.scheme],
    ['prompt', (slot) => counted(slot.prompt_tokens)],
    ['read', (slot) => counted(slot.read_tokens)],
    ['known', (slot) => counted(slot.reused_tokens)],
    ['written', (slot) => counted(slot.generated_tokens)],
    ['for', (slot) => durationText(slot.seconds * 1000)],
  ];

  function drawFacts() {
    const facts = Models.facts;
    const rows = [
      ['Model', Models.current?.id],
      ['Architecture', facts.architecture],
      ['Trained to', facts.trained_length && tokensText(facts.trained_length)],
      ['Reads up to', facts.context_length && tokensText(facts.context_length)],
      ['Scheme', facts.scheme],
      ['Keys and values', facts.kv_type && facts.bytes_per_token &&
          `${facts.kv_type}, ${bytesText(facts.bytes_per_token)} a token`],
      ['Version', facts.version],
    ];
    byId('server-facts').replaceChildren(...rows.flatMap(
        ([name, value]) => value ? [el('dt', {}, name), el('dd', {}, value)] : []));
  }

  async function look() {
    if (!byId('server-dialog').open) return;
    try {
      drawRequests(await Api.getJson('/slots'));
      byId('server-check').textContent = '';
    } catch (error) {
      byId('server-check').textContent = error.message;
    }
    clearTimeout(timer);  // of a dialog that was closed and opened again
    timer = setTimeout(look, POLL_MS);
  }

  function drawRequests(slots) {
    const table = el('table', {},
        el('thead', {}, el('tr', {}, ...COLUMNS.map(([name]) => el('th', {}, name)))),
        el('tbody', {}, ...slots.map((slot) => el('tr', {}, ...COLUMNS.map(
            ([, textOf]) => el('td', {}, textOf(slot)))))));
    byId('server-requests').replaceChildren(
        slots.length ? table : el('p', {class: 'muted'}, 'None.'));
  }

  function open() {
    drawFacts();
    byId('server-dialog').showModal();
    look();
  }

  function listen() {
    byId('show-server').addEventListener('click', open);
  }

  return {listen};
})();
