'use strict';
// Conversations and choices, kept by the browser. A conversation is
//
//   id, title, updated
//   system                  text, '' for none
//   settings                fields of a request by name
//   position, context       as typed, '' for the server's
//   memories                ids
//   messages                {role: 'user', text, documents: [{name, text, tokens}]}
//                           {role: 'assistant', text, extras, finish, note, error}

const Store = (() => {
  const PREFIX = 'ropewalk.chat.';
  const CHOICE = 'ropewalk.choice.';
  const conversations = [];
  let hasRoom = true;

  function load() {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(PREFIX)) continue;
      try {
        const kept = JSON.parse(localStorage.getItem(key));
        if (kept.messages.every(isMessage)) conversations.push({...blank(), ...kept});
      } catch {}  // damaged: passed over, and left as it is
    }
    sort();
  }

  const isMessage = (message) => typeof message.text === 'string' &&
      ['user', 'assistant'].includes(message.role);

  function sort() { conversations.sort((a, b) => b.updated - a.updated); }

  function blank() {
    return {
      id: Date.now().toString(36) + Math.random().toString(36).slice(2, 8),
      title: '', updated: Date.now(), system: '', settings: {}, position: '',
      context: '', memories: [], messages: [],
    };
  }

  // A new conversation has the settings of `like`, not its messages. It is kept
  // from its first message on.
  function create(like) {
    const made = blank();
    if (like) {
      Object.assign(made, {
        system: like.system, settings: {...like.settings},
        position: like.position, context: like.context,
      });
    }
    return made;
  }

  function save(conversation) {
    if (!conversation.messages.length) return;
    conversation.updated = Date.now();
    if (!conversations.includes(conversation)) conversations.push(conversation);
    sort();
    try {
      localStorage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
      hasRoom = true;
    } catch {
      // What lies there is older than what is shown, so it is better gone.
      localStorage.removeItem(PREFIX + conversation.id);
      if (hasRoom) {
        Notice.show('The browser has no room left for this chat: it lasts until ' +
                    'this page is closed. Export it, or delete others.',
                    {kind: 'error'});
      }
      hasRoom = false;
    }
  }

  function remove(conversation) {
    const at = conversations.indexOf(conversation);
    if (at >= 0) conversations.splice(at, 1);
    localStorage.removeItem(PREFIX + conversation.id);
  }

  // What `ropewalk chat` loads: {"model", "messages"}.
  function exported(conversation, model) {
    const messages = conversation.messages.filter((m) => m.role === 'user' || m.text)
        .map((m) => ({
          role: m.role, content: contentOf(m),
          ...(m.extras ? {ropewalk: m.extras} : {}),
        }));
    if (conversation.system) {
      messages.unshift({role: 'system', content: conversation.system});
    }
    return JSON.stringify({model, title: conversation.title, messages}, null, 2);
  }

  // What the model gets of a message.
  function contentOf(message) {
    const documents = (message.documents || []).map(
        ({name, text}) => `${name}:\n\n${text}\n\n`);
    return documents.join('') + message.text;
  }

  function titleOf(conversation) {
    const first = conversation.messages[0];
    const text = first?.text.trim() || first?.documents?.[0]?.name || 'New chat';
    return text.length > 60 ? text.slice(0, 57) + '...' : text;
  }

  return {
    conversations, load, create, save, remove, exported, contentOf, titleOf,
    choice: (name) => localStorage.getItem(CHOICE + name),
    choose(name, value) {
      try {
        localStorage.setItem(CHOICE + name, value);
      } catch {}  // no room: it holds until the page is closed
    },
  };
})();

// The fields of a request that a person may set, in the order of the dialog.
const SETTINGS = [
  {name: 'temperature', label: 'Temperature', least: 0, most: 10,
   help: '0 takes the most likely token'},
  {name: 'top_p', label: 'Top p', least: 0, most: 1,
   help: 'keeps the likeliest tokens of this probability'},
  {name: 'max_tokens', label: 'Longest answer', least: 1, whole: true,
   help: 'in tokens'},
  {name: 'seed', label: 'Seed', least: 0, whole: true,
   help: 'the same seed gives the same answer'},
  {name: 'frequency_penalty', label: 'Frequency penalty', least: -2, most: 2,
   help: 'against tokens that come often'},
  {name: 'presence_penalty', label: 'Presence penalty', least: -2, most: 2,
   help: 'against tokens that came at all'},
  {name: 'stop', label: 'Stop at', text: true,
   help: 'texts that end the answer, a line each'},
];
