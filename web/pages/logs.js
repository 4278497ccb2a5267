// Every finished model call, newest first.

import { channelLink, userLink } from '../lib/admin.js';
import { get } from '../lib/api.js';
import { duration, h, moment, money, named, t } from '../lib/base.js';
import { byCursor, exportButton, list, openRequest, outcomeBadge, tokenCell } from '../lib/table.js';
import { code, empty, field, heading, linkButton, momentField } from '../lib/ui.js';

const outcomes = ['completed', 'truncated', 'client_gone', 'failed', 'recovered'];

export default async function page(ctx) {
  const channels = await get('/api/channel', {}, { signal: ctx.signal });
  const load = byCursor(get, '/api/log');
  const rows = list({
    ctx, caption: t('nav.logs'), filters: filters(channels), columns: columns(),
    load: async (query, position, signal) => load(await withId(query, signal), position, signal),
    open: (row) => openRequest(row, { isAdmin: true }), openLabel: (row) => row.request_id,
    nothing: () => empty(t('logs.none'), t('logs.noneText'), linkButton('/console/playground', t('nav.playground'), { kind: 'primary' })),
  });
  const csv = exportButton('/api/log/export', () => withId(rows.wanted()), 'log.csv');
  const auto = h('input', { type: 'checkbox', checked: true });
  ctx.every(10_000, () => auto.checked && rows.refresh());
  return [heading(t('nav.logs'), h('label.check-inline', null, auto, h('span', null, t('logs.auto'))), csv), rows];
}

function filters(channels) {
  const text = (name, options = {}) => field({ label: t(`field.${name}`), name, type: 'search', ...options });
  const number = (name) => text(name, { type: 'text', mono: true });
  return [
    text('user_id', { label: t('users.one'), placeholder: t('logs.userHint') }),
    text('model', { placeholder: t('logs.modelHint') }),
    text('channel_id', { type: 'select', options: [['', t('ui.all')], ...channels.map((channel) => [String(channel.id), channel.name])] }),
    text('provider', { type: 'select', options: [['', t('ui.all')], ...new Set(channels.map((channel) => channel.provider))] }),
    text('outcome', { type: 'select', options: [['', t('ui.all')], ...outcomes.map((outcome) => [outcome, t(`outcome.${outcome}`)])] }),
    momentField({ label: t('field.from'), name: 'from' }),
    momentField({ label: t('field.to'), name: 'to' }),
    number('request_id'),
    number('token_id'),
  ];
}

const ids = new Map();

/** The server knows users by their ids; people know them by name. */
async function withId(query, signal) {
  const wanted = query.user_id;
  if (!wanted || /^\d+$/.test(wanted)) return query;
  if (!ids.has(wanted)) {
    const { items } = await get('/api/user', { q: wanted, page_size: 20 }, { signal });
    const found = items.find((user) => user.username === wanted) ?? items[0];
    // An id that nobody has: the list is empty then, as it should be.
    if (!found) return { ...query, user_id: Number.MAX_SAFE_INTEGER };
    ids.set(wanted, found.id);
  }
  return { ...query, user_id: ids.get(wanted) };
}

const columns = () => [
  { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
  { title: t('users.one'), cell: (row) => [userLink(row.user_id, row.username), row.token_name && h('span.muted', null, row.token_name)] },
  { title: t('field.model'), class: 'keep', cell: (row) => [code(row.model_name), h('span.muted', null, named('endpoint', row.endpoint))] },
  { title: t('field.channel_id'), cell: (row) =>
    [channelLink(row.channel_id, row.channel_name), row.attempts > 1 && h('span.muted', null, t('logs.attempts', { count: row.attempts }))] },
  { title: t('field.outcome'), class: 'nowrap', cell: (row) => [outcomeBadge(row), row.error_code && h('span.muted', null, String(row.status))] },
  { title: t('stats.tokens'), end: true, class: 'nowrap', cell: tokenCell },
  { title: t('logs.took'), end: true, class: 'nowrap',
    cell: (row) => [duration(row.latency_ms), row.first_token_ms !== null && h('span.muted', null, t('logs.first', { time: duration(row.first_token_ms) }))] },
  { title: t('request.money'), end: true, class: 'nowrap', cell: (row) => money(row.cost) },
];
