// Which channels a request would be sent to now, in which order, and why the others are left out.

import { channelLink } from '../lib/admin.js';
import { get } from '../lib/api.js';
import { duration, h, has, number, replace, t } from '../lib/base.js';
import { table } from '../lib/table.js';
import { badge, card, code, empty, facts, field, heading, keeping, note, problem, report } from '../lib/ui.js';

const endpoints = ['chat', 'messages', 'responses', 'gemini', 'completions', 'embeddings', 'images', 'image_edits', 'speech', 'transcriptions', 'translations',
  'moderations', 'rerank'];

export default async function page(ctx) {
  const models = await get('/api/models', {}, { signal: ctx.signal });
  const usual = { model: models[0]?.model_name, endpoint: 'chat', group: 'default' };
  const fields = fieldsOf(models.map((model) => model.model_name), [ctx.query.get('group') ?? usual.group]);
  for (const one of fields) one.set(ctx.query.get(one.name) ?? usual[one.name] ?? '');
  offerGroups(fields.find((one) => one.name === 'group').input, ctx);
  const result = h('div.stack', { 'aria-live': 'off' });
  const explain = explainer(ctx, fields, result);
  let waiting;
  for (const one of fields) {
    one.input.addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(explain, 300);
    });
  }
  ctx.every(3000, explain);
  ctx.every(1000, () => countDown(result));
  explain();
  return [heading(t('nav.routes'), h('span.muted', null, t('routes.live'))), h('p.intro', null, t('routes.intro')),
    h('form.filters', { role: 'search', on: { submit: (event) => {
      event.preventDefault();
      explain();
    } } }, fields.map((one) => one.node)), result];
}

const fieldsOf = (models, groups) => [
  field({ label: t('field.model'), name: 'model', list: models, mono: true }),
  field({ label: t('field.group'), name: 'group', type: 'select', options: groups }),
  field({ label: t('request.endpoint'), name: 'endpoint', type: 'select', options: endpoints.map((name) => [name, t(`endpoint.${name}`)]) }),
  field({ label: t('routes.session'), name: 'session', placeholder: t('routes.sessionHint') }),
  field({ label: t('routes.wishes'), name: 'provider', mono: true, placeholder: '{"sort":"price"}' }),
];

/** The other groups are asked for when somebody is about to choose one. */
function offerGroups(select, ctx) {
  const load = async () => {
    for (const type of ['focus', 'pointerenter']) select.removeEventListener(type, load);
    try {
      for (const { name } of await get('/api/group', {}, { signal: ctx.signal })) {
        if (![...select.options].some((option) => option.value === name)) select.append(h('option', { value: name }, name));
      }
    } catch (error) {
      report(error);
    }
  };
  for (const type of ['focus', 'pointerenter']) select.addEventListener(type, load);
}

/** Asks the router, and draws what it says where it is something else than before. */
function explainer(ctx, fields, result) {
  let drawn = null;
  let turn = 0;
  const ask = async () => {
    const query = Object.fromEntries(fields.map((one) => [one.name, one.value().trim()]).filter(([, value]) => value));
    const mine = (turn += 1);
    ctx.setQuery(query);
    if (!query.model) {
      drawn = null;
      return replace(result, empty(t('routes.choose'), t('routes.chooseText')));
    }
    try {
      const plan = await get('/api/route/explain', query, { signal: ctx.signal });
      if (mine !== turn) return;
      const text = JSON.stringify(plan);
      if (text !== drawn) keeping(result, () => replace(result, draw(plan)));
      drawn = text;
    } catch (error) {
      if (mine !== turn || error?.name === 'AbortError') return;
      drawn = null;
      keeping(result, () => replace(result, problem(error, ask)));
    }
    return undefined;
  };
  return ask;
}

/** A time that runs down between two answers of the server. */
const countdown = (milliseconds) => (milliseconds === null || milliseconds === undefined ? ''
  : h('span.countdown', { 'data-until': String(Date.now() + milliseconds) }, wholeSeconds(milliseconds)));

const wholeSeconds = (milliseconds) => duration(Math.max(0, Math.ceil(milliseconds / 1000) * 1000));

function countDown(place) {
  for (const one of place.querySelectorAll('.countdown')) one.textContent = wholeSeconds(Number(one.dataset.until) - Date.now());
}

