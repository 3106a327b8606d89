'use strict';
// One answer of the server, from the request to its last word. The chat and
// the comparison both watch this.

// A run has
//
//   phase     'waiting', 'reading', 'writing', 'done', 'stopped', 'failed'
//   text      of the answer so far
//   prompt    its tokens, of which `reused` were known before and `read` are
//             read by now
//   written   tokens of the answer; counted in pieces until the server says
//   bands     [{label, tokens}] as last told, when the text had `bandsOf` tokens
//   extras    what the server said at the end, under "ropewalk"
//   finish    'stop', 'length', ...
//   error     a line for people, if it failed
class Run {
  constructor(body, isChat, onChange) {
    Object.assign(this, {
      body, isChat, onChange, phase: 'waiting', text: '', prompt: 0, read: 0,
      reused: 0, written: 0, bands: null, bandsOf: 0, extras: null, finish: null, error: null,
      failure: null,
    });
    this.startedAt = performance.now();
    this.abort = new AbortController();
  }

  get isOver() { return ['done', 'stopped', 'failed'].includes(this.phase); }

  stop() { this.abort.abort(); }

  // Ends when the answer does, however that comes; never throws.
  async go() {
    const path = this.isChat ? '/v1/chat/completions' : '/v1/completions';
    const body = {...this.body, stream: true, return_progress: true,
                  stream_options: {include_usage: true}};
    try {
      for await (const event of Api.events(path, body, this.abort.signal)) {
        this.take(event);
        this.onChange(this);
      }
      this.phase = 'done';
    } catch (error) {
      if (error.name === 'AbortError') {
        this.phase = 'stopped';
      } else {
        this.phase = 'failed';
        this.error = error instanceof ServerError
            ? error.message : `This page failed: ${error.message}`;
        this.failure = error;
      }
    }
    this.endedAt = performance.now();
    if (!this.extras && this.prompt) {
      // Cut off before the server's own words: what was counted here.
      this.extras = {prompt_tokens: this.reused + this.read,
                     reused_tokens: this.reused, generated_tokens: this.written};
    }
    this.onChange(this);
  }

  take(event) {
    const extras = event.ropewalk || {};
    if (extras.progress) this.takeProgress(extras.progress);
    const choice = event.choices?.[0];
    const text = choice?.delta?.content ?? choice?.text ?? '';
    if (text) {
      if (this.phase !== 'writing') {
        this.phase = 'writing';
        this.writingSince = performance.now();
      }
      this.text += text;
      ++this.written;
    }
    if (choice?.finish_reason) this.finish = choice.finish_reason;
    if (event.usage) {
      this.prompt = event.usage.prompt_tokens ?? this.prompt;
      this.written = event.usage.completion_tokens ?? this.written;
    }
    if (extras.bands || extras.progress?.bands) {
      this.bands = extras.bands || extras.progress.bands;
      this.bandsOf = this.prompt + this.written;
    }
    if ('scheme' in extras || 'prompt_tokens' in extras) {
      this.extras = {...this.extras, ...extras};
      delete this.extras.progress;
      this.prompt = extras.prompt_tokens ?? this.prompt;
      this.reused = extras.reused_tokens ?? this.reused;
      this.written = extras.generated_tokens ?? this.written;
      this.read = Math.max(0, this.prompt - this.reused);
    }
  }

  // The server counts what it knew among what it has read; here it is apart.
  takeProgress({prompt = this.prompt, reused = this.reused, read = reused}) {
    const now = performance.now();
    this.prompt = prompt;
    this.reused = reused;
    this.read = Math.max(0, read - reused);
    if (this.phase === 'waiting') {
      this.phase = 'reading';
      this.readingSince = now;
      this.readBefore = this.read;
    }
    this.readAt = now;
  }

  // Tokens a second of reading, or 0 while it is too early to say.
  get readRate() {
    const ms = this.readAt - this.readingSince;
    const tokens = this.read - this.readBefore;
    return ms > 200 && tokens > 0 ? tokens * 1000 / ms : 0;
  }

  get toRead() { return Math.max(0, this.prompt - this.reused); }

  // "Reading 800 of 3,200 tokens, 400 tokens/s, 6 s left".
  get readingText() {
    const rate = this.readRate;
    const left = this.toRead - this.read;
    return `Reading ${counted(this.read)} of ${tokensText(this.toRead)}` +
        (this.reused ? `, ${counted(this.reused)} known` : '') +
        (rate ? `, ${rateText(rate, 1000)}, ${durationText(left * 1000 / rate)} left`
              : '');
  }
}

// The line behind an answer, of the server's own counts. `extras` may lack any
// of them.
function statsText(extras) {
  if (!extras) return '';
  const parts = [];
  const {prompt_tokens: prompt, reused_tokens: reused = 0} = extras;
  if (prompt !== undefined) {
    const rate = rateText(prompt - reused, extras.prompt_ms);
    parts.push(`${counted(prompt - reused)} read${rate && ` at ${rate}`}`);
    if (reused) parts.push(`${counted(reused)} known`);
  }
  if (extras.shifted_tokens) parts.push(`${counted(extras.shifted_tokens)} moved`);
  if (extras.generated_tokens !== undefined) {
    const rate = rateText(extras.generated_tokens, extras.generate_ms);
    parts.push(`${counted(extras.generated_tokens)} written${rate && ` at ${rate}`}`);
  }
  if (extras.extended_from) {
    parts.push(`context extended from ${counted(extras.extended_from)}`);
  }
  if (extras.scheme) parts.push(extras.scheme);
  return parts.join(' · ');
}
