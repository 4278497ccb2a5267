// Making an account, where the gateway allows it; the new user is logged in at once.

import { post } from '../lib/api.js';
import { h, t } from '../lib/base.js';
import { field, form, link } from '../lib/ui.js';

export default function page(ctx) {
  const head = h('h1', { tabindex: -1 }, t('register.title'));
  const login = h('p', null, t('register.haveAccount'), ' ', link('/login', t('login.action')));
  if (!ctx.status.registration) return h('div.entrance', null, head, h('p', null, t('register.closed')), login);
  const fields = [
    field({ label: t('field.username'), name: 'username', autocomplete: 'username', required: true, minlength: 3, maxlength: 64,
      hint: t('register.nameHint') }),
    field({ label: t('field.password'), name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, maxlength: 128,
      hint: t('account.newHint') }),
    field({ label: t('field.display_name'), name: 'display_name', autocomplete: 'name', required: false, maxlength: 200 }),
    field({ label: t('field.email'), name: 'email', type: 'email', autocomplete: 'email', required: false, maxlength: 200 }),
  ];
  setTimeout(() => fields[0].input.focus());
  return h('div.entrance', null, head, form({ fields, action: t('register.action'), onSubmit: async ({ username, password, display_name: name, email }) => {
    await post('/api/user/register', { username, password, ...(name && { display_name: name }), ...(email && { email }) }, { quiet: true });
    await post('/api/user/login', { username, password, session: true }, { quiet: true });
    await ctx.entered('/console');
  } }), login);
}
