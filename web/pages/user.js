// One user: money, limits, keys, what was bought, and the account itself.

import { decimal, mayChange, operationKey, roleBadge, tabs } from '../lib/admin.js';
import { del, get, post, put } from '../lib/api.js';
import { ago, day, duration, h, moment, money, none, replace, t } from '../lib/base.js';
import { byCursor, byPage, list, openRequest, outcomeBadge, tokenCell } from '../lib/table.js';
import { badge, button, card, code, confirm, empty, facts, field, fieldRow, form, formDialog, keeping, link, live, note, report, tile, tiles, toast } from '../lib/ui.js';

export default function page(ctx) {
  const { id } = ctx.parameters;
  const path = `/api/user/${encodeURIComponent(id)}`;
  const title = h('h1', { tabindex: -1 }, t('nav.users'));
  const actions = h('div.page-actions');
  const content = live((signal) => get(path, {}, { signal }), (user) => {
    const figures = h('div');
    let rows = null;
    const show = (now) => {
      title.textContent = now.username;
      ctx.setTitle(now.username);
      keeping(actions, () => replace(actions, bar(ctx, path, now, reload)));
      replace(figures, summary(now));
    };
    // Not the forms: what is typed into the others stays when one is saved.
    const reload = async () => {
      if (rows?.isConnected) rows.reload();
      await get(path, {}, { signal: ctx.signal }).then(show, report);
    };
    show(user);
    return [figures, tabs(ctx, t('user.views'), [
      ['profile', t('nav.account'), () => profile(ctx, path, user, reload)],
      ['keys', t('nav.keys'), (inner) => keys(inner, user)],
      ['transactions', t('user.transactions'), (inner) => (rows = transactions(inner, user, reload))],
      ['requests', t('user.requests'), (inner) => requests(inner, user)],
    ])];
  }, { signal: ctx.signal });
  return [link('/console/users', `← ${t('user.all')}`), h('header.page-head', null, title, actions), content];
}

const summary = (user) => [
  h('p.row.about', null, roleBadge(user), user.status === 2 && badge(t('users.disabled'), 'bad'), h('span.muted', null, t('user.group', { name: user.group })),
    h('span.muted', null, t('user.since', { day: day(user.created_at), id: String(user.id) }))),
  user.limits === null && note('warn', t('user.brokenLimits')),
  tiles(tile(t('overview.balance'), money(user.balance), user.held > 0 && t('users.held', { amount: money(user.held) }), user.balance <= 0 ? 'bad' : null),
    tile(t('keys.spentMonth'), money(user.spent?.month)), tile(t('users.total'), money(user.spent?.total))),
];

function bar(ctx, path, user, reload) {
  if (!mayChange(ctx, user)) return null;
  const isSelf = user.id === ctx.user.id;
  const change = async (status) => {
    if (status === 2 && !(await confirm({ title: t('user.disableTitle', { name: user.username }), text: t('user.disableText'),
      action: t('keys.disable') }))) return;
    await put(path, { status });
    toast(t('ui.saved'));
    await reload();
  };
  return [
    button(t('balance.add'), { icon: 'plus', kind: 'primary', onClick: async () => {
      const { addBalance } = await import('../lib/balance.js');
      if (await addBalance(user.id, user.username)) await reload();
    } }),
    !isSelf && (user.status === 1 ? button(t('keys.disable'), { icon: 'stop', onClick: () => change(2) })
      : button(t('keys.enable'), { icon: 'check', onClick: () => change(1) })),
    !isSelf && button(t('ui.delete'), { icon: 'trash', kind: 'danger', onClick: async () => {
      if (!(await confirm({ title: t('keys.deleteOf', { name: user.username }), text: t('user.deleteText'), action: t('ui.delete') }))) return;
      await del(path);
      toast(t('channel.deleted', { name: user.username }));
      await ctx.go('/console/users');
    } }),
  ];
}

// The account

function profile(ctx, path, user, reload) {
  if (!mayChange(ctx, user)) {
    return card(t('nav.account'), h('p.muted', null, t('user.onlyRoot')), facts(
      ...['username', 'display_name', 'email', 'group'].map((name) => [t(`field.${name}`), user[name] || none])));
  }
  const save = (values) => put(path, values).then(() => {
    toast(t('ui.saved'));
    return reload();
  });
  return h('div.grid', null, about(path, user, save), limits(user, save), credentials(ctx, user, save));
}

function about(path, user, save) {
  const text = (name, options = {}) => field({ label: t(`field.${name}`), name, value: user[name], ...options });
  const group = text('group', { type: 'select', options: [user.group] });
  // The other groups come when they are there; the form can be used before.
  get('/api/group').then((groups) => {
    replace(group.input, groups.map((one) => h('option', { value: one.name }, one.ratio === 1 ? one.name : `${one.name} (× ${one.ratio})`)));
    group.set(user.group);
  }, () => {});
  return card(t('nav.account'), form({ fields: [text('username', { required: true }), text('display_name'), text('email', { type: 'email' }), group],
    action: t('ui.save'), onSubmit: save }));
}

function limits(user, save) {
  const stored = user.limits ?? {};
  const one = (name, value, options = {}) => field({ label: t(`field.${name}`), name, type: 'number', min: 1, step: '1', value, ...options });
  const budgets = ['day', 'month', 'total'].map((name) => one(`budget.${name}`, stored.budget?.[name], { min: 0, step: 'any' }));
  const rates = ['rpm', 'tpm', 'concurrency'].map((name) => one(name, stored[name]));
  return card(t('field.limits'), h('p.muted', null, t('user.limitsText')),
    form({ fields: [fieldRow(...budgets), fieldRow(...rates)], action: t('ui.save'), onSubmit: (values) => {
    const set = (pairs) => Object.fromEntries(pairs.filter(([, value]) => value !== null));
    const budget = set(['day', 'month', 'total'].map((name) => [name, values[`budget.${name}`]]));
    return save({ limits: { ...set(['rpm', 'tpm', 'concurrency'].map((name) => [name, values[name]])), ...(Object.keys(budget).length ? { budget } : {}) } });
  } }));
}

