'use strict';
// Elements and texts that every part of the page uses. Nothing here or
// elsewhere parses HTML: what a model or a document says becomes text nodes.

// An element with attributes and children. `on` holds listeners; false, null
// and undefined leave an attribute or a child out.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) {
        node.addEventListener(event, listener);
      }
    } else {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  node.append(...children.filter((child) => child || child === 0));
  return node;
}

function button(label, listener, attributes = {}) {
  return el('button', {type: 'button', on: {click: listener}, ...attributes},
            label);
}

const byId = (id) => document.getElementById(id);

const counted = (n) => Number(n).toLocaleString('en');

const tokensText = (n) => `${counted(n)} token${n === 1 ? '' : 's'}`;

function durationText(ms) {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

function rateText(tokens, ms) {
  if (!(ms > 0) || !(tokens > 0)) return '';
  const rate = tokens * 1000 / ms;
  return `${rate < 100 ? rate.toFixed(1) : counted(Math.round(rate))} tokens/s`;
}

function bytesText(bytes) {
  if (bytes < 1e6) return `${counted(Math.max(1, Math.round(bytes / 1e3)))} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

// Copies and says so on the button. Clipboards are closed to pages that come
// over plain HTTP from another machine, so there is the older way too.
async function copyText(text, from) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el('textarea', {class: 'unseen', tabindex: -1});
    area.value = text;
    (from.closest('dialog') || document.body).append(area);
    area.select();
    copied = document.execCommand('copy');
    area.remove();
    from.focus();
  }
  const label = from.textContent;
  from.textContent = copied ? 'Copied' : 'Could not copy';
  setTimeout(() => { from.textContent = label; }, 1500);
}

// One line above the conversation, with a button where there is something to
// do. A new notice takes the place of the old one.
const Notice = (() => {
  let timer = 0;

  function hide() {
    clearTimeout(timer);
    byId('notice').hidden = true;
    byId('notice').replaceChildren();
  }

  //   kind      'error' or 'info'
  //   action    {label, run}
  //   for_ms    0 keeps it until it is closed
  function show(text, {kind = 'info', action = null, for_ms = 0} = {}) {
    hide();
    const notice = byId('notice');
    notice.className = kind;
    notice.setAttribute('role', kind === 'error' ? 'alert' : 'status');
    notice.append(el('span', {class: 'grow'}, text));
    if (action) {
      notice.append(button(action.label, () => { hide(); action.run(); }));
    }
    notice.append(button('Close', hide, {class: 'quiet'}));
    notice.hidden = false;
    if (for_ms) timer = setTimeout(hide, for_ms);
  }

  return {show, hide};
})();

// What a screen reader says while the page works. Lines are kept so that none
// is lost when several come at once.
const Live = {
  say(text) {
    const region = byId('live');
    region.append(el('p', {}, text));
    while (region.childElementCount > 20) region.firstElementChild.remove();
  },
};

// Calls `draw` at most once a frame; a hidden tab has no frames, but timers.
function oncePerFrame(draw) {
  let waiting = false;
  const run = () => {
    if (!waiting) return;
    waiting = false;
    draw();
  };
  return {
    ask() {
      if (waiting) return;
      waiting = true;
      if (document.hidden) setTimeout(run, 100); else requestAnimationFrame(run);
    },
    now() {
      waiting = true;
      run();
    },
  };
}

function afterPause(ms, work) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), ms);
  };
}

function isTyping(target) {
  return target.closest?.('input, textarea, select, [contenteditable]') !== null;
}
