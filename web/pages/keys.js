// The keys of the person who is logged in: what each may do, what it has spent, and what is left of its budgets.

import { del, get, post, put } from '../lib/api.js';
import { ago, day, h, moment, money, number, t } from '../lib/base.js';
import { byPage, list } from '../lib/table.js';
import { baseUrl, createKey, editKey, showSecret, snippets } from '../lib/keys.js';
import { badge, button, code, confirm, dialog, empty, facts, field, formDialog, heading, link, meter, toast } from '../lib/ui.js';

export default function page(ctx) {
  const create = async () => (await createKey(ctx.status)) && rows.reload();
  const rows = list({
    ctx, caption: t('nav.keys'), load: byPage(get, '/api/token'), sort: { by: 'created', order: 'desc' },
    filters: [
      field({ label: t('field.q'), name: 'q', type: 'search', placeholder: t('keys.search') }),
      field({ label: t('field.status'), name: 'status', type: 'select', options: [['', t('ui.all')], ['1', t('keys.enabled')], ['2', t('keys.disabled')]] }),
    ],
    columns: [
      { title: t('field.name'), sort: 'name', cell: (key) => h('div', null, h('span', null, key.name), h('span.muted', null, code(`${key.key_prefix}…`))) },
      { title: t('field.status'), cell: status },
      { title: t('keys.spent'), sort: 'spent', end: true, cell: (key) => money(key.spent?.total) },
      { title: t('field.budget'), cell: budgetCell },
      { title: t('field.models'), cell: (key) => (key.models.length ? modelsCell(key) : h('span.muted', null, t('keys.allModels'))) },
      { title: t('keys.used'), sort: 'accessed', class: 'nowrap', cell: (key) => (key.accessed_at ? ago(key.accessed_at)
        : h('span.muted', null, t('keys.unused'))) },
      { title: t('field.expires_at'), class: 'nowrap', cell: (key) => (key.expires_at ? day(key.expires_at) : t('keys.never')) },
    ],
    open: (key) => details(ctx, key, () => rows.reload()), openLabel: (key) => key.name,
    nothing: () => empty(t('keys.none'), t('keys.noneText'), button(t('keys.create'), { kind: 'primary', icon: 'plus', onClick: create })),
  });
  return [heading(t('nav.keys'), button(t('keys.create'), { kind: 'primary', icon: 'plus', onClick: create })), rows];
}

const isExpired = (key) => key.expires_at !== null && key.expires_at * 1000 < Date.now();

function status(key) {
  if (key.status !== 1) return badge(t('keys.disabled'), 'bad');
  if (isExpired(key)) return badge(t('keys.expired'), 'warn');
  if (key.limits === null) return badge(t('keys.unreadable'), 'bad');
  return h('span.row', null, badge(t('keys.enabled'), 'good'), key.management && badge(t('keys.management')));
}

const modelsCell = (key) => h('div', null, code(key.models[0]), key.models.length > 1 && h('span.muted', null,
  t('keys.furtherModels', { count: key.models.length - 1 })));

/** The budgets of a key, the one with the least left first: name, bound, spent, fraction. */
function budgets(key) {
  const budget = key.limits?.budget ?? {};
  return ['day', 'month', 'total'].filter((name) => budget[name] !== undefined && budget[name] !== null).map((name) => {
    const spent = key.spent?.[name] ?? 0;
    return { name, bound: budget[name], spent, fraction: budget[name] > 0 ? spent / budget[name] : 1 };
  }).sort((one, other) => other.fraction - one.fraction);
}

const bar = (one) => h('div.budget', null, h('div.budget-text', null, h('span', null, t(`keys.per.${one.name}`)),
  h('span', null, t('keys.spentOf', { spent: money(one.spent), bound: money(one.bound) }))), meter(one.fraction, t(`field.budget.${one.name}`)));

function budgetCell(key) {
  const [tightest] = budgets(key);
  return tightest ? bar(tightest) : h('span.muted', null, t('keys.noBudget'));
}

