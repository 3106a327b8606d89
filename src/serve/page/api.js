'use strict';
// Requests to the server that this page came from, with the key that it asks
// for and errors that say what to do.

class ServerError extends Error {
  //   status  of HTTP; 0 where no answer came
  //   param   the field that the server names, or ''
  constructor(message, {status = 0, param = '', code = ''} = {}) {
    super(message);
    this.status = status;
    this.param = param;
    this.code = code;
  }
}

const Api = (() => {
  const KEY = 'ropewalk.key';
  let asking = null;  // the dialog that is open for a key, if any

  function headers(more = {}) {
    const key = sessionStorage.getItem(KEY);
    return key ? {...more, Authorization: `Bearer ${key}`} : more;
  }

  // Asks once, however many requests wait for it. Resolves to whether there is
  // another key to try.
  function askForKey(hasFailed) {
    asking ??= new Promise((resolve) => {
      const dialog = byId('key-dialog');
      byId('key-text').value = '';
      byId('key-check').textContent =
          hasFailed ? 'The server does not know the last key.' : '';
      dialog.returnValue = '';
      dialog.addEventListener('close', () => {
        const key = byId('key-text').value.trim();
        asking = null;
        const isGiven = dialog.returnValue === 'use' && key !== '';
        if (isGiven) sessionStorage.setItem(KEY, key);
        resolve(isGiven);
      }, {once: true});
      dialog.showModal();
      byId('key-text').focus();
    });
    return asking;
  }

  // The response, whose status is 2xx. Throws ServerError, or AbortError where
  // `signal` ended it.
  async function request(path, {method = 'GET', json, form, signal} = {}) {
    for (;;) {
      const used = sessionStorage.getItem(KEY);
      let response;
      try {
        response = await fetch(path, {
          method,
          signal,
          cache: 'no-store',
          headers: headers(json ? {'Content-Type': 'application/json'} : {}),
          body: json ? JSON.stringify(json) : form,
        });
      } catch (error) {
        if (error.name === 'AbortError') throw error;
        throw new ServerError(
            'The server does not answer. Look whether it still runs, then try again.');
      }
      if (response.ok) return response;
      if (response.status === 401) {
        // Another request may have got a new key meanwhile.
        const isNew = sessionStorage.getItem(KEY) !== used;
        if (isNew || await askForKey(used !== null)) continue;
        throw new ServerError('This server wants a key. Try again to type one.',
                              {status: 401});
      }
      throw await errorOf(response);
    }
  }

  async function errorOf(response) {
    let body = null;
    try {
      body = await response.json();
    } catch {}  // an error page of something in between
    return fromBody(body?.error, response.status);
  }

  // What the server says, and what to do where its message leaves that open.
  function fromBody(error, status) {
    const said = typeof error === 'string' ? error : error?.message;
    const details = {status, param: error?.param || '', code: error?.code || ''};
    let message = sentence(said || `The server answered with status ${status}`);
    if (status === 413) {
      message += ' Remember a long text as a memory instead.';
    } else if (status === 429 || status === 503) {
      message += ' The server is busy: try again in a moment.';
    } else if (status >= 500) {
      message = `The server failed on this request. ${message} Try again.`;
    }
    return new ServerError(message, details);
  }

  const sentence = (text) =>
      text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');

  const getJson = async (path, options) => (await request(path, options)).json();

  // The events of a stream, parsed. Ends at [DONE] and throws ServerError where
  // an event is an error or the connection ends before.
  async function* events(path, json, signal) {
    const response = await request(path, {method: 'POST', json, signal});
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for (;;) {
        let part;
        try {
          part = await reader.read();
        } catch (error) {
          if (error.name === 'AbortError') throw error;
          throw new ServerError(
              'The connection broke before the answer ended. Try again.');
        }
        rest += decoder.decode(part.value, {stream: !part.done});
        const lines = rest.split(/\r?\n/);
        rest = lines.pop();
        for (const line of lines) {
          if (!line.startsWith('data:')) continue;
          const data = line.slice(5).trim();
          if (data === '[DONE]') return;
          const event = parseEvent(data);
          if (event.error) throw fromBody(event.error, event.error.status || 0);
          yield event;
        }
        if (part.done) {
          throw new ServerError(
              'The connection ended before the answer did. Try again.');
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  function parseEvent(data) {
    try {
      return JSON.parse(data);
    } catch {
      throw new ServerError('The server sent what is no JSON. Try again.');
    }
  }

  async function countTokens(text, signal) {
    const body = await getJson(
        '/tokenize', {method: 'POST', json: {content: text}, signal});
    return body.tokens.length;
  }

  return {request, getJson, events, countTokens};
})();

// The models of the server and the one in use.
const Models = {
  all: [],
  current: null,

  async load() {
    const {data} = await Api.getJson('/v1/models');
    this.all = data;
    this.current = data.find((model) => model.id === this.current?.id) || data[0] || null;
  },

  // What the server tells beyond the standard: trained_length and so on.
  get facts() { return this.current?.ropewalk || {}; },
  get isChat() { return this.facts.chat !== false; },
};
