// The first page after a login: what is there, what was spent, what went wrong, and what a new gateway still needs.

import { get } from '../lib/api.js';
import { ago, duration, h, icon, money, replace, short, store, stored, sumOf, t } from '../lib/base.js';
import { errorShare, noRequests, series, seriesChart, span, zoneNote } from '../lib/chart.js';
import { table } from '../lib/table.js';
import { button, card, choices, heading, link, linkButton, live, tile, tiles } from '../lib/ui.js';

export default async function page(ctx) {
  // Everybody's figures are an administrator's first interest; their own are one press away.
  const view = { isAll: ctx.may('admin') && stored('overviewScope') !== 'self', measure: 'cost' };
  let answer = load(view, ctx, true);
  let isAsked = true;
  const steps = await firstSteps(ctx, answer, () => reload());
  const figures = live(() => {
    if (!isAsked) answer = load(view, ctx, false);
    isAsked = false;
    return answer;
  }, (data) => draw(view, data), { signal: ctx.signal, skeleton: 4 });
  const errors = live(async (signal) => {
    const { data } = await answer;
    return data.total.errors > 0 ? failedRows(view, signal) : { items: [] };
  }, ({ items }) => latest(view, items), { signal: ctx.signal, skeleton: 2 });
  const reload = () => Promise.all([figures.reload(), errors.reload()]);
  ctx.every(60_000, reload);
  const chosen = (value) => {
    view.isAll = value === 'all';
    store('overviewScope', value);
    reload();
  };
  const scope = ctx.may('admin')
    && choices(t('overview.scope'), [['all', t('overview.everyone')], ['self', t('overview.mine')]], view.isAll ? 'all' : 'self', chosen);
  return [heading(t('nav.overview'), scope), steps, figures, card(t('overview.errors'), errors)];
}

/** The person with their balance, and the figures of thirty days. */
async function load(view, ctx, isFirst) {
  const own = ctx.may('admin') && !view.isAll ? { scope: 'self' } : {};
  // The application has asked who is here a moment ago, when it was loaded.
  const isFresh = isFirst && performance.now() < 5000;
  const [user, data] = await Promise.all([isFresh ? ctx.user : ctx.refreshUser(), series({ ...span('30d'), by: 'model', top: 7, ...own }, ctx.signal)]);
  return { balance: user ?? ctx.user, data };
}

const failedRows = (view, signal) =>
  get(view.isAll ? '/api/log' : '/api/log/self', { outcome: 'failed', before_id: 0, page_size: 5 }, { signal });

function draw(view, { balance, data }) {
  const today = sumOf(...data.series.map((one) => one.cost.at(-1) ?? 0));
  const failed = view.isAll ? '/console/logs?outcome=failed' : '/console/usage?outcome=failed';
  const { total } = data;
  return [
    tiles(
      tile(t('overview.balance'), money(balance.balance), balance.held > 0 ? t('overview.held', { amount: money(balance.held) })
        : link('/console/billing', t('overview.ledger'))),
      tile(t('overview.today'), money(today)),
      tile(t('overview.spent30'), money(total.cost)),
      tile(t('stats.requests'), short(total.requests), t('overview.days30')),
      tile(t('stats.errors'), total.errors > 0 ? link(failed, errorShare(total)) : errorShare(total), t('overview.days30')),
      tile(t('stats.firstToken'), duration(total.first_token_p50), t('overview.days30'))),
    chartCard(view, data),
  ];
}

function chartCard(view, data) {
  const place = h('div');
  const show = () => place.replaceChildren(seriesChart(data, t('overview.chart'), view.measure));
  if (data.total.requests > 0) show();
  else place.append(noRequests(t('overview.noneText'), linkButton('/console/playground', t('steps.callAction'))));
  return h('section.card', { 'aria-label': t('overview.chart') }, h('div.card-head', null, h('div', null, h('h2', null, t('overview.chart')), zoneNote(data)),
    choices(t('overview.measure'), [['cost', t('stats.spent')], ['requests', t('stats.requests')], ['tokens', t('stats.tokens')]], view.measure, (value) => {
      view.measure = value;
      if (data.total.requests > 0) show();
    })), place);
}