function details(ctx, key, reload) {
  const act = (close, work, done) => async () => {
    if ((await work()) === false) return;
    close();
    if (done) toast(done);
    reload();
  };
  return dialog({ title: key.name, side: true, content: (close) => [
    h('div.row', null, status(key), h('span.muted', null, code(`${key.key_prefix}…`))),
    h('div.actions', null,
      button(t('ui.edit'), { icon: 'edit', onClick: act(close, async () => (await editKey(key)) ?? false, t('ui.saved')) }),
      button(t('keys.rotate'), { icon: 'refresh', onClick: act(close, () => rotate(ctx, key)) }),
      key.status === 1 ? button(t('keys.disable'), { icon: 'stop', onClick: act(close, () => put(`/api/token/${key.id}`, { status: 2 }),
        t('keys.disabledNow')) })
        : button(t('keys.enable'), { icon: 'play', onClick: act(close, () => put(`/api/token/${key.id}`, { status: 1 }), t('keys.enabledNow')) }),
      button(t('ui.delete'), { kind: 'danger', icon: 'trash', onClick: act(close, () => remove(key), t('keys.deleted')) })),
    key.limits === null && h('div.note.warn', null, t('error.limits_unreadable')),
    h('h3', null, t('keys.budgets')), spending(key),
    h('h3', null, t('field.limits')), properties(key),
    h('p', null, link(`/console/usage?token_id=${key.id}`, t('keys.requests'))),
    !key.management && [h('h3', null, t('keys.useIt')), h('p.muted', null, t('keys.placeholder')), snippets({ base: baseUrl(ctx.status) })],
  ] });
}

function spending(key) {
  const list = budgets(key);
  return [
    facts([t('keys.spentDay'), money(key.spent?.day)], [t('keys.spentMonth'), money(key.spent?.month)], [t('keys.spentTotal'), money(key.spent?.total)],
      typeof key.left === 'number' && [t('keys.left'), money(key.left)]),
    list.length ? h('div.budgets', null, list.map(bar)) : h('p.muted', null, t('keys.noBudgetText')),
  ];
}

function properties(key) {
  const limits = key.limits ?? {};
  return facts(
    [t('field.expires_at'), key.expires_at ? moment(key.expires_at) : t('keys.never')],
    key.former_until && [t('keys.formerUntil'), moment(key.former_until)],
    [t('field.models'), key.models.length ? key.models.map((name) => [code(name), ' ']) : t('keys.allModels')],
    limits.rpm && [t('field.rpm'), number(limits.rpm)], limits.tpm && [t('field.tpm'), number(limits.tpm)],
    limits.concurrency && [t('field.concurrency'), number(limits.concurrency)],
    limits.allowed_ips?.length > 0 && [t('field.allowed_ips'), limits.allowed_ips.map((address) => [code(address), ' '])],
    key.conversion && [t('field.conversion'), t(`keys.${key.conversion}`)],
    key.admin_limits && [t('keys.adminLimits'), t('ui.yes')],
    [t('keys.createdAt'), moment(key.created_at)], [t('keys.used'), key.accessed_at ? moment(key.accessed_at) : t('keys.unused')]);
}

/** How long the old secret may go on, in seconds, so that programs can be given the new one meanwhile. */
const graces = [[0, 'now'], [3600, 'hour'], [86_400, 'day'], [604_800, 'week']];

async function rotate(ctx, key) {
  const grace = field({ label: t('keys.grace'), name: 'grace', type: 'select', hint: t('keys.graceHint'),
    options: graces.map(([seconds, name]) => [String(seconds), t(`keys.grace.${name}`)]) });
  const fresh = await formDialog({ title: t('keys.rotateOf', { name: key.name }), intro: t('keys.rotateText'), action: t('keys.rotate'), fields: [grace],
    onSubmit: (values) => post(`/api/token/${key.id}/rotate`, values.grace === '0' ? {} : { grace_seconds: Number(values.grace) }) });
  return fresh ? showSecret(fresh, ctx.status) : false;
}

async function remove(key) {
  if (!(await confirm({ title: t('keys.deleteOf', { name: key.name }), text: t('keys.deleteText'), action: t('ui.delete') }))) return false;
  return del(`/api/token/${key.id}`);
}
