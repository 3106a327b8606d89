'use strict';
// How messages look: a view for each message of the conversation on screen.

// A message of the user. `actions` has edit(text).
class UserView {
  constructor(message, actions) {
    this.message = message;
    this.actions = actions;
    this.node = el('article', {class: 'message user', 'aria-label': 'You'});
    this.show();
  }

  show() {
    const {message} = this;
    const copy = button('Copy', () => copyText(message.text, copy), {class: 'quiet'});
    const edit = button('Edit', () => this.edit(), {class: 'quiet'});
    this.node.replaceChildren(
        ...(message.documents || []).map((doc) => Documents.chipOf(doc)),
        el('div', {class: 'bubble'}, message.text),
        el('div', {class: 'actions'}, edit, copy));
    this.editButton = edit;
  }

  edit() {
    const area = el('textarea', {'aria-label': 'The message in other words', rows: 2});
    area.value = this.message.text;
    const cancel = () => {
      this.show();
      this.editButton.focus();
    };
    const send = () => this.actions.edit(area.value);
    area.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Enter' && !event.shiftKey) {
        event.preventDefault();
        send();
      } else if (event.key === 'Escape') {
        event.stopPropagation();
        cancel();
      }
    });
    area.addEventListener('input', () => fitHeight(area));
    this.node.querySelector('.bubble').replaceWith(area);
    this.node.querySelector('.actions').replaceChildren(
        el('span', {class: 'muted grow'}, 'What follows it is asked anew.'),
        button('Cancel', cancel, {class: 'quiet'}),
        button('Send', send, {class: 'strong'}));
    fitHeight(area);
    area.focus();
  }
}

function fitHeight(area) {
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight + 2, innerHeight * 0.4)}px`;
}

// An answer. Draws a run while there is one, else what was kept.
class AnswerView {
  //   actions   regenerate(), compare(), changeScheme()
  constructor(message, actions) {
    this.message = message;
    this.actions = actions;
    this.phase = '';
    this.bar = el('progress', {max: 1, 'aria-label': 'Reading the prompt'});
    this.readingLine = el('span', {});
    this.reading = el('div', {class: 'reading', hidden: true}, this.bar, this.readingLine);
    this.body = el('div', {class: 'text'});
    this.note = el('div', {class: 'note', hidden: true});
    this.stats = el('p', {class: 'stats'});
    this.copy = button('Copy', () => copyText(message.text, this.copy), {class: 'quiet'});
    this.again = button('Regenerate', actions.regenerate, {class: 'quiet'});
    this.buttons = el('div', {class: 'actions'}, this.copy, this.again,
        button('Compare schemes', actions.compare,
               {class: 'quiet compare', 'aria-haspopup': 'dialog'}));
    this.node = el('article', {class: 'message answer', 'aria-label': 'Answer'},
                   this.reading, this.body, this.note, this.stats, this.buttons);
    this.markdown = new Markdown.View(this.body);
  }

  // Returns the blocks of text that are finished since the last call.
  update(run) {
    const {message} = this;
    const isLive = Boolean(run && !run.isOver);
    this.node.setAttribute('aria-busy', isLive);
    this.node.classList.toggle('live', isLive);
    const finished = this.showText(message.text);
    this.reading.hidden = !(isLive && run.phase !== 'writing');
    if (!this.reading.hidden) this.showReading(run);
    this.buttons.hidden = isLive;
    this.copy.hidden = !message.text;
    this.again.hidden = Boolean(message.error);  // "Try again" does it
    this.stats.textContent = isLive ? this.liveStats(run) : statsText(message.extras);
    this.stats.hidden = this.stats.textContent === '';
    if (!isLive) this.showNote();
    return finished;
  }

  showText(text) {
    if (Models.isChat) return this.markdown.set(text);
    // A model that goes on with a text writes no markdown.
    this.body.classList.add('plain');
    this.body.textContent = text;
    return [];
  }

  showReading(run) {
    if (run.phase === 'waiting') {
      this.bar.removeAttribute('value');
      this.readingLine.textContent = 'Waiting for the server';
      return;
    }
    this.bar.value = run.toRead ? Math.min(1, run.read / run.toRead) : 1;
    this.readingLine.textContent = run.readingText;
  }

  liveStats(run) {
    if (run.phase !== 'writing') return '';
    const rate = rateText(run.written, performance.now() - run.writingSince);
    return `${tokensText(run.written)}${rate && ` at ${rate}`}`;
  }

  showNote() {
    const {message} = this;
    const said = message.error || message.note || noteOf(message);
    const isLeftOut = !message.text && this.node.nextSibling;
    const text = said && isLeftOut ? `${said} This turn is left out of what follows.`
                                   : said;
    this.note.hidden = !text;
    if (!text) return;
    this.note.className = message.error ? 'note error' : 'note';
    if (message.error) this.note.setAttribute('role', 'alert');
    else this.note.removeAttribute('role');
    this.note.replaceChildren(el('span', {class: 'grow'}, text));
    if (!message.error) return;
    if (message.isAboutScheme) {
      this.note.append(button('Change the scheme', this.actions.changeScheme));
    }
    this.note.append(button('Try again', this.actions.regenerate));
  }
}

// Why an answer ended, where it did not end by itself.
function noteOf({finish, extras}) {
  switch (finish) {
    case 'length': return extras?.end === 'context_full'
        ? 'The context is full. A longer one is set beside the scheme.'
        : 'The answer reached its longest length, which is in the settings.';
    case 'tool_calls': return 'The model asked for a tool, which this page has none of.';
    case 'content_filter': return 'The server ended this answer.';
    default: return '';
  }
}
