'use strict';
// What the page does first, its dialogs and its keys.

const Sidebar = {
  toggle(isOpen) {
    byId('sidebar').classList.toggle('open', isOpen);
    byId('shade').hidden = !isOpen;
    byId('open-sidebar').setAttribute('aria-expanded', isOpen);
  },
  get isOpen() { return byId('sidebar').classList.contains('open'); },
  open() { this.toggle(true); byId('close-sidebar').focus(); },
  close() { if (this.isOpen) this.toggle(false); },
  listen() {
    byId('open-sidebar').addEventListener('click', () => this.open());
    for (const id of ['close-sidebar', 'shade']) {
      byId(id).addEventListener('click', () => {
        this.close();
        byId('open-sidebar').focus();
      });
    }
  },
};

const Theme = {
  names: ['system', 'light', 'dark'],
  show(name) {
    if (name === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    byId('theme').textContent = `Theme: ${name}`;
  },
  listen() {
    let name = Store.choice('theme') || 'system';
    if (!this.names.includes(name)) name = 'system';
    this.show(name);
    byId('theme').addEventListener('click', () => {
      name = this.names[(this.names.indexOf(name) + 1) % this.names.length];
      Store.choose('theme', name);
      this.show(name);
    });
  },
};

const Settings = {
  listen() {
    byId('settings-fields').append(...SETTINGS.map((setting) => {
      const id = `setting-${setting.name}`;
      const field = setting.text
          ? el('textarea', {id, rows: 2})
          : el('input', {id, inputmode: 'decimal', autocomplete: 'off'});
      field.placeholder = setting.text ? 'none' : 'server\'s';
      return el('label', {}, setting.label, field,
                el('span', {class: 'muted'}, setting.help));
    }));
    byId('open-settings').addEventListener('click', () => this.open());
    const form = byId('settings-dialog').querySelector('form');
    form.addEventListener('submit', (event) => {
      if (!this.take()) event.preventDefault();
    });
  },

  open() {
    const {system, settings} = Chat.current;
    byId('system').value = system;
    for (const {name, text} of SETTINGS) {
      const value = settings[name] ?? '';
      byId(`setting-${name}`).value = text && value ? value.join('\n') : value;
    }
    byId('settings-check').textContent = '';
    byId('settings-dialog').showModal();
  },

  // False, with a line that says why, if a field has no value of its kind.
  take() {
    const settings = {};
    for (const setting of SETTINGS) {
      const text = byId(`setting-${setting.name}`).value;
      if (!text.trim()) continue;
      if (setting.text) {
        settings[setting.name] = text.split('\n').filter(Boolean);
        continue;
      }
      const value = Number(text);
      const {label, least, most = Infinity, whole} = setting;
      if (!Number.isFinite(value) || value < least || value > most ||
          (whole && !Number.isSafeInteger(value))) {
        const line = byId('settings-check');
        line.className = 'check bad';
        line.textContent = `${label} must be a ${whole ? 'whole number' : 'number'} ` +
            (most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`) +
            `, not '${text.trim()}'.`;
        byId(`setting-${setting.name}`).focus();
        return false;
      }
      settings[setting.name] = value;
    }
    Object.assign(Chat.current, {settings, system: byId('system').value.trim()});
    Store.save(Chat.current);
    return true;
  },
};

const Keys = {
  all: [
    ['Enter', 'sends the message'],
    ['Shift + Enter', 'a new line'],
    ['Esc', 'stops the answer; closes what is open'],
    ['Ctrl + K', 'a new chat'],
    ['?', 'shows this, outside of a text field'],
    ['Tab', 'goes to the next field or button'],
  ],
  open() { byId('keys-dialog').showModal(); },
  listen() {
    byId('keys-list').append(...this.all.flatMap(
        ([key, does]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, does)]));
    byId('show-keys').addEventListener('click', () => this.open());
    document.addEventListener('keydown', (event) => {
      if (event.isComposing || event.defaultPrevented) return;
      const isInDialog = document.querySelector('dialog[open]') !== null;
      if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        if (!isInDialog) Chat.start();
      } else if (event.key === '?' && !isInDialog && !isTyping(event.target)) {
        event.preventDefault();
        this.open();
      } else if (event.key === 'Escape' && !isInDialog) {
        if (!Chat.stop()) Sidebar.close();
      }
    });
  },
};

// Enter in a field submits by the first button that can, so those that close a
// dialog cannot.
function listenToCancel() {
  for (const cancel of document.querySelectorAll('[data-close]')) {
    cancel.addEventListener('click', () => cancel.closest('dialog').close());
  }
}

function exportChat() {
  const text = Store.exported(Chat.current, Models.current?.id);
  const address = URL.createObjectURL(new Blob([text], {type: 'application/json'}));
  const name = Store.titleOf(Chat.current).replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40);
  el('a', {href: address, download: `${name || 'chat'}.json`}).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function drawModels() {
  const select = byId('model');
  select.replaceChildren(...Models.all.map(
      (model) => el('option', {value: model.id}, model.id)));
  select.value = Models.current?.id ?? '';
  select.disabled = Models.all.length < 2;
}

// What needs the server; may be called again where it failed.
async function connect() {
  try {
    await Models.load();
    Notice.hide();
  } catch (error) {
    Notice.show(error.message, {kind: 'error', action: {label: 'Try again', run: connect}});
    return;
  }
  drawModels();
  Chat.open(Chat.current);
  await Promise.all([Schemes.load(), Memories.load()]);
  byId('app').removeAttribute('aria-busy');
}

function main() {
  Store.load();
  for (const part of [Sidebar, Theme, Settings, Keys, Schemes, Documents, Memories,
                      Compare, Server, Chat]) {
    part.listen();
  }
  listenToCancel();
  byId('new-chat').addEventListener('click', Chat.start);
  byId('export').addEventListener('click', exportChat);
  byId('model').addEventListener('change', (event) => {
    Models.current = Models.all.find((model) => model.id === event.target.value);
    Chat.open(Chat.current);
  });
  Chat.open(Store.conversations[0] || Store.create());
  byId('entry').focus();
  connect();
}

main();