function draw(plan) {
  return [
    !plan.is_known && note('warn', t('routes.unknown')),
    plan.is_last_resort && note('warn', t('routes.lastResort')),
    plan.is_known && plan.candidates.length === 0
      && note('warn', t('routes.nobody'), ' ', plan.retry_after_ms !== null && [t('routes.retryAfter'), ' ', countdown(plan.retry_after_ms)]),
    plan.candidates.length > 0 && candidates(plan),
    plan.dropped.length > 0 && dropped(plan),
    card(t('routes.rules'), facts(
      [t('routes.strategy'), named('routes.strategy', plan.strategy)],
      [t('routes.affinity'), named('routes.affinity', plan.affinity)],
      [t('routes.bySession'), plan.by_session ? t('ui.yes') : t('ui.no')],
      [t('routes.maxAttempts'), number(plan.max_attempts)])),
  ];
}

const named = (prefix, value) => (has(`${prefix}.${value}`) ? t(`${prefix}.${value}`) : value);

const candidates = (plan) => card(t('routes.candidates'), h('div.list', null, table({
  caption: t('routes.candidatesOf', { model: plan.model }), rows: plan.candidates, columns: [
    { title: t('routes.position'), end: true, cell: (one) => number(one.position) },
    { title: t('channels.one'), class: 'keep', cell: (one) => [channelLink(one.channel_id, one.name), h('span.muted', null, one.provider)] },
    { title: t('request.upstreamModel'), class: 'keep', cell: (one) => code(one.upstream_model) },
    { title: t('channels.key'), end: true, cell: (one) => (one.key < 0 ? t('pricing.nothing') : number(one.key + 1)) },
    { title: t('channels.field.priority'), end: true, cell: (one) => String(one.priority) },
    { title: t('channels.weight'), end: true, cell: (one) => number(one.weight) },
    { title: t('channels.inFlight'), end: true, cell: (one) => number(one.in_flight) },
    { title: t('field.status'), class: 'nowrap',
      cell: (one) => (one.cooling_for_ms !== null ? [badge(t('channels.status.cooling'), 'warn'), ' ', countdown(one.cooling_for_ms)]
      : one.is_tried ? badge(one.position === 1 ? t('routes.first') : t('routes.tried'), 'good') : badge(t('routes.notTried'))) },
  ],
})));

/** The router's reasons are English sentences; those with a name or a limit in them have it after a fixed beginning. */
const reasons = [
  ['does not serve the model', 'notServed'], ['not open to the group', 'wrongGroup'], ['does not serve the endpoint', 'endpoint'], ['draining', 'draining'],
  ['does not keep the response', 'notHolder'], ['not among the client', 'notOnly'], ['in the client', 'ignored'],
    ['the client allows no fallbacks', 'noFallback'],
  ['dearer than', 'tooDear'], ['its limit rpm', 'rpm'], ['its limit tpm', 'tpm'], ['its limit concurrency', 'concurrency'],
  ['cooling down after failures, and', 'beingTried'], ['cooling down', 'cooling'], ['rate limited by the vendor', 'rateLimited'],
    ['all keys are refused', 'keysRefused'],
];

function reasonText(reason) {
  const known = reasons.find(([begin]) => reason.startsWith(begin));
  if (known) return t(`routes.reason.${known[1]}`);
  if (reason.startsWith('disabled')) return [t('routes.reason.disabled'), reason.length > 10 && h('span.muted', { lang: 'en' }, reason.slice(10))];
  return reason;
}

function dropped(plan) {
  // Channels that could serve the model are what a person looks for; those that never do come last.
  const rows = [...plan.dropped].sort((a, b) => Number(a.reason === reasons[0][0]) - Number(b.reason === reasons[0][0]));
  return card(t('routes.dropped'), h('div.list', null, table({
    caption: t('routes.droppedOf', { model: plan.model }), rows, columns: [
      { title: t('channels.one'), cell: (one) => channelLink(one.channel_id, one.name) },
      { title: t('pricing.reason'), cell: (one) => reasonText(one.reason) },
      { title: t('routes.for'), end: true, class: 'nowrap', cell: (one) => countdown(one.for_ms) },
    ],
  })));
}
