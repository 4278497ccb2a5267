// One conversation with one model: its turns, the answer as it comes, what it cost and how long it took.

import { post, stream } from './api.js';
import { duration, h, icon, money, number, replace, t } from './base.js';
import { markdown } from './markdown.js';
import { pickModel } from './models.js';
import { button, problem } from './ui.js';

const path = '/api/playground/chat/completions';
let openUntil = 0;

/** Opens the session for calls. Without it the first one would be refused, and repeated. */
async function opened(signal) {
  if (Date.now() / 1000 < openUntil - 30) return;
  openUntil = (await post('/api/playground/open', {}, { signal })).expires_at;
}

/** Longer requests and answers are cut in the raw view only. */
const rawBound = 200_000;

const textOf = (content) => (typeof content === 'string' ? content : content.filter((part) => part.type === 'text').map((part) => part.text).join('\n'));
const picturesOf = (content) => (typeof content === 'string' ? [] : content.filter((part) => part.type === 'image_url').map((part) => part.image_url.url));

/** Data URLs cut, so that the raw view stays readable. */
const readable = (value, indent) => JSON.stringify(value, (_, one) => (typeof one === 'string' && one.startsWith('data:') && one.length > 120
  ? `${one.slice(0, 80)}… (${one.length})` : one), indent);

const mostPictures = 12;
/** Only what came with the answer is shown: an address elsewhere would tell its owner who looks. SVG may hold more than a picture. */
const isPicture = (url) => /^data:image\/(png|jpeg|gif|webp|avif);base64,/i.test(url);

/** Addresses of pictures in a part of an answer: `images`, and parts of its content. */
const addressesOf = (part) => [part.images, part.content].filter(Array.isArray).flat()
  .map((one) => one?.image_url?.url ?? one?.image_url).filter((url) => typeof url === 'string');

const contentOf = (content) => (Array.isArray(content) ? content.map((part) => (part?.type === 'text' ? part.text : '')).join('') : content ?? '');

/**
 * @param {object} ctx @param {object[]} models those that can be chosen @param {string} name the first one
 * @param {{onModel: () => void}} events
 */
export function pane(ctx, models, name, { onModel }) {
  let messages = [];
  let running = null;
  const turns = h('div.turns', { role: 'log', tabindex: 0, 'aria-label': t('playground.conversation', { model: name }) });
  const picker = h('button.model-picker', { type: 'button', on: { click: choose } });
  const node = h('section.pane', { 'aria-label': name }, h('div.pane-head', null, picker), turns);
  const self = { node, model: name, get isRunning() { return running !== null; }, send, stop: () => running?.abort(), clear };

  function setModel(value) {
    self.model = value;
    node.setAttribute('aria-label', value);
    turns.setAttribute('aria-label', t('playground.conversation', { model: value }));
    replace(picker, h('span.offscreen', null, `${t('field.model')}: `), h('span', null, value), icon('down', 16));
  }

  async function choose() {
    const model = await pickModel(models, self.model);
    if (!model) return;
    setModel(model.model_name);
    onModel();
  }

  function clear() {
    running?.abort();
    messages = [];
    replace(turns, h('p.turns-empty.muted', null, t('playground.empty')));
  }

  const follow = (work) => {
    const isAtEnd = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 60;
    work();
    if (isAtEnd) turns.scrollTop = turns.scrollHeight;
  };

  /** Sends a turn with those before it, and shows the answer while it comes. */
  async function send(content, settings) {
    turns.querySelector('.turns-empty')?.remove();
    turns.scrollTop = turns.scrollHeight;
    const answer = answerOf(self.model);
    const turn = h('div.turn', null, userTurn(content), answer.node);
    follow(() => turns.append(turn));
    turns.scrollTop = turns.scrollHeight;
    const before = messages;
    const body = bodyOf(self.model, [...before, { role: 'user', content }], settings);
    const mine = (running = new AbortController());
    ctx.signal.addEventListener('abort', () => mine.abort());
    turns.setAttribute('aria-busy', 'true');
    try {
      await opened(mine.signal);
      answer.begin(body);
      await stream(path, body, (event) => follow(() => answer.take(event)), mine.signal, answer.about);
      follow(() => answer.end());
    } catch (error) {
      follow(() => answer.fail(error, () => again(turn, content, settings), ctx));
    }
    if (running === mine) {
      running = null;
      turns.removeAttribute('aria-busy');
    }
    // The notice of a low balance knows what the answer cost.
    ctx.refreshUser().catch(() => null);
    // A turn without an answer is not repeated to the model; cleared conversations stay cleared.
    if (turn.isConnected && answer.text) messages = [...before, { role: 'user', content }, { role: 'assistant', content: answer.text }];
  }

  function again(turn, content, settings) {
    // One answer at a time; an older turn stays until this one is there.
    if (running) return undefined;
    turn.remove();
    return self.resend(content, settings);
  }

  self.resend = send;
  setModel(name);
  clear();
  return self;
}

function bodyOf(model, messages, settings) {
  const body = { model, messages: settings.system ? [{ role: 'system', content: settings.system }, ...messages] : messages, stream: true,
    stream_options: { include_usage: true } };
  if (settings.temperature !== null) body.temperature = settings.temperature;
  if (settings.max_tokens !== null) body.max_tokens = settings.max_tokens;
  return body;
}

