// One's own account: names, password, sessions, and how the console looks to this person.

import { del, get, put } from '../lib/api.js';
import { ago, h, language, moment, setLanguage, setTimeZone, store, stored, t, timeZone } from '../lib/base.js';
import { table } from '../lib/table.js';
import { badge, button, card, confirm, facts, field, fieldRow, form, heading, live, report, toast } from '../lib/ui.js';

export default function page(ctx) {
  const rows = sessions(ctx);
  // A new password ends the other sessions.
  return [heading(t('nav.account')), h('div.grid', null, profile(ctx), password(() => rows.reload()), preferences(ctx)),
    card(t('account.sessions'), h('div.list', null, rows))];
}

function profile(ctx) {
  const { user } = ctx;
  const old = field({ label: t('field.old_password'), name: 'old_password', type: 'password', autocomplete: 'current-password', required: true });
  return card(t('account.profile'),
    facts([t('field.username'), user.username], [t('field.role'), t(`role.${user.role}`)], [t('field.group'), user.group],
      [t('account.since'), moment(user.created_at)]),
    form({ action: t('ui.save'), kind: null, fields: [
      field({ label: t('field.display_name'), name: 'display_name', autocomplete: 'name', value: user.display_name, maxlength: 200 }),
      field({ label: t('field.email'), name: 'email', type: 'email', autocomplete: 'email', value: user.email, maxlength: 200 }),
      old,
    ], onSubmit: async (values) => {
      await put('/api/user/self', values);
      old.set('');
      await ctx.refreshUser();
      toast(t('ui.saved'));
    } }));
}

function password(done) {
  const again = field({ label: t('account.again'), name: 'again', type: 'password', autocomplete: 'new-password', required: true });
  const place = h('div');
  const draw = () => place.replaceChildren(form({ action: t('account.change'), kind: null, fields: [
    field({ label: t('field.old_password'), name: 'old_password', type: 'password', autocomplete: 'current-password', required: true }),
    field({ label: t('account.new'), name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, maxlength: 128,
      hint: t('account.newHint') }),
    again,
  ], onSubmit: async (values) => {
    if (values.password !== values.again) {
      again.error(t('account.differ'));
      return again.input.focus();
    }
    await put('/api/user/self', { old_password: values.old_password, password: values.password });
    toast(t('account.changed'));
    again.set('');
    draw();
    await done();
  } }));
  draw();
  return card(t('field.password'), h('p.muted', null, t('account.passwordText')), place);
}

const zones = () => (Intl.supportedValuesOf ? Intl.supportedValuesOf('timeZone') : []);

function preferences(ctx) {
  const lang = field({ label: t('account.language'), name: 'language', type: 'select', options: [['en', 'English'], ['zh', '中文']], value: language() });
  const theme = field({ label: t('account.theme'), name: 'theme', type: 'select', value: stored('theme') ?? '',
    options: [['', t('account.system')], ['light', t('account.light')], ['dark', t('account.dark')]] });
  const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zone = field({ label: t('account.zone'), name: 'zone', list: ['UTC', ...zones()], value: stored('timeZone') ?? '',
    placeholder: t('account.zoneOf', { zone: browserZone }), hint: t('account.zoneHint') });
  const low = field({ label: t('account.low'), name: 'low', type: 'number', min: 0, step: 'any', value: ctx.user.low_balance_threshold,
    hint: t('account.lowHint') });
  lang.input.addEventListener('change', async () => {
    await setLanguage(lang.value());
    await ctx.go('/console/account', true);
  });
  theme.input.addEventListener('change', () => {
    store('theme', theme.value() || null);
    if (theme.value()) document.documentElement.dataset.theme = theme.value();
    else delete document.documentElement.dataset.theme;
  });
  zone.input.addEventListener('change', () => {
    const value = zone.value().trim();
    if (value && !isZone(value)) return zone.error(t('account.noZone'));
    setTimeZone(value || null);
    toast(t('account.zoneSet', { zone: timeZone() }));
  });
  low.input.addEventListener('change', async () => {
    try {
      // Empty = the usual one again.
      low.set((await put('/api/user/self/settings', { low_balance: low.value() })).low_balance);
      await ctx.refreshUser();
      toast(t('ui.saved'));
    } catch (error) {
      report(error);
    }
  });
  return card(t('account.preferences'), h('p.muted', null, t('account.preferencesText')),
    h('div.stack', null, fieldRow(lang, theme).node, zone.node), h('div.stack', null, low.node));
}

function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }));
  } catch {
    return false;
  }
}

function sessions(ctx) {
  const rows = live((signal) => get('/api/user/self/sessions', {}, { signal }), (data) => [
    table({ caption: t('account.sessionRows'), rows: data, columns: [
      { title: t('account.device'), cell: (row) => h('div', null, deviceName(row.user_agent), h('span.muted', null, row.client_ip)) },
      { title: t('field.type'), cell: (row) => (row.current ?? row.is_current ? badge(t('account.current'), 'good')
        : badge(t(`account.kind.${row.kind ?? 'session'}`))) },
      { title: t('account.begun'), class: 'nowrap', cell: (row) => moment(row.created_at) },
      { title: t('keys.used'), class: 'nowrap', cell: (row) => ago(row.used_at) },
      { title: t('account.ends'), class: 'nowrap', cell: (row) => (row.expires_at ? moment(row.expires_at) : t('keys.never')) },
      { title: t('account.action'), end: true, cell: (row) => !(row.current ?? row.is_current) && button(t('account.end'), { onClick: async () => {
        await del(`/api/user/self/sessions/${row.id}`);
        await rows.reload();
      } }) },
    ] }),
    data.length > 1 && h('div.actions', null, button(t('account.endOthers'), { kind: 'danger', icon: 'logout', onClick: async () => {
      if (!(await confirm({ title: t('account.endOthersTitle'), text: t('account.endOthersText'), action: t('account.endOthers') }))) return;
      await del('/api/user/self/sessions');
      await rows.reload();
    } })),
  ], { signal: ctx.signal });
  return rows;
}

const programs = [[/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/Safari\//, 'Safari'], [/curl\//, 'curl'],
  [/[Pp]ython/, 'Python']];
const systems = [[/iPhone|iPad/, 'iOS'], [/Android/, 'Android'], [/Windows/, 'Windows'], [/Mac OS X/, 'macOS'], [/Linux/, 'Linux']];

/** `Firefox · Linux`, or what the client calls itself. */
function deviceName(agent) {
  const name = (list) => list.find(([pattern]) => pattern.test(agent ?? ''))?.[1];
  return [name(programs) ?? (agent || t('account.unknown')).slice(0, 60), name(systems)].filter(Boolean).join(' · ');
}
