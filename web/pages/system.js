// The gateway itself: whether it is ready, what waits to be booked, who else is there, and whether the books are right.

import { get, post } from '../lib/api.js';
import { ago, bytes, duration, h, moment, number, replace, t } from '../lib/base.js';
import { table } from '../lib/table.js';
import { badge, button, card, code, facts, heading, link, linkButton, live, note, tile, tiles } from '../lib/ui.js';

export default function page(ctx) {
  const node = live((signal) => get('/api/system', {}, { signal }), draw, { signal: ctx.signal, skeleton: 4 });
  ctx.every(5000, () => node.reload());
  return [heading(t('nav.system'), linkButton('/api/openapi.json', t('system.openapi'), { icon: 'file' })), node,
    h('div.grid', null, verification(), poison(ctx))];
}

function draw(system) {
  const { readiness, journal } = system;
  return [
    !readiness.ready && note('warn', h('p', null, t('system.notReady')), h('ul', { lang: 'en' }, readiness.problems.map((problem) => h('li', null, problem)))),
    tiles(tile(t('channel.state'), t(readiness.ready ? 'system.ready' : 'system.stopped'), null, readiness.ready ? null : 'bad'),
      tile(t('system.uptime'), duration(system.uptime * 1000), moment(system.started_at)), tile(t('system.memory'), bytes(system.memory_bytes)),
      tile(t('system.streams'), number(system.streams), [t('system.connections', { count: system.connections }),
        system.background_responses > 0 && ` · ${t('system.background', { count: system.background_responses })}`])),
    h('div.grid', null,
      card(t('system.program'), facts([t('pricing.version'), system.version],
        [t('system.database'), [system.database.kind, system.database.answers === false && [' ', badge(t('system.silent'), 'bad')]]],
        [t('system.pid'), String(system.pid)],
        [t('system.cpu'), duration(system.cpu_seconds * 1000)])),
      card(t('system.journal'), facts([t('system.unposted'), number(journal.unposted)], [t('system.refused'), number(journal.poison)],
        [t('system.bytes'), bytes(journal.bytes)], [t('system.durability'), t(journal.fsync ? 'system.durability.power' : 'system.durability.process')]))),
    gateways(system.gateways),
  ];
}

const gateways = (list) => list.length > 0 && card(t('system.gateways'), h('div.list', null, table({
  caption: t('system.gatewaysHere'), rows: list, columns: [
    { title: t('nav.group.run'), cell: (one) => [code(one.id), ' ', one.is_this && badge(t('system.self'))] },
    { title: t('field.status'), cell: (one) =>
      (one.is_fenced ? badge(t('system.fenced'), 'warn') : one.silent_seconds > 60 && !one.is_this ? badge(t('system.silent'), 'warn') : badge(t('system.alive'), 'good')) },
    { title: t('system.started'), cell: (one) => moment(one.started_at) },
    { title: t('system.seen'), cell: (one) => ago(one.is_this ? Date.now() / 1000 : one.seen_at) },
  ],
})));

// The books

function verification() {
  const place = h('div', { 'aria-live': 'polite' });
  return card(t('system.ledger'), h('p', null, t('system.verifyText')),
    h('div.actions', null, button(t('system.verify'), { icon: 'check', onClick: async () => {
    replace(place, h('p.muted', { role: 'status' }, t('system.verifying')));
    try {
      replace(place, verdict(await post('/api/ledger/verify')));
    } catch (error) {
      place.replaceChildren();
      throw error;
    }
  } })), place);
}

function verdict(result) {
  const checked = t('system.checked', { count: result.checked });
  if (result.ok) return note('info', t('system.right'), ' ', checked);
  return [note('warn', t('system.wrong', { count: result.differences.length })), h('ul.findings', { lang: 'en' }, result.differences.map((one) =>
    h('li', null, h('span', null, one))))];
}

const poison = (ctx) => card(t('system.poison'), h('p', null, t('system.poisonText')),
  live((signal) => get('/api/ledger/poison', {}, { signal }), (rows) => (rows.length === 0 ? h('p.muted', null, t('system.noPoison'))
    : h('div.list', null, table({ caption: t('system.poisonList'), rows, columns: [
      { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
      { title: t('field.request_id'), cell: (row) => link(`/console/logs?request_id=${encodeURIComponent(row.request_id)}`, code(row.request_id)) },
      { title: t('pricing.reason'), cell: (row) => h('span', { lang: 'en' }, row.reason) },
    ] }))), { signal: ctx.signal, skeleton: 1 }));