function credentials(ctx, user, save) {
  const isSelf = user.id === ctx.user.id;
  const roles = [1, 10].filter((one) => one < ctx.user.role);
  const role = field({ label: t('field.role'), name: 'role', type: 'select', value: String(user.role),
    options: roles.map((one) => [String(one), t(`role.${one}`)]) });
  const password = field({ label: t('account.new'), name: 'password', type: 'password', minlength: 8, maxlength: 128, required: true,
    autocomplete: 'new-password', hint: t('user.passwordHint') });
  return card(t('user.access'), isSelf ? h('p.muted', null, t('user.ownAccess'), ' ', link('/console/account', t('nav.account')))
    : [roles.length > 1 && form({ fields: [role], action: t('user.setRole'), kind: 'plain', onSubmit: (values) => save({ role: Number(values.role) }) }),
      roles.length > 1 && h('hr'),
      form({ fields: [password], action: t('user.setPassword'), kind: 'plain', onSubmit: save })]);
}

// Lists

function keys(ctx, user) {
  const rows = list({
    ctx, caption: t('nav.keys'), load: byPage(get, '/api/token', { user_id: user.id }), open: async (key) => {
      const { editKey } = await import('../lib/keys.js');
      if (await editKey(key)) await rows.reload();
    }, openLabel: (key) => key.name, nothing: () => empty(t('user.noKeys'), t('user.noKeysText')),
    columns: [
      { title: t('field.name'), cell: (key) => [key.name, h('span.muted.mono', null, `${key.key_prefix}…`)] },
      { title: t('field.status'), cell: (key) => badge(t(key.status === 1 ? 'field.enabled' : 'users.disabled'), key.status === 1 ? 'good' : 'bad') },
      { title: t('keys.spentMonth'), end: true, cell: (key) => money(key.spent?.month) },
      { title: t('users.total'), end: true, cell: (key) => money(key.spent?.total) },
      { title: t('user.left'), end: true, cell: (key) => money(key.left) },
      { title: t('keys.used'), cell: (key) => (key.accessed_at ? ago(key.accessed_at) : t('user.neverUsed')) },
      { title: t('field.expires_at'), cell: (key) => (key.expires_at ? day(key.expires_at) : t('user.neverExpires')) },
    ],
  });
  return rows;
}

const types = ['recharge', 'usage', 'refund', 'adjustment'];

function transactions(ctx, user, reload) {
  const rows = list({
    ctx, caption: t('user.transactions'), load: byCursor(get, '/api/balance/transactions', { user_id: user.id }),
      nothing: () => empty(t('user.noRows'), t('user.noRowsText')),
    filters: [field({ label: t('field.type'), name: 'type', type: 'select',
      options: [['', t('ui.all')], ...types.map((type) => [type, t(`user.type.${type}`)])] })],
    columns: [
      { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
      { title: t('field.type'), cell: (row) => t(`user.type.${row.type}`) },
      { title: t('field.description'), cell: (row) => [row.description, h('span.muted.mono', null, row.reference_id)] },
      { title: t('field.amount'), end: true, class: 'nowrap', cell: (row) => money(row.amount) },
      { title: t('billing.after'), end: true, class: 'nowrap', cell: (row) => money(row.balance_after) },
      { title: t('admin.actions'), cell: (row) =>
        row.type === 'usage' && mayChange(ctx, user) && button(t('user.refund'), { kind: 'quiet', onClick: async () => {
        if (await refund(row)) await reload();
      } }) },
    ],
  });
  return rows;
}

async function refund(row) {
  const key = operationKey();
  // A charge is a negative amount.
  const most = decimal(-row.amount);
  const amount = field({ label: t('balance.amount'), name: 'amount', type: 'number', min: 0, max: most, value: most, required: true,
    hint: t('user.refundHint', { most: `$${most}` }) });
  const done = await formDialog({
    title: t('user.refundTitle'), action: t('user.refund'), intro: row.description,
    fields: [amount, field({ label: t('field.description'), name: 'description', required: false, maxlength: 500 }),
      h('p.muted', null, t('user.operation'), ' ', code(key))],
    // The text of the input, because a binary fraction is no exact amount.
    onSubmit: (values) => post('/api/balance/admin/refund',
      { reference_id: row.reference_id, amount: amount.input.value, description: values.description || null },
      { headers: { 'Idempotency-Key': key } }),
  });
  if (done) toast(t('user.refunded', { amount: money(done.amount) }));
  return done;
}

const requests = (ctx, user) => list({
  ctx, caption: t('user.requests'), load: byCursor(get, '/api/log', { user_id: user.id }), nothing: () => empty(t('stats.none'), t('user.noRequestsText')),
  open: (row) => openRequest(row, { isAdmin: true }), openLabel: (row) => row.request_id,
  columns: [
    { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
    { title: t('channels.test.model'), cell: (row) => code(row.model_name) },
    { title: t('field.outcome'), cell: outcomeBadge },
    { title: t('stats.tokens'), end: true, cell: tokenCell },
    { title: t('logs.took'), end: true, class: 'nowrap', cell: (row) => duration(row.latency_ms) },
    { title: t('request.money'), end: true, class: 'nowrap', cell: (row) => money(row.cost) },
  ],
});
