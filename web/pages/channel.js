// One channel: how it is, how it is set, and what can be done with it.

import { failureText, health, missingSecrets, setState, sourceOf, statusBadge, testDialog } from '../lib/channel.js';
import { del, get } from '../lib/api.js';
import { duration, h, money, number, percent, replace, t } from '../lib/base.js';
import { table } from '../lib/table.js';
import { badge, button, card, confirm, dialog, facts, keeping, link, live, snippet, tile, tiles, toast } from '../lib/ui.js';

export default function page(ctx) {
  const { id } = ctx.parameters;
  const path = `/api/channel/${encodeURIComponent(id)}`;
  const day = { from: Math.floor(Date.now() / 3_600_000 - 23) * 3600, bucket: 'hour', by: 'none', channel_id: id };
  const title = h('h1', { tabindex: -1 }, t('nav.channels'));
  const actions = h('div.page-actions');
  let drawn = '';
  const node = live((signal) => get(path, {}, { signal }), (channel, reload) => {
    title.textContent = channel.name;
    ctx.setTitle(channel.name);
    // The actions are drawn anew only when they are others, so that a refresh does not take the focus from them.
    const now = [channel.status, channel.name, ...channel.models].join(' ');
    if (drawn !== now) keeping(actions, () => replace(actions, bar(ctx, () => get(path), channel, reload)));
    drawn = now;
    return [missingSecrets([channel], reload), state(ctx, channel), healthCard(channel), settings(channel)];
  }, { signal: ctx.signal });
  const numbers = live((signal) => get('/api/stats/series', day, { signal }), (data) => lastDay(data.total), { signal: ctx.signal, skeleton: 1 });
  ctx.every(5000, () => node.reload());
  return [link('/console/channels', `← ${t('channel.all')}`), h('header.page-head', null, title, actions), numbers, node];
}

const lastDay = (total) => tiles(
  tile(t('stats.requests'), number(total.requests), t('channel.lastDay')),
  tile(t('channel.errors'), number(total.errors), percent(total.requests ? total.errors / total.requests : 0)),
  tile(t('channel.first'), duration(total.first_token_p50), t('channel.p95', { time: duration(total.first_token_p95) })),
  tile(t('money.charged'), money(total.cost), t('channel.vendorCost', { cost: money(total.upstream_cost) })));

function bar(ctx, fresh, channel, reload) {
  const act = (action, label, options = {}) => button(label, { ...options, onClick: async () => {
    await setState(channel, action);
    toast(t('ui.saved'));
    await reload();
  } });
  const isConsole = channel.source?.kind === 'console';
  const isDraining = channel.status === 'draining' || channel.status === 'drained';
  return [
    button(t('channel.test'), { icon: 'play', kind: 'primary', onClick: () => testDialog(channel) }),
    channel.status === 'on' ? [act('disable', t('keys.disable'), { icon: 'stop' }), act('drain', t('channel.drain'))] : channel.status !== 'off' && [
      act('enable', t('keys.enable'), { icon: 'check' }), isDraining && act('disable', t('keys.disable'), { icon: 'stop' })],
    isConsole && button(t('ui.edit'), { icon: 'edit', onClick: async () => {
      const { channelDialog } = await import('../lib/channel-form.js');
      if (await channelDialog(ctx, await fresh())) await reload();
    } }),
    button(t('channel.export'), { icon: 'file', onClick: () => exported(channel) }),
    isConsole && button(t('ui.delete'), { icon: 'trash', kind: 'danger', onClick: () => remove(ctx, channel) })];
}

async function exported(channel) {
  const { yaml } = await get(`/api/channel/${channel.id}/export`);
  dialog({ title: t('channel.exportTitle', { name: channel.name }), wide: true,
    content: () => [h('p', null, t('channel.exportText')), snippet(yaml, 'channels.yaml')] });
}

async function remove(ctx, channel) {
  if (!(await confirm({ title: t('keys.deleteOf', { name: channel.name }), text: t('channel.deleteText'), action: t('ui.delete') }))) return;
  await del(`/api/channel/${channel.id}`);
  toast(t('channel.deleted', { name: channel.name }));
  await ctx.go('/console/channels');
}

