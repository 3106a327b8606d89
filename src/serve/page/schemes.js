'use strict';
// Schemes of the server: the list, what a spelling comes to, and the dialog
// that sets the one of a chat.

const Schemes = (() => {
  let all = [];

  async function load() {
    try {
      all = (await Api.getJson('/v1/positions')).data;
    } catch {
      all = [];  // the field still takes any spelling
    }
  }

  // What a spelling comes to: {text, kind: 'good', 'warn' or 'bad'}. Without a
  // context, at the one that the server would give this chat.
  async function check(position, context) {
    if (context && !lengthOf(context)) {
      return {kind: 'bad', text: `The context '${context}' is no length: 16384 and 16k are.`};
    }
    if (!position) return {kind: 'good', text: 'As the server runs it.'};
    const query = new URLSearchParams({position});
    if (context) query.set('context', lengthOf(context));
    else query.set('tokens', Chat.tokens());
    try {
      const found = await Api.getJson(`/v1/positions/resolve?${query}`);
      const runs = `At ${tokensText(found.context)} it runs as ` +
          (found.described || found.scheme);
      return found.fails
          ? {kind: 'warn', text: `${runs}, which is known to fail there: ${found.fails}`}
          : {kind: 'good', text: `${runs}.`};
    } catch (error) {
      return {kind: 'bad', text: error.message};
    }
  }

  // Checks fields while somebody types; `read` returns [position, context],
  // `change` is called after each check, and an answer that comes late is left
  // alone. Returns what checks at once.
  function watch(fields, read, line, change = () => {}) {
    let asked = 0;
    const look = async () => {
      const mine = ++asked;
      const result = await check(...read());
      if (mine !== asked) return;
      line.className = `check ${result.kind}`;
      line.textContent = result.text;
      change(result);
      return result;
    };
    const soon = afterPause(250, look);
    for (const field of fields) field.addEventListener('input', soon);
    return look;
  }

  function listItems(choose) {
    const entry = (name, spelling, summary, scheme) => el('div', {class: 'scheme'},
        el('button', {type: 'button', class: 'pick', 'data-position': spelling,
                      'aria-pressed': 'false',
                      on: {click: () => choose(spelling)}},
           el('strong', {}, name), ' ', el('span', {}, summary)),
        scheme && detailsOf(scheme));
    return [
      entry('as the server runs it', '', Models.facts.scheme || ''),
      entry('auto', 'auto', 'the model\'s own scheme up to its trained length, ' +
            'one that reads further beyond'),
      ...all.filter((scheme) => scheme.name !== 'auto').map((scheme) => entry(
          scheme.name, scheme.name, scheme.summary, scheme)),
    ];
  }

  function detailsOf(scheme) {
    const parameters = scheme.parameters || [];
    return el('details', {},
        el('summary', {'aria-label': `More about ${scheme.name}`}, 'keys and source'),
        parameters.length > 0 && el('dl', {}, ...parameters.flatMap(
            ({name, meaning}) => [el('dt', {}, name), el('dd', {}, meaning)])),
        scheme.example && el('p', {}, 'For example ', el('code', {}, scheme.example)),
        scheme.source && el('p', {class: 'muted'}, `From ${scheme.source}`));
  }

  function mark() {
    const text = byId('scheme-text').value.trim();
    for (const pick of byId('scheme-list').querySelectorAll('.pick')) {
      const {position} = pick.dataset;
      const isChosen = position === text ||
          (position !== '' && text.split(/[:+]/)[0] === position);
      pick.setAttribute('aria-pressed', isChosen);
    }
  }

  let look = null;
  const typed = () => [byId('scheme-text').value.trim(),
                       byId('scheme-context').value.trim()];

  function open() {
    const {position, context} = Chat.current;
    byId('scheme-text').value = position;
    byId('scheme-context').value = context;
    byId('scheme-list').replaceChildren(...listItems((spelling) => {
      byId('scheme-text').value = spelling;
      mark();
      look();
    }));
    mark();
    look();
    byId('scheme-dialog').returnValue = '';
    byId('scheme-dialog').showModal();
    byId('scheme-text').focus();
  }

  function listen() {
    const use = byId('scheme-use');
    look = watch([byId('scheme-text'), byId('scheme-context')], typed,
                 byId('scheme-check'),
                 (result) => { use.disabled = result.kind === 'bad'; });
    byId('scheme-text').addEventListener('input', mark);
    byId('open-scheme').addEventListener('click', open);
    const dialog = byId('scheme-dialog');
    dialog.querySelector('form').addEventListener('submit', async (event) => {
      event.preventDefault();  // the last letters may not have been checked yet
      if ((await look())?.kind === 'bad') return;
      set(...typed());
      dialog.close('use');
    });
  }

  function set(position, context) {
    Object.assign(Chat.current, {position, context});
    Store.save(Chat.current);
    Chat.drawHead();
  }

  const names = () => all.map((scheme) => scheme.name);

  return {load, listen, watch, set, names};
})();
