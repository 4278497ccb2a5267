// Prices: the table, models that have none, prices that lists have let fall too far, and what a sync would change.

import { contains, tabs, whole } from '../lib/admin.js';
import { get, post } from '../lib/api.js';
import { ago, h, has, perMillion, replace, t } from '../lib/base.js';
import { list, table } from '../lib/table.js';
import { marks, priceCell } from '../lib/price-cell.js';
import { button, code, confirm, empty, field, heading, live, note, toast } from '../lib/ui.js';

const priceDialog = async (row) => (await import('../lib/price-form.js')).priceDialog(row);
const historyDialog = async (row) => (await import('../lib/price-form.js')).historyDialog(row);

export default function page(ctx) {
  return [heading(t('nav.pricing')), ...tabs(ctx, t('pricing.views'), [
    ['prices', t('pricing.prices'), prices], ['missing', t('pricing.missing'), missing], ['held', t('pricing.held'), held], ['sync', t('pricing.sync'), sync],
  ])];
}

// The table

const editable = ['pricing_input', 'pricing_output', 'pricing_cache_read', 'pricing_cache_write'];

function prices(ctx) {
  const add = () => button(t('pricing.add'), { icon: 'plus', onClick: async () => {
    if (await priceDialog({})) await rows.reload();
  } });
  const rows = list({
    ctx, caption: t('nav.pricing'), actions: [add()], nothing: () => empty(t('pricing.none'), t('pricing.noneText'), add()),
    filters: [
      field({ label: t('field.q'), name: 'q', type: 'search', placeholder: t('pricing.searchHint') }),
      field({ label: t('pricing.show'), name: 'show', type: 'select',
        options: [['', t('ui.all')], ['edited', t('pricing.edited')], ['inactive', t('pricing.inactive')], ['cost', t('pricing.byCost')]] }),
    ],
    load: whole(() => get('/api/models/pricing', {}, { signal: ctx.signal }), matches, { portion: 60 }), columns: columns(),
  });
  return rows;
}

function matches(row, query) {
  if (query.show === 'edited' && !row.is_edited) return false;
  if (query.show === 'inactive' && row.is_active) return false;
  if (query.show === 'cost' && row.basis !== 'upstream_cost') return false;
  return contains(query.q, row.model_name, row.display_name, row.provider);
}

function columns() {
  // The parts of a row that are drawn again after a change.
  const parts = new WeakMap();
  const live = (row, draw) => {
    const node = h('span', null, draw());
    parts.set(row, [...(parts.get(row) ?? []), () => replace(node, draw())]);
    return node;
  };
  const changed = (row) => (saved) => {
    // A change by hand is what the mark says.
    Object.assign(row, saved, { is_edited: saved.is_edited ?? true });
    for (const draw of parts.get(row) ?? []) draw();
  };
  return [
    { title: t('field.model'), class: 'keep', cell: (row) => [code(row.model_name), h('span.muted', null, row.provider)] },
    ...editable.map((name) => ({ title: t(`pricing.short.${name}`), end: true, class: 'nowrap',
      cell: (row) => live(row, () => priceCell(row, name, changed(row))) })),
    { title: t('pricing.marks'), cell: (row) => live(row, () => [marks(row), h('span.muted', null, ago(row.updated_at))]) },
    { title: t('admin.actions'), class: 'nowrap', cell: (row) => h('span', null,
      button('', { icon: 'edit', kind: 'quiet', title: t('pricing.editAll', { model: row.model_name }), onClick: async () => {
        const saved = await priceDialog(row);
        if (saved) changed(row)(saved);
      } }),
      button('', { icon: 'logs', kind: 'quiet', title: t('pricing.historyOf', { model: row.model_name }), onClick: () => historyDialog(row) })) },
  ];
}

// Models without a price

const reasons = [['the channel names', 'channel'], ["the provider's file", 'file'], ["the vendor's list", 'list']];

/** The server's reasons are English sentences. */
function reasonText(reason) {
  const known = reasons.find(([begin]) => reason.startsWith(begin));
  return known ? t(`pricing.reason.${known[1]}`) : h('span', { lang: 'en' }, reason);
}

const missing = (ctx) => live((signal) => get('/api/pricing/missing', {}, { signal }),
  (models, reload) => (models.length === 0 ? empty(t('pricing.noneMissing'), t('pricing.noneMissingText'))
  : h('div.list', null, h('p.intro', null, t('pricing.missingText')), table({
    caption: t('pricing.missing'), rows: models, columns: [
      { title: t('field.model'), cell: (row) => code(row.model) },
      { title: t('nav.channels'), cell: (row) => row.channels.join(', ') },
      { title: t('pricing.reason'), cell: (row) => reasonText(row.reason) },
      { title: t('admin.actions'), class: 'nowrap', cell: (row) => button(t('pricing.setPrice'), { onClick: async () => {
        if (await priceDialog({ model_name: row.model })) await reload();
      } }) },
    ],
  }))), { signal: ctx.signal });

