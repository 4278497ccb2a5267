// The first page after a login: what is there, what was spent, what went wrong, and what a new gateway still needs.

import { get } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { ago, duration, money, short, store, stored, t } from '../lib/i18n.js';
import { errorShare, noRequests, series, seriesChart, span, zoneNote } from '../lib/stats.js';
import { table } from '../lib/table.js';
import { button, card, choices, heading, link, linkButton, live, note, tile, tiles } from '../lib/ui.js';

export default async function page(ctx) {
  // Everybody's figures are an administrator's first interest; their own are one press away.
  const view = { isAll: ctx.may('admin') && stored('overviewScope') !== 'self', measure: 'cost' };
  const steps = await stepsOf(ctx, () => reload());
  const figures = live((signal) => load(view, ctx, signal), (data) => draw(ctx, view, data, steps?.isConnected), { signal: ctx.signal, skeleton: 4 });
  const errors = live((signal) => get(view.isAll ? '/api/log' : '/api/log/self', { outcome: 'failed', before_id: 0, page_size: 5 }, { signal }),
    (data) => latest(view, data.items), { signal: ctx.signal, skeleton: 2 });
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

/** The list of first steps, whose parts are loaded only while there are some to do. */
async function stepsOf(ctx, changed) {
  if (stored(`firstSteps:${ctx.user.id}`) === 'done') return null;
  const { firstSteps } = await import('../lib/steps.js');
  // Without an answer there is no list; what is wrong is shown by the parts below.
  return firstSteps(ctx, changed).catch(() => null);
}

async function load(view, ctx, signal) {
  const own = ctx.may('admin') && !view.isAll ? { scope: 'self' } : {};
  const [balance, data] = await Promise.all([
    get('/api/balance', {}, { signal }), series({ ...span('30d'), by: 'model', top: 7, ...own }, signal),
  ]);
  return { balance, data };
}

function draw(ctx, view, { balance, data }, isNew) {
  const today = data.series.reduce((sum, one) => sum + (one.cost.at(-1) ?? 0), 0);
  const failed = view.isAll ? '/console/logs?outcome=failed' : '/console/usage?outcome=failed';
  const { total } = data;
  return [
    // Root finds it among the first steps.
    !(isNew && ctx.may('root')) && lowBalance(ctx, balance),
    tiles(
      tile(t('overview.balance'), money(balance.balance), balance.held > 0 ? t('overview.held', { amount: money(balance.held) })
        : link('/console/billing', t('overview.ledger'))),
      tile(t('overview.today'), money(Number(today.toFixed(9)))),
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

function lowBalance(ctx, balance) {
  const threshold = Number(stored('lowBalance') ?? 1);
  if (balance.balance >= threshold) return null;
  return note('warn', h('p', null, t('overview.low', { amount: money(balance.balance) }), ' ', !ctx.may('root') && t('overview.lowAsk')),
    h('div.row', null, ctx.may('root') && button(t('balance.add'), { onClick: async () => {
      const { addBalance } = await import('../lib/balance.js');
      if (await addBalance(ctx.user.id, ctx.user.username)) await ctx.go('/console', true);
    } }),
      link('/console/account', t('overview.threshold', { amount: money(threshold) }))));
}

function latest(view, rows) {
  if (!rows.length) return h('p.muted', null, t('overview.noErrors'));
  const page = view.isAll ? '/console/logs' : '/console/usage';
  return [table({ caption: t('overview.errorRows'), rows, columns: [
    { title: t('field.model'), cell: (row) => link(`${page}?request_id=${row.request_id}`, row.model_name) },
    { title: t('request.error'), cell: (row) => h('code', null, row.error_code ?? row.outcome) },
    { title: t('request.status'), cell: (row) => row.status, end: true },
    view.isAll && { title: t('request.user'), cell: (row) => row.username ?? `#${row.user_id}` },
    { title: t('ui.time'), cell: (row) => ago(row.created_at), end: true },
  ].filter(Boolean) }), h('p.card-more', null, link(`${page}?outcome=failed`, t('overview.allErrors')))];
}
