// Income from users, the cost of vendors, and the margin between them.

import { channelLink, tabs, userLink } from '../lib/admin.js';
import { get } from '../lib/api.js';
import { duration, h, moment, money, number, percent, short, t } from '../lib/base.js';
import { bucketFor, errorShare, rangeChoices, series, seriesChart, span, zoneNote } from '../lib/chart.js';
import { byPage, list, table } from '../lib/table.js';
import { badge, card, choices, code, empty, field, heading, link, live, momentField, note, tile, tiles } from '../lib/ui.js';

export default function page(ctx) {
  return [heading(t('nav.money')), ...tabs(ctx, t('money.views'), [
    ['margin', t('request.margin'), margin], ['top', t('money.top'), top], ['unreconciled', t('money.unreconciled'), unreconciled],
  ])];
}

/** The range of figures: a usual one, or two moments. It stands in the address. */
function ranged(ctx, draw) {
  const asked = { range: ctx.query.get('range') ?? '30d', from: ctx.query.get('from'), to: ctx.query.get('to') };
  const from = momentField({ label: t('field.from'), name: 'from', value: asked.from });
  const to = momentField({ label: t('field.to'), name: 'to', value: asked.to });
  let range = asked.from || asked.to ? 'custom' : asked.range;
  const query = () => {
    if (range !== 'custom') return { ...span(range), to: Math.ceil(Date.now() / 60_000) * 60 };
    const begin = from.value() || span('30d').from;
    const end = to.value() || Math.ceil(Date.now() / 60_000) * 60;
    return { from: begin, to: end, bucket: bucketFor(begin, end) };
  };
  const content = draw(query);
  const custom = h('div.filters', { hidden: range !== 'custom' }, from.node, to.node);
  const changed = () => {
    ctx.setQuery(range === 'custom' ? { ...(from.value() && { from: from.value() }), ...(to.value() && { to: to.value() }) } : { range });
    content.reload();
  };
  content.changed = changed;
  for (const one of [from, to]) one.input.addEventListener('change', changed);
  const chooser = choices(t('range.label'), [...rangeChoices(), ['custom', t('money.custom')]], range, (value) => {
    range = value;
    custom.hidden = value !== 'custom';
    if (value === 'custom') from.input.focus();
    changed();
  });
  return [h('div.row.spread.range', null, chooser, custom), content];
}

// Spend, cost and margin by model and channel

const margin = (ctx) => ranged(ctx, (query) => live(async (signal) => {
  const { from, to, bucket } = query();
  const [rows, data] = await Promise.all([
    get('/api/ledger/margin', { from, to }, { signal }), series({ from, to, bucket, by: 'channel', top: 7 }, signal),
  ]);
  let names = new Map(data.series.map((one) => [Number(one.key), one.name]));
  // The figures name the largest channels. There are seldom more.
  if (rows.some((row) => row.channel_id && !names.has(row.channel_id))) {
    names = new Map((await get('/api/channel', {}, { signal })).map((channel) => [channel.id, channel.name]));
  }
  return { rows, data, names };
}, ({ rows, data, names }) => {
  if (!rows.length) return empty(t('money.none'), t('money.noneText'));
  const { total } = data;
  const gaps = rows.some((row) => row.requests_without_cost > 0);
  return [
    tiles(tile(t('money.charged'), money(total.cost), t('money.requests', { count: total.requests })), tile(t('money.cost'), money(total.vendor_cost)),
      tile(t('request.margin'), money(total.margin)),
      tile(t('channel.errors'), number(total.errors), errorShare(total))),
    gaps && note('info', t('money.gaps')),
    card(t('money.byChannel'), zoneNote(data), seriesChart(data, t('money.byChannel'), 'cost')),
    card(t('money.byModel'), h('div.list', null,
      table({ caption: t('request.margin'), rows: [...rows].sort((a, b) => b.charged - a.charged), columns: marginColumns(names) }))),
  ];
}, { signal: ctx.signal, skeleton: 4 }));

const isUnknown = (row) => row.requests > 0 && row.requests_without_cost === row.requests;