const userTurn = (content) => h('div.user-turn', null, h('span.offscreen', null, t('playground.you')),
  picturesOf(content).map((url, index) => h('img', { src: url, alt: t('playground.picture', { number: index + 1 }) })), h('p', null, textOf(content)));

/** The place of one answer. */
function answerOf(model) {
  const text = h('div.markdown');
  const pictures = h('div.answer-pictures', { hidden: true });
  const thought = h('div.thought-text');
  const thinking = h('details.thought', { hidden: true }, h('summary', null, t('playground.thought')), thought);
  const state = h('p.answer-state.muted', null, t('playground.waiting'));
  const raw = h('details.raw', { hidden: true }, h('summary', null, t('playground.raw')));
  const node = h('div.answer', null, h('span.offscreen', null, model), thinking, text, pictures, state, raw);
  const self = { node, text: '', about: (value) => (about = value) };
  let about = null;
  let body = {};
  let started = 0;
  let first = null;
  let usage = null;
  let finish = null;
  let events = '';
  let drawing = null;
  const shown = new Set();

  const draw = () => {
    drawing = null;
    const begun = performance.now();
    replace(text, markdown(self.text));
    return performance.now() - begun;
  };
  let pause = 60;
  const later = () => {
    // Long answers take longer to draw: they are drawn less often.
    drawing ??= setTimeout(() => (pause = Math.max(60, draw() * 6)), pause);
  };

  /** Some vendors send a picture with a part of the stream and again with its last one. */
  const addPicture = (url) => {
    if (shown.has(url) || shown.size >= mostPictures) return;
    shown.add(url);
    pictures.hidden = false;
    const isElsewhere = /^https:/.test(url) && URL.canParse(url);
    pictures.append(isPicture(url) ? h('img', { src: url, alt: t('playground.answerPicture', { number: shown.size, model }) })
      : isElsewhere ? h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, t('playground.pictureElsewhere', { host: new URL(url).host }))
        : h('p.muted', null, t('playground.noPicture')));
  };

  self.begin = (sent) => {
    body = sent;
    started = performance.now();
  };
  self.take = (event) => {
    if (events.length < rawBound) events += `${readable(event)}\n`;
    const choice = event.choices?.[0];
    const part = choice?.delta ?? choice?.message ?? {};
    const reasoning = part.reasoning ?? part.reasoning_content;
    const addresses = addressesOf(part);
    if ((part.content || reasoning || addresses.length) && first === null) {
      first = performance.now();
      replace(state, t('playground.writing'));
    }
    if (reasoning) {
      thinking.hidden = false;
      thought.append(reasoning);
    }
    const written = contentOf(part.content);
    if (written) {
      self.text += written;
      later();
    }
    for (const url of addresses) addPicture(url);
    finish = choice?.finish_reason ?? finish;
    usage = event.usage ?? usage;
  };
  const close = () => {
    clearTimeout(drawing);
    draw();
    raw.hidden = false;
    raw.append(h('p.raw-title', null, t('request.of')), h('pre', { tabindex: 0 }, readable(body, 2)), h('p.raw-title', null, t('playground.response')),
      h('pre', { tabindex: 0 }, events || t('playground.noEvents')));
  };
  self.end = () => {
    close();
    replace(state, figures({ started, first, end: performance.now(), usage, finish, about }));
  };
  self.fail = (error, retry, ctx) => {
    close();
    // Refused requests have no row; those that failed at a vendor have one.
    const id = about?.requestId ?? (error.status >= 500 ? error.requestId : null);
    const row = id && logLink(id);
    if (error.name === 'AbortError') return replace(state, t('playground.stopped'), row && [' · ', row]);
    replace(state, row);
    const money = error.status === 402 && ctx.may('root') && button(t('balance.add'), { kind: 'primary', icon: 'plus', onClick: async () => {
      const { addBalance } = await import('./balance.js');
      if (await addBalance(ctx.user.id, ctx.user.username)) await retry();
    } });
    const box = problem(error, retry);
    if (money) box.lastElementChild.append(' ', money);
    else if (error.status === 402) box.lastElementChild.append(h('p', null, t('overview.lowAsk')));
    state.before(box);
  };
  return self;
}

const logLink = (id) => h('a', { href: `/console/usage?request_id=${encodeURIComponent(id)}` }, t('playground.row'));

function figures({ started, first, end, usage, finish, about }) {
  const seconds = (end - (first ?? started)) / 1000;
  const parts = [
    first !== null && t('playground.firstToken', { time: duration(Math.round(first - started)) }),
    usage?.completion_tokens > 1 && seconds > 0.05 && t('request.perSecond', { count: Math.round(usage.completion_tokens / seconds) }),
    usage && t('request.tokensInOut', { input: usage.prompt_tokens ?? 0, output: usage.completion_tokens ?? 0 }),
    typeof usage?.cost === 'number' && h('strong', null, money(usage.cost)),
    finish && finish !== 'stop' && t('playground.finish', { reason: finish }),
    about?.dropped && t('playground.dropped', { names: about.dropped }),
    about?.requestId && logLink(about.requestId),
  ].filter(Boolean);
  return parts.map((part, index) => [index > 0 && ' · ', part]);
}