const state = (ctx, channel) => card(t('channel.state'), facts(
  [t('field.status'), [statusBadge(channel), channel.disabled_reason && h('span', null, ' ', channel.disabled_reason)]],
  [t('channels.inFlight'), number(channel.in_flight)],
  [t('channels.source'), sourceOf(ctx, channel)],
  [t('channel.more'), h('span.row', null, h('a', { href: `/console/logs?channel_id=${channel.id}` }, t('channel.logs')),
    h('a', { href: `/console/logs?channel_id=${channel.id}&outcome=failed` }, t('channel.failedLogs')),
    channel.models[0] && !channel.models[0].includes('*')
      && h('a', { href: `/console/routes?model=${encodeURIComponent(channel.models[0])}` }, t('channel.route')))],
));

const states = { closed: null, open: 'warn', half_open: 'warn' };

function healthCard(channel) {
  if (!channel.health.length) return card(t('channels.health'), h('p.muted', null, t('channel.allWell')));
  const { cooling } = health(channel);
  return card(t('channels.health'), cooling.length > 0 && h('p.muted', null, t('channel.coolingText')), h('div.list', null, table({
    caption: t('channel.records'), rows: channel.health, columns: [
      { title: t('channels.key'), cell: (record) =>
        (record.account ? t('channel.account', { name: record.account }) : record.key === null ? t('channel.allKeys')
        : t('channels.keyNumber', { number: record.key + 1 })) },
      { title: t('channels.test.model'), cell: (record) => (record.model === '*' ? t('channels.allModels') : h('code', null, record.model)) },
      { title: t('channel.state'), cell: (record) => badge(t(`channel.state.${record.state}`), states[record.state]) },
      { title: t('channel.waits'), end: true, cell: (record) => duration(record.open_for_ms ?? null) },
      { title: t('channel.failuresInRow'), end: true, cell: (record) => number(record.failures) },
      { title: t('channel.coolings'), end: true, cell: (record) => number(record.openings) },
      { title: t('channel.lastFailure'), cell: (record) => (record.last_failure ? failureText(record.last_failure) : '') },
    ],
  })));
}

function settings(channel) {
  const { limits = {}, timeouts = {} } = channel;
  const names = ['rpm', 'tpm', 'concurrency'].filter((name) => limits[name] !== null && limits[name] !== undefined);
  const times = Object.entries(timeouts ?? {}).filter(([, value]) => value !== null);
  const renamed = channel.model_map.filter((one) => one.upstream !== one.name);
  return card(t('channel.settings'), facts(
    [t('channels.provider'), `${channel.display ?? channel.provider} (${channel.provider})`],
    [t('field.keys'), [number(channel.keys), (channel.config?.keys ?? []).map((key) => [' ', h('code', null, key.hint)])]],
    [t('channels.models'), channel.models.includes('*') ? t('channels.allModels')
      : h('ul.names', null, channel.models.map((name) => h('li', null, h('code', null, name))))],
    renamed.length > 0 && [t('channel.renamed'), h('ul.names', null, renamed.map((one) => h('li', null, h('code', null, `${one.name} → ${one.upstream}`))))],
    [t('channels.weight'), number(channel.weight)],
    [t('channels.field.priority'), String(channel.priority)],
    [t('channels.groups'), channel.groups.join(', ')],
    names.length > 0 && [t('channels.limits'), names.map((name) => h('div', null, t(`channels.field.limits.${name}`), ': ', number(limits[name])))],
    times.length > 0 && [t('channels.timeouts'), times.map(([name, value]) => h('div', null, t(`channels.field.timeouts.${name}`), ': ', String(value)))],
    channel.account && [t('channels.field.account'), channel.account],
    channel.conversion && [t('channels.field.conversion'), t(channel.conversion === 'strict' ? 'channels.strict' : 'channels.lenient')],
    channel.base_url && [t('channels.field.base_url'), h('code', null, channel.base_url)],
    channel.proxy && [t('channels.field.proxy'), h('code', null, String(channel.proxy))],
  ));
}
