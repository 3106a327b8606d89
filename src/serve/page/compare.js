'use strict';
// The last turn under two schemes, side by side.

const Compare = (() => {
  const sides = [];

  class Side {
    constructor(name) {
      this.name = name;
      this.run = null;
      this.field = el('input', {
        spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off',
        list: 'scheme-names', placeholder: 'as the server runs it',
      });
      this.check = el('p', {class: 'check', role: 'status'});
      this.bar = el('progress', {max: 1, hidden: true, 'aria-label': `Reading, ${name}`});
      this.body = el('div', {class: 'text', tabindex: 0, role: 'region',
                             'aria-label': `Answer of ${name}`});
      this.stats = el('p', {class: 'stats'});
      this.bands = el('p', {class: 'stats'});
      this.note = el('p', {class: 'note error', role: 'alert', hidden: true});
      this.keep = button('Keep this answer', () => keep(this), {hidden: true});
      this.node = el('section', {class: 'side', 'aria-label': name},
          el('label', {}, name, this.field), this.check, this.bar, this.body,
          this.note, this.stats, this.bands, this.keep);
      this.markdown = new Markdown.View(this.body);
      this.frame = oncePerFrame(() => this.draw());
      this.look = Schemes.watch(
          [this.field], () => [this.position, contextOfLast()], this.check);
    }

    get position() { return this.field.value.trim(); }

    start(body) {
      this.markdown.clear();
      if (this.position) body.position = this.position; else delete body.position;
      this.run = new Run(body, Models.isChat, () => {
        if (this.run.isOver) this.frame.now(); else this.frame.ask();
      });
      this.frame.now();
      return this.run.go();
    }

    draw() {
      const {run} = this;
      this.markdown.set(run.text);
      this.bar.hidden = run.isOver || run.phase === 'writing';
      if (run.phase === 'waiting') this.bar.removeAttribute('value');
      else this.bar.value = run.toRead ? Math.min(1, run.read / run.toRead) : 1;
      this.node.setAttribute('aria-busy', !run.isOver);
      this.note.hidden = !run.error;
      this.note.textContent = run.error || '';
      this.stats.textContent = this.statsNow();
      this.bands.textContent = (run.bands || []).map(
          ({label, tokens}) => `${counted(tokens)} ${label}`).join(' · ');
      this.keep.hidden = !(run.phase === 'done' && run.text);
    }

    statsNow() {
      const {run} = this;
      if (run.phase === 'reading') return run.readingText;
      if (run.phase === 'writing') {
        return `${tokensText(run.written)}, ${durationText(performance.now() - run.startedAt)}`;
      }
      if (!run.isOver) return 'Waiting for the server';
      const took = durationText(run.endedAt - run.startedAt);
      if (run.error) return '';
      const stopped = run.phase === 'stopped' ? 'stopped · ' : '';
      return stopped + [statsText(run.extras), `${took} in all`].filter(Boolean).join(' · ');
    }
  }

  // What the last answer had: the server gives both answers the same, unless
  // they are longer.
  const contextOfLast = () => Chat.current.context ||
      String(Chat.current.messages.findLast((m) => m.extras)?.extras.context ?? '');

  function lastTurn() {
    const {messages} = Chat.current;
    const last = messages.findLastIndex((message) => message.role === 'user');
    return messages.slice(0, last + 1);
  }

  function open() {
    if (!lastTurn().length) {
      Notice.show('There is no turn to compare yet: ask something first.', {for_ms: 8000});
      return;
    }
    if (!sides.length) build();
    const [one, two] = sides;
    const now = Chat.current.position || Models.facts.position || 'auto';
    one.field.value = now;
    two.field.value ||= now === 'rope' ? 'auto' : 'rope';
    byId('scheme-names').replaceChildren(
        ...['auto', ...Schemes.names()].map((name) => el('option', {value: name})));
    for (const side of sides) side.look();
    byId('compare-dialog').showModal();
    one.field.focus();
  }

  function build() {
    sides.push(new Side('First scheme'), new Side('Second scheme'));
    byId('compare-columns').append(el('datalist', {id: 'scheme-names'}),
                                   ...sides.map((side) => side.node));
  }

  async function run() {
    if (isRunning()) return;
    // The seed is drawn here, so that the schemes alone differ.
    const body = Chat.bodyFor(Chat.current, lastTurn());
    body.seed ??= Math.floor(Math.random() * 2 ** 31);
    showRunning(true);
    await Promise.all(sides.map((side) => side.start({...body})));
    showRunning(false);
    Live.say('Both answers are finished.');
  }

  const isRunning = () => sides.some((side) => side.run && !side.run.isOver);

  function showRunning(isOn) {
    byId('compare-run').hidden = isOn;
    byId('compare-stop').hidden = !isOn;
    for (const side of sides) side.field.readOnly = isOn;
    if (byId('compare-dialog').open) byId(isOn ? 'compare-stop' : 'compare-run').focus();
  }

  function stop() {
    for (const side of sides) side.run?.stop();
  }

  // The answer takes the place of the last one, and the chat goes on under its
  // scheme.
  function keep(side) {
    const turn = lastTurn();
    const next = Chat.current.messages[turn.length];
    if (next) Chat.cutFrom(next);
    Chat.add({role: 'assistant', text: side.run.text, extras: side.run.extras,
              finish: side.run.finish});
    Schemes.set(side.position, Chat.current.context);
    byId('compare-dialog').close();
    byId('entry').focus();
  }

  function listen() {
    byId('open-compare').addEventListener('click', () => {
      byId('scheme-dialog').close();
      open();
    });
    byId('compare-form').addEventListener('submit', (event) => {
      event.preventDefault();
      run();
    });
    byId('compare-stop').addEventListener('click', stop);
    byId('compare-close').addEventListener('click', () => byId('compare-dialog').close());
    byId('compare-dialog').addEventListener('cancel', (event) => {
      // The first Esc stops, the second closes.
      if (!isRunning()) return;
      event.preventDefault();
      stop();
    });
    byId('compare-dialog').addEventListener('close', stop);
  }

  return {open, listen};
})();
