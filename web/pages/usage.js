// The calls of the person who is logged in: over time, and one by one.

import { get } from '../lib/api.js';
import { duration, h, moment, money, short, t } from '../lib/base.js';
import { errorShare, rangeField, requestChart, series, windowOf } from '../lib/chart.js';
import { byCursor, exportButton, list, openRequest, outcomeBadge, tokenCell } from '../lib/table.js';
import { card, empty, field, heading, linkButton, live, momentField, report, tile, tiles, toast } from '../lib/ui.js';

const outcomes = ['completed', 'truncated', 'client_gone', 'failed', 'recovered'];

export default function page(ctx) {
  const key = field({ label: t('field.token_id'), name: 'token_id', type: 'select', options: keyOptions(ctx.query.get('token_id')) });
  const from = momentField({ label: t('field.from'), name: 'from' });
  const to = momentField({ label: t('field.to'), name: 'to' });
  if (ctx.query.get('from') || ctx.query.get('to')) ctx.query.set('range', 'custom');
  const filters = [
    rangeField(from, to),
    field({ label: t('field.model'), name: 'model', type: 'search', placeholder: t('usage.modelHint') }),
    key,
    field({ label: t('field.outcome'), name: 'outcome', type: 'select',
      options: [['', t('ui.all')], ...outcomes.map((name) => [name, t(`outcome.${name}`)])] }),
    from, to,
  ];
  const wanted = () => rowQuery(rows.wanted());
  const more = byCursor(get, '/api/log/self');
  let chart = null;
  const rows = list({
    ctx, caption: t('usage.requests'), filters, columns: columns(),
    load: (query, position, signal) => {
      if (position === null) chart?.reload();
      return more(rowQuery(query), position, signal);
    },
    open: openRequest, openLabel: (row) => `${row.model_name}, ${moment(row.created_at)}`,
    nothing: () => empty(t('usage.none'), t('usage.noneText'), linkButton('/console/playground', t('steps.callAction'), { kind: 'primary' })),
  });
  chart = live((signal) => figures(rows.wanted(), ctx, signal), (data) => {
    addKeys(key, data.series);
    return drawFigures(data, rows.wanted().outcome);
  }, { signal: ctx.signal, skeleton: 4 });
  ctx.every(60_000, () => rows.refresh());
  const wantedRow = ctx.query.get('request_id');
  if (wantedRow) openRow(wantedRow, ctx.signal).catch(report);
  rows.querySelector('.filters').after(chart);
  return [heading(t('nav.usage'), exportButton('/api/log/self/export', wanted, 'usage.csv')), rows];
}

/** The keys to choose from: the one that a link names, and those of which the figures tell. */
const keyOptions = (wanted) => [['', t('ui.all')], ...(wanted ? [[wanted, `#${wanted}`]] : [])];

function addKeys(select, series) {
  for (const { key, name } of series) {
    if (!/^[1-9]/.test(key)) continue;
    const there = [...select.input.options].find((option) => option.value === key);
    if (there) there.textContent = name ?? `#${key}`;
    else select.input.append(h('option', { value: key }, name ?? `#${key}`));
  }
}

/** The filters as the list of rows takes them: a range becomes its beginning. */
function rowQuery({ range, ...query }) {
  const bounds = windowOf({ range, ...query });
  return { ...query, from: bounds.from, to: query.to };
}

function figures(query, ctx, signal) {
  const { from, to, bucket } = windowOf(query);
  const scope = ctx.may('admin') ? { scope: 'self' } : {};
  return series({ from, to, bucket, by: 'token', top: 20, model: query.model, token_id: query.token_id, ...scope }, signal);
}

function drawFigures(data, outcome) {
  const { total } = data;
  return [
    tiles(
      tile(t('stats.spent'), money(total.cost)), tile(t('stats.requests'), short(total.requests)), tile(t('stats.errors'), errorShare(total)),
      tile(t('stats.tokens'), short(total.prompt_tokens + total.completion_tokens),
        t('request.tokensInOut', { input: short(total.prompt_tokens), output: short(total.completion_tokens) })),
      tile(t('stats.firstToken'), duration(total.first_token_p50)), tile(t('stats.latency'), duration(total.latency_p95))),
    card(null, requestChart(data, t('stats.requests')), outcome && h('p.muted', null, t('usage.allOutcomes'))),
  ];
}

const columns = () => [
  { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
  { title: t('field.model'), cell: (row) => row.model_name },
  { title: t('field.token_id'), cell: (row) => (row.token_id === null ? h('span.muted', null, t('nav.playground'))
    : row.token_name ?? `#${row.token_id}`) },
  { title: t('request.tokens'), end: true, cell: tokenCell },
  { title: t('request.charge'), end: true, cell: (row) => money(row.cost) },
  { title: t('request.latency'), end: true, cell: (row) => h('span', { title: `${t('request.firstToken')}: ${duration(row.first_token_ms)}` },
    duration(row.latency_ms)) },
  { title: t('field.outcome'), cell: (row) => h('div', null, outcomeBadge(row), row.error_code && h('span.muted', null, h('code', null, row.error_code))) },
];

/** Opens the row of a link. It may be written a moment after the answer. */
async function openRow(id, signal) {
  for (const pause of [0, 700, 1500]) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (signal.aborted) return;
    const page = await get('/api/log/self', { request_id: id, before_id: 0, page_size: 1 }, { signal });
    if (page.items.length) return openRequest(page.items[0]);
  }
  toast(t('usage.noRow'), 'bad');
}
