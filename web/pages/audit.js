// The record of all changes and their authors. Rows are never changed or deleted.

import { channelLink, userLink } from '../lib/admin.js';
import { get } from '../lib/api.js';
import { h, has, moment, none, t } from '../lib/base.js';
import { byCursor, list } from '../lib/table.js';
import { code, empty, field, heading, momentField } from '../lib/ui.js';

const actions = [
  'user.login', 'user.login_failed', 'user.logins_failed', 'user.create', 'user.register', 'user.change', 'user.self', 'user.delete',
  'user.reset_password', 'token.create', 'token.change', 'token.rotate', 'token.delete', 'balance.add', 'balance.refund', 'pricing.change',
  'pricing.accept', 'models.sync', 'channel.create', 'channel.change', 'channel.delete', 'channel.on', 'channel.disabled', 'channel.draining',
  'channel.test', 'provider.create', 'provider.change', 'provider.delete', 'secret.set', 'secret.delete', 'secret.reseal', 'config.reload',
  'config.change', 'ledger.verify', 'bootstrap.root', 'bootstrap.access_token', 'bootstrap.key',
];

/** Names of actions that a newer server has are shown as they are. */
const actionName = (action) => (has(`audit.${action}`) ? t(`audit.${action}`) : action);

export default function page(ctx) {
  return [heading(t('nav.audit')), list({
    ctx, caption: t('nav.audit'), load: byCursor(get, '/api/audit'), nothing: () => empty(t('audit.none'), t('audit.noneText')),
    filters: [
      field({ label: t('audit.action'), name: 'action', type: 'select',
        options: [['', t('ui.all')], ...actions.map((action) => [action, actionName(action)])] }),
      field({ label: t('audit.actorId'), name: 'actor_id', type: 'number', min: 1, step: '1' }),
      momentField({ label: t('field.from'), name: 'from' }), momentField({ label: t('field.to'), name: 'to' }),
    ],
    columns: [
      { title: t('ui.time'), class: 'nowrap', cell: (row) => moment(row.created_at) },
      { title: t('audit.actor'), cell: (row) => (row.actor_id ? userLink(row.actor_id, row.actor_name) : h('span.muted', null, t('audit.gateway'))) },
      { title: t('audit.action'), cell: (row) => [actionName(row.action), h('span.muted.mono', null, row.action)] },
      { title: t('audit.detail'), cell: (row) => detail(row.detail) },
      { title: t('audit.address'), cell: (row) => (row.client_ip ? code(row.client_ip) : none) },
    ],
  })];
}

const links = { user_id: userLink, channel: channelLink, channel_id: channelLink };

/** Ids as links, and the rest as it is. */
function detail(value) {
  if (typeof value !== 'object' || value === null) return String(value ?? '');
  const pairs = Object.entries(value);
  return h('ul.details', null, pairs.map(([key, one]) => h('li', null, h('span.muted', null, `${key} `),
    links[key] && Number.isInteger(one) ? links[key](one) : typeof one === 'object' && one !== null
      ? (Array.isArray(one) ? one.join(', ') : JSON.stringify(one)) : String(one))));
}
