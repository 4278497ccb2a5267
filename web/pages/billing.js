// Money of the person who is logged in: what is there, and every row of the ledger that led to it.

import { get } from '../lib/api.js';
import { h, moment, money, sumOf, t } from '../lib/base.js';
import { byCursor, exportButton, list } from '../lib/table.js';
import { badge, button, card, empty, field, heading, link, live, momentField, tile, tiles } from '../lib/ui.js';

const kinds = { recharge: 'good', usage: null, refund: 'warn', adjustment: 'warn' };

export default function page(ctx) {
  // The application has asked who is here a moment ago, when it was loaded.
  let isFresh = performance.now() < 5000;
  const balance = live(async () => {
    const user = isFresh ? ctx.user : await ctx.refreshUser();
    isFresh = false;
    return user ?? ctx.user;
  }, drawBalance, { signal: ctx.signal, skeleton: 1 });
  const rows = list({
    ctx, caption: t('billing.rows'), load: byCursor(get, '/api/balance/transactions'),
    filters: [
      field({ label: t('field.type'), name: 'type', type: 'select', options: [['', t('ui.all')],
        ...Object.keys(kinds).map((name) => [name, t(`billing.type.${name}`)])] }),
      momentField({ label: t('field.from'), name: 'from' }), momentField({ label: t('field.to'), name: 'to' }),
    ],
    columns: [
      { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
      { title: t('field.type'), cell: (row) => badge(t(`billing.type.${row.type}`), kinds[row.type]) },
      { title: t('field.description'), cell: describe },
      { title: t('field.amount'), end: true, cell: (row) => h('span', { class: row.amount > 0 ? 'gain' : null },
        `${row.amount > 0 ? '+' : ''}${money(row.amount)}`) },
      { title: t('billing.after'), end: true, cell: (row) => money(row.balance_after) },
    ],
    nothing: () => empty(t('billing.none'), t('billing.noneText')),
  });
  const add = ctx.may('root') && button(t('balance.add'), { kind: 'primary', icon: 'plus', onClick: async () => {
    const { addBalance } = await import('../lib/balance.js');
    if (await addBalance(ctx.user.id, ctx.user.username)) await Promise.all([balance.reload(), rows.reload()]);
  } });
  ctx.every(60_000, () => Promise.all([balance.reload(), rows.refresh()]));
  return [heading(t('nav.billing'), exportButton('/api/balance/transactions/export', () => rows.wanted(), 'ledger.csv'), add), balance,
    card(t('billing.topUp'), h('p', null, ctx.may('root') ? t('billing.topUpRoot') : t('billing.topUpText'))), h('h2.section', null, t('overview.ledger')),
      rows];
}

const drawBalance = (data) => tiles(
  tile(t('overview.balance'), money(data.balance)),
  tile(t('billing.held'), money(data.held), t('billing.heldText')),
  tile(t('billing.available'), money(sumOf(data.balance, -data.held))));

/** A charge leads to its call. */
function describe(row) {
  if (row.type === 'usage') return h('div', null, row.description,
    h('span.muted', null, link(`/console/usage?request_id=${encodeURIComponent(row.reference_id)}`, t('playground.row'))));
  return h('div', null, row.description || t(`billing.type.${row.type}`), row.reference_id && h('span.muted', null, h('code', null, row.reference_id)));
}
