'use strict';
// How full the context is: what was known, read and written, in which band of
// the scheme it lies, and where the trained length ends.

const Gauge = (() => {
  let drawn = '';

  // What the gauge shows of a run, or of the last answer of a conversation.
  //
  //   run       null where none goes on
  function show(conversation, run) {
    const facts = Models.facts;
    const last = conversation.messages.findLast((m) => m.extras)?.extras;
    const extras = run ? run.extras || {} : last || {};
    const trained = extras.trained_length ?? facts.trained_length ?? 0;
    // A fixed scale: the server gives a chat a longer context when it needs one.
    const context = lengthOf(conversation.context) ||
        Math.max(facts.context_length || trained || 1, extras.context || 0);
    const parts = run && !run.isOver ? liveParts(run) : restParts(run, extras);
    const used = parts.reduce((sum, part) => sum + (part.ahead ? 0 : part.tokens), 0);
    draw({parts, used, context, trained, now: extras.context || 0,
          scheme: extras.scheme || conversation.position || facts.position || 'auto',
          memories: (extras.memories || []).length});
  }

  // While a run goes on, the bands as the server last told them, else what was
  // known, what is read and what is ahead.
  function liveParts(run) {
    const writing = {label: 'written', tokens: run.written, shade: 'new'};
    if (run.bands && run.phase === 'writing') {
      const since = run.prompt + run.written - run.bandsOf;
      const parts = bandParts(run.bands, run.bandsOf);
      return since > 0 ? [...parts, {...writing, tokens: since}] : parts;
    }
    const read = Math.min(run.read, run.toRead);
    const isRead = run.phase === 'writing';
    return [
      {label: 'known', tokens: run.reused, shade: 'band-2'},
      {label: 'read', tokens: isRead ? run.toRead : read, shade: 'band-1'},
      {label: 'to read', tokens: isRead ? 0 : run.toRead - read, shade: 'ahead',
       ahead: true},
      writing,
    ].filter((part) => part.tokens > 0);
  }

  function restParts(run, extras) {
    const bands = run?.bands || extras.bands;
    const prompt = extras.prompt_tokens ?? run?.prompt ?? 0;
    const written = extras.generated_tokens ?? run?.written ?? 0;
    if (bands?.length) return bandParts(bands, prompt + written);
    return [
      {label: 'read', tokens: prompt, shade: 'band-1'},
      {label: 'written', tokens: written, shade: 'new'},
    ].filter((part) => part.tokens > 0);
  }

  // Of `total` tokens; the far ones first, as they stand in the text. What no
  // band has, such as what a window has left behind, is out of sight.
  function bandParts(bands, total) {
    const parts = bands.map(({label, tokens}, i) => ({
      label, tokens, shade: `band-${Math.min(i + 1, 4)}`,
    }));
    const seen = parts.reduce((sum, part) => sum + part.tokens, 0);
    // The last token that was written has not been read yet.
    if (total > seen + 1) {
      parts.push({label: 'out of sight', tokens: total - seen, shade: 'gone'});
    }
    return parts.filter((part) => part.tokens > 0).reverse();
  }

  function draw({parts, used, context, trained, now, scheme, memories}) {
    // Unchanged numbers touch nothing, so that a stream costs little.
    const shown = JSON.stringify([parts, context, trained, now, scheme, memories]);
    if (shown === drawn) return;
    drawn = shown;
    const bar = byId('gauge-bar');
    const width = (tokens) => `${Math.min(100, 100 * tokens / context)}%`;
    byId('gauge-parts').replaceChildren(...parts.map((part) => {
      const node = el('span', {class: `part ${part.shade}`});
      node.style.width = width(part.tokens);
      return node;
    }));
    const mark = byId('gauge-mark');
    mark.hidden = !(trained > 0 && trained < context);
    mark.style.left = width(trained);
    const legend = parts.map((part) => el(
        'span', {class: 'key'}, el('i', {class: `part ${part.shade}`}),
        `${counted(part.tokens)} ${part.label}`));
    const share = Math.round(100 * used / context);
    byId('gauge-text').replaceChildren(...[
      el('span', {class: 'key'}, `${counted(used)} of ${tokensText(context)}`),
      trained > 0 && el('span', {class: 'key'},
          !mark.hidden && el('i', {class: 'tick'}), `trained to ${counted(trained)}`),
      el('span', {class: 'key'},
         now && now < context ? `${scheme} at ${counted(now)}` : scheme),
      memories > 0 && el('span', {class: 'key'},
          `${memories} memor${memories === 1 ? 'y' : 'ies'}`),
      ...legend,
    ].filter(Boolean));
    bar.setAttribute('aria-valuemax', context);
    bar.setAttribute('aria-valuenow', Math.min(used, context));
    bar.setAttribute('aria-valuetext',
        `${counted(used)} of ${tokensText(context)}, ${share} percent` +
        (trained ? `; trained to ${counted(trained)}` : '') + `; scheme ${scheme}`);
  }

  return {show};
})();

// 16k -> 16384; 0 for what is no length.
function lengthOf(text) {
  const found = /^(\d{1,9})(k?)$/i.exec(String(text).trim());
  return found ? Number(found[1]) * (found[2] ? 1024 : 1) : 0;
}
