'use strict';
// The conversation on screen: sends, stops, edits, regenerates. An answer goes
// on when another conversation is opened, and is there when one comes back.

const Chat = (() => {
  const SAVE_MS = 1000;

  let current = null;
  let views = new Map();    // message -> view, of what is on screen
  const runs = new Map();   // conversation -> its run that goes on

  const runOf = (conversation) => runs.get(conversation) || null;

  function open(conversation) {
    current = conversation;
    views = new Map();
    byId('log').replaceChildren();
    for (const message of conversation.messages) addView(message);
    drawEmpty();
    drawHead();
    drawList();
    Memories.draw();
    scrollToEnd();
  }

  function drawEmpty() {
    if (current.messages.length) {
      byId('log').querySelector('.empty')?.remove();
      return;
    }
    const {trained_length: trained, context_length: context} = Models.facts;
    const lengths = trained && context && context > trained
        ? `It was trained on ${tokensText(trained)} and reads up to ${counted(context)} here.`
        : context ? `It reads up to ${tokensText(context)} here.` : '';
    byId('log').replaceChildren(el('div', {class: 'empty'},
        el('h1', {}, Models.current?.id || 'Ropewalk'),
        el('p', {}, lengths),
        el('p', {}, Models.isChat
            ? 'Ask something, or drop a long text and ask about it.'
            : 'This model goes on with a text; it was not made to answer. Begin one.')));
  }

  function addView(message) {
    const view = message.role === 'user'
        ? new UserView(message, {edit: (text) => edit(message, text)})
        : new AnswerView(message, {
            regenerate: () => regenerate(message),
            compare: () => Compare.open(),
            changeScheme: () => byId('open-scheme').click(),
          });
    views.set(message, view);
    if (message.role !== 'user') view.update(liveRunOf(message));
    byId('log').append(view.node);
    return view;
  }

  const liveRunOf = (message) =>
      current.messages.at(-1) === message ? runOf(current) : null;

  function drawHead() {
    const isLive = runOf(current) !== null;
    byId('send').hidden = isLive;
    byId('stop').hidden = !isLive;
    byId('scheme-name').textContent =
        current.position || Models.facts.position || 'auto';
    byId('entry').placeholder = Models.isChat ? 'Ask, or drop a text here'
                                              : 'Begin a text that the model goes on with';
    document.title = current.messages.length
        ? `${Store.titleOf(current)} · Ropewalk` : 'Ropewalk';
    Gauge.show(current, runOf(current));
  }

  function drawList() {
    const list = byId('conversations');
    list.replaceChildren(...Store.conversations.map((conversation) => el('li', {},
        el('button', {
          type: 'button', class: 'open grow', title: Store.titleOf(conversation),
          'aria-current': conversation === current && 'page',
          on: {click: () => { open(conversation); Sidebar.close(); byId('entry').focus(); }},
        }, Store.titleOf(conversation)),
        button('Delete', () => remove(conversation), {
          class: 'quiet', 'aria-label': `Delete the chat ${Store.titleOf(conversation)}`,
        }))));
  }

  function remove(conversation) {
    runOf(conversation)?.stop();
    Store.remove(conversation);
    if (conversation === current) start(); else drawList();
    Notice.show('The chat is deleted.', {for_ms: 10000, action: {
      label: 'Undo', run: () => { Store.save(conversation); open(conversation); },
    }});
  }

  function start() {
    open(Store.create(current));
    Sidebar.close();
    byId('entry').focus();
  }

  function send() {
    if (runOf(current)) return;
    const text = byId('entry').value;
    const documents = Documents.pending;
    if (!text.trim() && !documents.length) return;
    byId('entry').value = '';
    fitHeight(byId('entry'));
    add({role: 'user', text, documents: Documents.take()});
    answer();
  }

  function add(message) {
    current.messages.push(message);
    drawEmpty();
    return addView(message);
  }

  // Cuts `message` and all behind it.
  function cutFrom(message) {
    runOf(current)?.stop();
    runs.delete(current);
    const at = current.messages.indexOf(message);
    for (const cut of current.messages.splice(at)) {
      views.get(cut)?.node.remove();
      views.delete(cut);
    }
  }

  function edit(message, text) {
    if (!text.trim() && !message.documents?.length) return;
    cutFrom(message);
    add({...message, text});
    answer();
    byId('entry').focus();
  }

  function regenerate(message) {
    cutFrom(message);
    answer((message.tries || 0) + 1);
    byId('entry').focus();
  }

  // The fields of a request for the next answer to `messages`.
  //
  //   tries   answers to it before this one: a fixed seed moves on by so many
  function bodyFor(conversation, messages, tries = 0) {
    const {settings, position, context, system} = conversation;
    const body = {model: Models.current?.id, ...settings};
    if (body.seed !== undefined) body.seed += tries;
    if (position) body.position = position;
    if (context) body.context = lengthOf(context);
    const memories = Memories.attached(conversation);
    if (memories.length) body.memories = memories;
    if (!Models.isChat) {
      body.prompt = answeredTurns(messages).map(Store.contentOf).join('');
      return body;
    }
    body.messages = answeredTurns(messages).map(
        (message) => ({role: message.role, content: Store.contentOf(message)}));
    if (system) body.messages.unshift({role: 'system', content: system});
    return body;
  }

  // Without the turns that got no answer, the last apart: many templates want
  // user and assistant in turn, and what was too long stays too long.
  function answeredTurns(messages) {
    return messages.filter((message, i) => message.role === 'user'
        ? i === messages.length - 1 || messages[i + 1].text : message.text);
  }

  function answer(tries = 0) {
    const conversation = current;
    const body = bodyFor(conversation, conversation.messages, tries);
    const message = {role: 'assistant', text: '', tries};
    add(message);
    for (const view of views.values()) view.showNote?.();
    Store.save(conversation);
    const save = oncePer(SAVE_MS, () => Store.save(conversation));
    const frame = oncePerFrame(() => draw(conversation, message, run));
    let phase = '';
    const run = new Run(body, Models.isChat, () => {
      message.text = run.text;
      if (run.phase !== phase) {
        phase = run.phase;
        announce(conversation, run);
      }
      if (run.isOver) {
        finish(conversation, message, run);
        frame.now();
      } else {
        save();
        frame.ask();
      }
    });
    runs.set(conversation, run);
    drawHead();
    drawList();
    scrollToEnd();
    run.go();
  }

  function finish(conversation, message, run) {
    Object.assign(message, {extras: run.extras, finish: run.finish});
    if (run.phase === 'failed') {
      message.error = run.error;
      message.isAboutScheme = ['position', 'context'].includes(run.failure.param) ||
          run.failure.code === 'context_length_exceeded';
    } else if (run.phase === 'stopped') {
      message.note = 'You stopped this answer.';
    } else if (!run.text && !run.finish?.startsWith('tool')) {
      message.note = 'The model ended without a word.';
    }
    if (runs.get(conversation) === run) runs.delete(conversation);
    // A run that was cut off has no place in the conversation any more.
    if (conversation.messages.includes(message) &&
        Store.conversations.includes(conversation)) {
      Store.save(conversation);
    }
  }

  function announce(conversation, run) {
    if (conversation !== current) return;
    if (run.phase === 'reading') Live.say('Reading.');
    if (run.phase === 'done') Live.say(`Answer finished, ${tokensText(run.written)}.`);
    if (run.phase === 'stopped') Live.say('Stopped.');
  }

  function draw(conversation, message, run) {
    const view = conversation === current && views.get(message);
    if (!view) return;
    const follows = isAtEnd();
    for (const text of view.update(run)) Live.say(text);
    if (run.isOver) {
      if (Models.isChat && message.text) Live.say(view.body.lastElementChild?.textContent || '');
      drawHead();
      drawList();
    } else {
      Gauge.show(conversation, run);
    }
    if (follows) scrollToEnd(); else byId('to-end').hidden = false;
  }

  function stop() {
    const run = runOf(current);
    run?.stop();
    if (run) byId('entry').focus();
    return run !== null;
  }

  function isAtEnd() {
    const scroll = byId('scroll');
    return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  }

  function scrollToEnd() {
    byId('scroll').scrollTop = byId('scroll').scrollHeight;
    byId('to-end').hidden = true;
  }

  function listen() {
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      send();
    });
    const entry = byId('entry');
    entry.addEventListener('input', () => fitHeight(entry));
    entry.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      send();
    });
    byId('stop').addEventListener('click', stop);
    byId('to-end').addEventListener('click', scrollToEnd);
    byId('scroll').addEventListener('scroll', () => {
      if (isAtEnd()) byId('to-end').hidden = true;
    });
    addEventListener('pagehide', () => {
      for (const conversation of runs.keys()) Store.save(conversation);
    });
  }

  // Of the conversation so far, at least one and as many as the server takes.
  function tokens() {
    const last = current.messages.findLast((message) => message.extras)?.extras || {};
    const sum = (last.prompt_tokens || 0) + (last.generated_tokens || 0);
    return Math.max(1, Math.min(sum, (Models.facts.context_length || sum) - 1));
  }

  return {open, start, stop, listen, drawHead, bodyFor, cutFrom, add, tokens,
          get current() { return current; }};
})();

// Calls `work` at most once in so many milliseconds, at their end.
function oncePer(ms, work) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      work();
    }, ms);
  };
}