function latest(view, rows) {
  if (!rows.length) return h('p.muted', null, t('overview.noErrors'));
  const page = view.isAll ? '/console/logs' : '/console/usage';
  return [table({ caption: t('overview.errorRows'), rows, columns: [
    { title: t('field.model'), cell: (row) => link(`${page}?request_id=${encodeURIComponent(row.request_id)}`, row.model_name) },
    { title: t('request.error'), cell: (row) => h('code', null, row.error_code ?? row.outcome) },
    { title: t('request.status'), cell: (row) => row.status, end: true },
    view.isAll && { title: t('field.user_id'), cell: (row) => row.username ?? `#${row.user_id}` },
    { title: t('ui.time'), cell: (row) => ago(row.created_at), end: true },
  ].filter(Boolean) }), h('p.card-more', null, link(`${page}?outcome=failed`, t('overview.allErrors')))];
}

// First steps

const isReal = (channel) => channel.provider !== 'demo' && channel.status === 'on';

/** The steps that are done already: two small calls beside the figures, and none once everything was done. */
async function stateOf(ctx, answer) {
  const [keys, channels, { balance, data }] = await Promise.all([
    get('/api/token', { page_size: 1 }), ctx.may('admin') ? get('/api/channel') : [], answer,
  ]);
  return { balance: balance.balance > 0, key: keys.total > 0, call: data.total.requests > 0, channel: channels.some(isReal) };
}

/**
 * The first steps of a new gateway, or of a new user, as a card; null when nothing is left. It goes when all is done and does not come back.
 * @param {Promise<object>} answer what {@link load} has
 * @param {() => void} onChange called when a step has changed what the page shows
 */
async function firstSteps(ctx, answer, onChange) {
  const name = `firstSteps:${ctx.user.id}`;
  if (stored(name) === 'done') return null;
  // Without an answer there is no list; what is wrong is shown by the parts below.
  const done = await stateOf(ctx, answer).catch(() => null);
  if (!done) return null;
  const list = h('ol.steps');
  const card = h('section.card.first-steps', { 'aria-labelledby': 'first-steps' }, h('div.card-head', null, h('div', null,
    h('h2', { id: 'first-steps' }, t('steps.title')), h('p.muted', null, t('steps.text'))),
  button(t('steps.hide'), { kind: 'quiet', onClick: () => finish() })), list);
  const finish = () => {
    store(name, 'done');
    card.remove();
  };
  const steps = stepsOf(ctx, done, () => {
    draw();
    onChange();
  });
  const draw = () => {
    if (steps.every((step) => done[step.name])) return finish();
    const next = steps.find((step) => !done[step.name]);
    replace(list, steps.map((step) => h('li', { class: done[step.name] ? 'done' : null },
      h('span.step-mark', null, done[step.name] ? icon('check', 16) : String(steps.indexOf(step) + 1)),
      h('div', null, h('p.step-title', null, t(`steps.${step.name}`), done[step.name] && h('span.offscreen', null, ` – ${t('steps.done')}`)),
        h('p.muted', null, t(`steps.${step.name}Text`))),
      !done[step.name] && step.action(step === next ? 'primary' : null))));
  };
  draw();
  return steps.every((step) => done[step.name]) ? null : card;
}

function stepsOf(ctx, done, changed) {
  // Only root may put money on its own account; other administrators are given some as users are.
  const money = { name: 'balance', action: (kind) => button(t('balance.add'), { kind, onClick: async () => {
    const { addBalance } = await import('../lib/balance.js');
    if (!(await addBalance(ctx.user.id, ctx.user.username))) return;
    done.balance = true;
    changed();
  } }) };
  const key = { name: 'key', action: (kind) => button(t('keys.create'), { kind, onClick: async () => {
    const { createKey } = await import('../lib/keys.js');
    if (!(await createKey(ctx.status))) return;
    done.key = true;
    changed();
  } }) };
  return [
    ctx.may('root') && money, key,
    { name: 'call', action: (kind) => linkButton('/console/playground', t('steps.callAction'), { kind }) },
    ctx.may('admin') && { name: 'channel', action: (kind) => linkButton('/console/channels', t('steps.channelAction'), { kind }) },
  ].filter(Boolean);
}
