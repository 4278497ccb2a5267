// All users: what they have, what they spend, and the two things done most often: making one and giving one money.

import { mayChange, roleBadge } from '../lib/admin.js';
import { get, post } from '../lib/api.js';
import { day, h, money, t } from '../lib/base.js';
import { byPage, list } from '../lib/table.js';
import { badge, button, empty, field, fieldRow, formDialog, heading, link, toast } from '../lib/ui.js';

export default async function page(ctx) {
  const groups = (await get('/api/group', {}, { signal: ctx.signal })).map((group) => group.name);
  const create = () => button(t('users.create'), { icon: 'plus', kind: 'primary', onClick: () => createUser(ctx, groups) });
  const users = list({
    ctx, caption: t('nav.users'), filters: filters(groups), sort: { by: 'id', order: 'desc' }, load: byPage(get, '/api/user'),
    columns: columns(ctx, () => users.reload()), open: (user) => ctx.go(`/console/users/${user.id}`), openLabel: (user) => user.username,
    nothing: () => empty(t('users.none'), t('users.noneText'), create()),
  });
  return [heading(t('nav.users'), create()), users];
}

const filters = (groups) => [
  field({ label: t('field.q'), name: 'q', type: 'search', placeholder: t('users.searchHint') }),
  field({ label: t('field.role'), name: 'role', type: 'select',
    options: [['', t('ui.all')], ...[1, 10, 100].map((role) => [String(role), t(`role.${role}`)])] }),
  field({ label: t('field.status'), name: 'status', type: 'select', options: [['', t('ui.all')], ['1', t('field.enabled')], ['2', t('users.disabled')]] }),
  field({ label: t('field.group'), name: 'group', type: 'select', options: [['', t('ui.all')], ...groups] }),
];

const columns = (ctx, reload) => [
  { title: t('users.one'), sort: 'username', class: 'keep', cell: (user) => [link(`/console/users/${user.id}`, user.username),
    user.display_name && user.display_name !== user.username && h('span.muted', null, user.display_name), user.email && h('span.muted', null, user.email)] },
  { title: t('field.role'), cell: (user) => h('span.badges', null, roleBadge(user), user.status === 2 && badge(t('users.disabled'), 'bad')) },
  { title: t('field.group'), cell: (user) => user.group },
  { title: t('overview.balance'), end: true, sort: 'balance', class: 'nowrap',
    cell: (user) => [h('span', { class: user.balance < 0 ? 'negative' : null }, money(user.balance)),
    user.held > 0 && h('span.muted', null, t('users.held', { amount: money(user.held) }))] },
  { title: t('keys.spentMonth'), end: true, sort: 'spent', class: 'nowrap', cell: (user) => money(user.spent?.month) },
  { title: t('users.total'), end: true, class: 'nowrap', cell: (user) => money(user.spent?.total) },
  { title: t('users.since'), sort: 'created', class: 'nowrap', cell: (user) => day(user.created_at) },
  { title: t('admin.actions'), cell: (user) => mayChange(ctx, user) &&
    button('', { icon: 'plus', kind: 'quiet', title: t('balance.addTo', { name: user.username }), onClick: async () => {
    const { addBalance } = await import('../lib/balance.js');
    if (await addBalance(user.id, user.username)) await reload();
  } }) },
];

async function createUser(ctx, groups) {
  const roles = [1, 10].filter((role) => role < ctx.user.role);
  const text = (name, options = {}) => field({ label: t(`field.${name}`), name, required: false, ...options });
  const user = await formDialog({
    title: t('users.create'), action: t('users.create'), intro: t('users.createText'),
    fields: [text('username', { required: true, maxlength: 64 }),
      text('password', { type: 'password', required: true, minlength: 8, maxlength: 128, autocomplete: 'new-password', hint: t('users.passwordHint') }),
      fieldRow(text('display_name'), text('email', { type: 'email' })),
      fieldRow(text('group', { type: 'select', options: groups, value: 'default' }),
        text('role', { type: 'select', options: roles.map((role) => [String(role), t(`role.${role}`)]) }))],
    onSubmit: ({ display_name: name, email, role, ...values }) =>
      post('/api/user', { ...values, display_name: name || null, email: email || null, role: Number(role) }),
  });
  if (!user) return;
  toast(t('users.created', { name: user.username }));
  await ctx.go(`/console/users/${user.id}`);
}
