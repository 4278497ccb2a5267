// The first page that a visitor sees: what this is, where it is reached, and a program to try it with.

import { h, t } from '../lib/base.js';
import { baseUrl, snippets } from '../lib/keys.js';
import { code, copyButton, linkButton } from '../lib/ui.js';

export default function page(ctx) {
  const { status, user } = ctx;
  const base = baseUrl(status);
  const count = status.served_models;
  return h('div.page.home', null,
    h('div.hero', null,
      h('div.hero-text', null,
        h('h1', { tabindex: -1 }, t('home.headline')),
        h('p.hero-lead', null, t('home.lead', { name: status.name ?? 'APIRouter' })),
        h('div.row', null,
          user ? linkButton('/console', t('home.console'), { kind: 'primary' }) : linkButton('/login', t('login.action'), { kind: 'primary' }),
          linkButton('/models', count ? t('home.models', { count }) : t('home.browse'))),
        !user && status.registration && h('p.muted', null, t('login.noAccount'), ' ', h('a', { href: '/register' }, t('register.title')))),
      h('section.hero-program', { 'aria-label': t('home.program') },
        h('div.address', null, h('span.muted', null, t('home.base')), code(`${base}/v1`), copyButton(`${base}/v1`)),
        snippets({ base }))),
    h('ul.points', null, ['apis', 'prices', 'keys'].map((name) => h('li', null, h('h2', null, t(`home.${name}`)), h('p', null, t(`home.${name}Text`))))),
    h('footer.home-foot.muted', null, `${status.name ?? 'APIRouter'} ${status.version ?? ''} · `, count && [t('models.found', { count }), ' · '],
      h('a', { href: '/api/openapi.json' }, 'OpenAPI')));
}
