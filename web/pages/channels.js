// All channels, of the files and of the console, in one table.

import { contains, tabs, whole } from '../lib/admin.js';
import { channelName, health, healthSummary, missingSecrets, setState, sourceOf, statusBadge, testDialog } from '../lib/channel.js';
import { get } from '../lib/api.js';
import { h, number, replace, t } from '../lib/base.js';
import { list } from '../lib/table.js';
import { badge, button, code, empty, field, heading, link, toast } from '../lib/ui.js';

export default function page(ctx) {
  return [heading(t('nav.channels')), ...tabs(ctx, t('channels.views'), [
    ['channels', t('nav.channels'), channels],
    ['providers', t('providers.title'), providers],
  ])];
}

function channels(ctx) {
  const missing = h('div.stack');
  let names = [];
  const add = () => button(t('channels.add'), { icon: 'plus', kind: 'primary', onClick: async () => {
    const { channelDialog } = await import('../lib/channel-form.js');
    if (await channelDialog(ctx, null, names)) await all.reload();
  } });
  const all = list({
    ctx, caption: t('nav.channels'), columns: columns(ctx, () => all.reload()), filters: filters(), actions: [add()],
    load: whole(async () => {
      const channels = await get('/api/channel', {}, { signal: ctx.signal });
      names = channels.map((channel) => channel.name);
      const notices = missingSecrets(channels, () => all.reload());
      // A notice that is the same stays, so that its button keeps the focus.
      if (missing.textContent !== notices.map((notice) => notice.textContent).join('')) replace(missing, notices);
      return channels;
    }, matches, { portion: 200 }),
    open: (channel) => ctx.go(`/console/channels/${channel.id}`), openLabel: (channel) => channel.name,
    nothing: () => empty(t('channels.none'), t('channels.noneText'), add()),
  });
  ctx.every(5000, () => all.isConnected && all.refresh());
  return [missing, all];
}

const filters = () => [
  field({ label: t('field.q'), name: 'q', type: 'search', placeholder: t('channels.searchHint') }),
  field({ label: t('field.status'), name: 'status', type: 'select', options: [['', t('ui.all')],
    ...['on', 'off', 'disabled', 'draining', 'drained', 'cooling'].map((status) => [status, t(`channels.status.${status}`)])] }),
  field({ label: t('channels.source'), name: 'source', type: 'select',
    options: [['', t('ui.all')], ['file', t('channels.file')], ['console', t('channels.console')]] }),
];

function matches(channel, query) {
  if (query.source && channel.source?.kind !== query.source) return false;
  if (query.status === 'cooling' ? health(channel).cooling.length === 0 : query.status && channel.status !== query.status) return false;
  return contains(query.q, channel.name, String(channel.id), channel.provider, channel.display, ...channel.models, ...channel.groups);
}

function models(channel) {
  if (channel.models.includes('*')) return t('channels.allModels');
  const [first, ...others] = channel.models;
  return [h('code', null, first ?? ''), others.length > 0
    && h('span.muted', { title: channel.models.join('\n') }, t('channels.andMore', { count: others.length }))];
}

const columns = (ctx, reload) => [
  { title: t('channels.one'), class: 'keep', cell: channelName },
  { title: t('field.status'), cell: (channel) =>
    [statusBadge(channel), channel.disabled_reason && !channel.missing_secrets?.length && h('span.muted', null, channel.disabled_reason)] },
  { title: t('channels.models'), class: 'keep', cell: models },
  { title: t('channels.weight'), end: true, class: 'nowrap',
    cell: (channel) => [number(channel.weight), h('span.muted', null, t('channels.priorityOf', { priority: channel.priority }))] },
  { title: t('channels.inFlight'), end: true, cell: (channel) => number(channel.in_flight) },
  { title: t('channels.health'), class: 'nowrap', cell: healthSummary },
  { title: t('channels.source'), class: 'nowrap', cell: (channel) => sourceOf(ctx, channel) },
  { title: t('admin.actions'), class: 'nowrap', cell: (channel) => actions(channel, reload) },
];

function actions(channel, reload) {
  const isOn = channel.status === 'on';
  return h('span', null,
    button('', { icon: 'play', kind: 'quiet', title: t('channels.testOne', { name: channel.name }), onClick: () => testDialog(channel) }),
    channel.status !== 'off' && button('', {
      icon: isOn ? 'stop' : 'check', kind: 'quiet', title: t(isOn ? 'channels.disableOne' : 'channels.enableOne', { name: channel.name }),
        onClick: async () => {
        await setState(channel, isOn ? 'disable' : 'enable');
        toast(t(isOn ? 'channels.disabled' : 'channels.enabled', { name: channel.name }));
        await reload();
      },
    }));
}

// Providers

/** Providers of one's own, declared in the console. */
function providers(ctx) {
  const reload = () => rows.reload();
  const isRoot = ctx.may('root');
  const forms = () => import('../lib/provider-form.js');
  const edit = async (provider) => (await (await forms()).providerDialog(provider)) && reload();
  const add = () => isRoot && button(t('providers.add'), { icon: 'plus', kind: 'primary', onClick: () => edit(null) });
  const rows = list({
    ctx, caption: t('providers.title'), actions: [add()], nothing: () => empty(t('providers.none'), t('providers.noneText'), add()),
    filters: [field({ label: t('field.q'), name: 'q', type: 'search' })],
    load: whole(async () => {
      const [all, channels] = await Promise.all([get('/api/provider', {}, { signal: ctx.signal }), get('/api/channel', {}, { signal: ctx.signal })]);
      return all.filter((one) => one.source?.kind === 'console')
        .map((one) => ({ ...one, channels: channels.filter((channel) => channel.provider === one.name) }));
    }, (one, query) => contains(query.q, one.name, one.display_name, one.base_url, ...one.models.map((model) => model.name))),
    columns: [
      { title: t('channels.provider'), class: 'keep', cell: (one) => h('div', null, h('span', null, one.display_name), h('span.muted', null, one.name),
        one.problem && [badge(t('providers.notInUse'), 'bad'), h('span.muted', { lang: 'en' }, one.problem)]) },
      { title: t('channels.field.base_url'), class: 'keep', cell: (one) => code(one.base_url) },
      { title: t('providers.family'), cell: (one) => one.family },
      { title: t('channels.models'), end: true, cell: (one) => number(one.model_count) },
      { title: t('nav.channels'), cell: (one) => one.channels.map((channel, index) => [index > 0 && ', ', link(`/console/channels/${channel.id}`, channel.name)]) },
      isRoot && { title: t('admin.actions'), class: 'nowrap', cell: (one) => h('span', null,
        button('', { icon: 'edit', kind: 'quiet', title: t('providers.edit', { name: one.display_name }), onClick: () => edit(one) }),
        button('', { icon: 'trash', kind: 'quiet', title: t('channels.deleteProviderTitle', { name: one.display_name }),
          onClick: async () => (await (await forms()).removeProvider(one)) && reload() })) },
    ],
  });
  return [h('p.intro', null, t('providers.intro')), rows];
}
