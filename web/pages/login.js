// Logging in: the session is a cookie that scripts cannot read.

import { post } from '../lib/api.js';
import { h, t } from '../lib/base.js';
import { field, form, link } from '../lib/ui.js';

export default function page(ctx) {
  const fields = [
    field({ label: t('field.username'), name: 'username', autocomplete: 'username', required: true }),
    field({ label: t('field.password'), name: 'password', type: 'password', autocomplete: 'current-password', required: true }),
  ];
  setTimeout(() => fields[0].input.focus());
  return h('div.entrance', null, h('h1', { tabindex: -1 }, t('login.action')),
    form({ fields, action: t('login.action'), onSubmit: async (values) => {
      await post('/api/user/login', { ...values, session: true }, { quiet: true });
      await ctx.entered(ctx.query.get('next'));
    } }),
    ctx.status.registration && h('p', null, t('login.noAccount'), ' ', link('/register', t('register.title'))),
    h('p.muted', null, t('login.firstTime')));
}