const marginColumns = (names) => [
  { title: t('field.model'), class: 'keep',
    cell: (row) => link(`/console/logs?${new URLSearchParams({ model: row.model, ...(row.channel_id && { channel_id: row.channel_id }) })}`, code(row.model)) },
  { title: t('channels.one'), cell: (row) => channelLink(row.channel_id, names.get(row.channel_id)) },
  { title: t('stats.requests'), end: true, cell: (row) => number(row.requests) },
  { title: t('money.charged'), end: true, cell: (row) => money(row.charged) },
  { title: t('money.cost'), end: true, cell: (row) => [isUnknown(row) ? t('money.unknown') : money(row.vendor_cost),
    row.requests_without_cost > 0 && row.requests_without_cost < row.requests
      && h('span.muted', null, t('money.without', { count: row.requests_without_cost }))] },
  { title: t('request.margin'), end: true, cell: (row) => [h('span', { class: row.margin < 0 ? 'negative' : null }, money(row.margin)),
    row.requests_without_cost === 0 && row.charged > 0 && h('span.muted', null, percent(row.margin / row.charged))] },
];

// Top lists

const kinds = ['model', 'channel', 'user', 'token', 'provider'];
const sorts = ['cost', 'requests', 'tokens', 'errors'];
const places = { channel: (row) => channelLink(row.key, row.name), user: (row) => userLink(row.key, row.name), token: (row) => row.name ?? `#${row.key}` };

function top(ctx) {
  const by = field({ label: t('money.by'), name: 'by', type: 'select', options: kinds.map((kind) => [kind, t(`money.by.${kind}`)]),
    value: kinds.includes(ctx.query.get('by')) ? ctx.query.get('by') : 'model' });
  const sort = field({ label: t('money.sort'), name: 'sort', type: 'select',
    options: sorts.map((name) => [name, t(`money.sort.${name}`)]), value: sorts.includes(ctx.query.get('sort')) ? ctx.query.get('sort') : 'cost' });
  const inner = { ...ctx, setQuery: (values) => ctx.setQuery({ ...values, by: by.value(), sort: sort.value() }) };
  return ranged(inner, (query) => {
    const content = live(async (signal) => {
      const { from, to } = query();
      return get('/api/stats/top', { from, to, by: by.value(), sort: sort.value(), limit: 50 }, { signal });
    }, (rows) => (rows.length === 0 ? empty(t('money.none'), t('money.noneText')) : h('div.list', null, table({ caption: t('money.top'), rows, columns: [
      { title: t(`money.by.${by.value()}`), class: 'keep', cell: (row) => (places[by.value()] ?? ((one) => code(one.name ?? one.key)))(row) },
      { title: t('stats.requests'), end: true, cell: (row) => number(row.requests) },
      { title: t('channel.errors'), end: true, cell: (row) => [number(row.errors), row.errors > 0 && h('span.muted', null, percent(row.errors / row.requests))] },
      { title: t('stats.tokens'), end: true, cell: (row) => short(row.tokens) },
      { title: t('money.charged'), end: true, cell: (row) => money(row.cost) },
      { title: t('money.cost'), end: true, cell: (row) => money(row.vendor_cost) },
      { title: t('stats.firstToken'), end: true, cell: (row) => duration(row.first_token_p50) },
    ] }))), { signal: ctx.signal });
    const node = h('div', null, h('div.filters', null, by.node, sort.node), content);
    node.reload = content.reload;
    for (const one of [by, sort]) one.input.addEventListener('change', () => node.changed());
    return node;
  });
}

// Charges by estimate

const states = { pending: null, unresolved: 'warn', resolved: 'good' };

const unreconciled = (ctx) => [h('p.intro', null, t('money.unreconciledText')), list({
  ctx, caption: t('money.unreconciled'), load: byPage(get, '/api/ledger/unreconciled'),
    nothing: () => empty(t('money.allReconciled'), t('money.allReconciledText')),
  filters: [field({ label: t('field.status'), name: 'state', type: 'select',
    options: [['', t('money.open')], ...Object.keys(states).map((state) => [state, t(`money.state.${state}`)])] })],
  columns: [
    { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
    { title: t('field.model'), class: 'keep', cell: (row) => [code(row.model), h('span.muted', null, row.provider)] },
    { title: t('users.one'), cell: (row) => userLink(row.user_id) },
    { title: t('field.status'), cell: (row) => badge(t(`money.state.${row.state}`), states[row.state]) },
    { title: t('money.charge'), end: true, cell: (row) => money(row.charge) },
    { title: t('money.tries'), end: true, cell: (row) => [number(row.tries), row.next_at && h('span.muted', null, moment(row.next_at))] },
    { title: t('money.note'), cell: (row) =>
      [h('span', { lang: 'en' }, row.note), h('span.muted', null, link(`/console/logs?request_id=${encodeURIComponent(row.request_id)}`, code(row.request_id)))] },
  ],
})];