// Prices that fell

const held = (ctx) => live((signal) => get('/api/models/held', {}, { signal }),
  (models, reload) => (models.length === 0 ? empty(t('pricing.noneHeld'), t('pricing.noneHeldText'))
  : h('div.list', null, h('p.intro', null, t('pricing.heldText')), table({
    caption: t('pricing.held'), rows: models, columns: [
      { title: t('field.model'), cell: (row) => [code(row.model_name), h('span.muted', null, row.provider)] },
      { title: t('pricing.source'), cell: (row) => t(`pricing.source.${row.source}`) },
      { title: t('pricing.change'), cell: (row) => h('span', { lang: 'en' }, row.changes) },
      { title: t('admin.actions'), class: 'nowrap', cell: (row) => button(t('pricing.accept'), { onClick: async () => {
        if (!(await confirm({ title: t('pricing.acceptTitle', { model: row.model_name }), text: `${row.changes}. ${t('pricing.acceptText')}`,
          action: t('pricing.accept'), kind: 'primary' }))) return;
        await post('/api/models/held/accept', { model_name: row.model_name });
        toast(t('pricing.saved', { model: row.model_name }));
        await reload();
      } }) },
    ],
  }))), { signal: ctx.signal });

// A sync, looked at before it is taken

function sync() {
  const place = h('div');
  const look = button(t('pricing.look'), { icon: 'refresh', kind: 'primary',
    onClick: async () => replace(place, difference(await post('/api/pricing/sync', { apply: false }), look)) });
  return h('div.stack', null, h('p', null, t('pricing.syncText')), look, place);
}

const shownField = (name) => (has(`pricing.pricing_${name}`) ? t(`pricing.pricing_${name}`) : has(`pricing.${name}`) ? t(`pricing.${name}`) : name);

function difference(result, look) {
  const fresh = result.new_models.map((row) => ({ model: row.model_name, price: row, changes: [] }));
  const known = new Map();
  for (const change of result.changes) known.set(change.model, [...(known.get(change.model) ?? []), change]);
  const rows = [...[...known].map(([model, changes]) => ({ model, changes })), ...fresh.filter((row) => !known.has(row.model))];
  const problems = result.problems.length > 0 && note('warn', h('p', null, t('pricing.problems')), h('ul', { lang: 'en' }, result.problems.map((one) =>
    h('li', null, code(one.provider), ' ', one.message))));
  if (!rows.length) return [problems, empty(t('pricing.inSync'), t('pricing.inSyncText'))];
  const boxes = rows.map((row) => h('input',
    { type: 'checkbox', checked: true, 'aria-label': t('pricing.take', { model: row.model }), on: { change: () => count() } }));
  const chosen = () => rows.filter((_, index) => boxes[index].checked).map((row) => row.model);
  const take = button('', { kind: 'primary', title: t('pricing.takeNone'), onClick: async () => {
    const models = chosen();
    await post('/api/pricing/sync', models.length === rows.length ? { apply: true } : { apply: true, models });
    toast(t('pricing.taken', { count: models.length }));
    look.click();
  } });
  const count = () => {
    replace(take, h('span', null, t('pricing.takeThese', { count: chosen().length })));
    take.removeAttribute('aria-label');
    take.classList.remove('bare');
    take.disabled = chosen().length === 0;
  };
  count();
  return h('div.list', null, problems, table({
    caption: t('pricing.differences'), rows: rows.map((row, index) => ({ ...row, box: boxes[index] })), columns: [
      { title: t('pricing.takeIt'), cell: (row) => row.box },
      { title: t('field.model'), cell: (row) => code(row.model) },
      { title: t('pricing.change'), cell: (row) =>
        (row.price ? [t('pricing.newModel'), ' ', perMillion(row.price.pricing_input), ' / ', perMillion(row.price.pricing_output)]
        : h('ul', null, row.changes.map((change) =>
        h('li', null, shownField(change.field), ': ', h('del', null, change.old || t('pricing.nothing')), ' → ',
          h('ins', null, change.new || t('pricing.nothing')))))) },
    ],
  }), result.held.length > 0 && h('p.muted', null, t('pricing.someHeld', { count: result.held.length })), h('div.actions', null, take));
}
