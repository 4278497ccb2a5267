// The form of an API key, the dialog in which its secret is shown once, and programs that use one.

import { post, put } from './api.js';
import { h, replace, t } from './base.js';
import { choices, dialog, field, fieldFold, fieldGroup, fieldRow, form, momentField, secretDialog, snippet } from './ui.js';

const expiries = [['', 'keys.never'], ['7', 'keys.days7'], ['30', 'keys.days30'], ['90', 'keys.days90'], ['365', 'keys.days365'], ['date', 'keys.onDate']];

/** When a key ends: a choice, and a date when that is chosen. */
function expiryFields(key) {
  const choice = field({ label: t('field.expires_at'), name: 'expiry', type: 'select', options: expiries.map(([value, text]) => [value, t(text)]),
    value: key?.expires_at ? 'date' : '' });
  const date = momentField({ label: t('keys.date'), name: 'expires_at', value: key?.expires_at });
  const show = () => {
    date.node.hidden = choice.input.value !== 'date';
    // A time of one's choice that is not chosen would be "never".
    date.input.required = !date.node.hidden;
  };
  choice.input.addEventListener('change', show);
  show();
  return { row: fieldRow(choice, date), value: () => {
    if (choice.value() === 'date') return date.value() || null;
    return choice.value() ? Math.floor(Date.now() / 1000) + Number(choice.value()) * 86_400 : null;
  } };
}

const numberField = (name, value, hint, step = '1') => field({ label: t(`field.${name}`), name: `limits.${name}`, type: 'number',
  min: name.startsWith('budget') ? 0 : 1, step, value, hint });

function keyFields(key) {
  const limits = key?.limits ?? {};
  const budget = limits.budget ?? {};
  const expiry = expiryFields(key);
  const name = field({ label: t('field.name'), name: 'name', required: true, maxlength: 100, value: key?.name ?? t('keys.defaultName') });
  // A name that is typed at once replaces the proposed one.
  if (!key) name.input.addEventListener('focus', () => name.input.select(), { once: true });
  const fields = [
    name,
    expiry.row,
    fieldGroup(t('keys.budgets'), h('p.hint', null, t('keys.budgetHint')), fieldRow(numberField('budget.day', budget.day, null, 'any'),
      numberField('budget.month', budget.month, null, 'any'), numberField('budget.total', budget.total, null, 'any'))),
    fieldFold(t('keys.more'),
      field({ label: t('field.models'), name: 'models', type: 'list', mono: true, hint: t('keys.modelsHint'), placeholder: 'openai/*',
        value: key?.models ?? [] }),
      fieldRow(numberField('rpm', limits.rpm), numberField('tpm', limits.tpm), numberField('concurrency', limits.concurrency)),
      field({ label: t('field.allowed_ips'), name: 'limits.allowed_ips', type: 'list', rows: 2, mono: true, hint: t('keys.addressesHint'),
        placeholder: '203.0.113.0/24', value: limits.allowed_ips ?? [] }),
      field({ label: t('field.conversion'), name: 'conversion', type: 'select', hint: t('keys.conversionHint'), value: key?.conversion ?? '',
        options: [['', t('keys.conversionDefault')], ['lenient', t('keys.lenient')], ['strict', t('keys.strict')]] }),
      ...(key ? [] : [field({ label: t('keys.isManagement'), name: 'management', type: 'checkbox', hint: t('keys.managementHint') })])),
  ];
  return { fields, body: (values) => bodyOf(values, expiry.value()) };
}

function bodyOf(values, expiresAt) {
  const limits = {};
  if (values['limits.allowed_ips'].length) limits.allowed_ips = values['limits.allowed_ips'];
  // Such a key makes no model calls, so nothing else bounds it.
  if (values.management) return { name: values.name, expires_at: expiresAt, limits, management: true };
  const budget = {};
  for (const name of ['day', 'month', 'total']) if (values[`limits.budget.${name}`] !== null) budget[name] = values[`limits.budget.${name}`];
  if (Object.keys(budget).length) limits.budget = budget;
  for (const name of ['rpm', 'tpm', 'concurrency']) if (values[`limits.${name}`] !== null) limits[name] = values[`limits.${name}`];
  return { name: values.name, expires_at: expiresAt, models: values.models, limits, conversion: values.conversion || null };
}

const formOf = (title, action, key, onSubmit) => dialog({ title, content: (close) => {
  const { fields, body } = keyFields(key);
  return form({ fields, action, cancel: () => close(), onSubmit: async (values) => close(await onSubmit(body(values))) });
} }).closed;

/** Shows a secret with programs that use it. It is gone when the dialog closes. */
export const showSecret = (key, status) => secretDialog({
  title: t('keys.created'), text: t('keys.createdText'), secret: key.key,
  content: key.management ? null : [h('h3', null, t('keys.useIt')), snippets({ base: baseUrl(status), key: key.key })],
});

/** Asks for a new key's properties, makes it and shows its secret. @returns {Promise<object|undefined>} the key, when one was made */
export async function createKey(status) {
  const key = await formOf(t('keys.create'), t('keys.create'), null, (body) => post('/api/token', body));
  if (key) await showSecret(key, status);
  return key;
}

export const editKey = (key) => formOf(t('keys.editOf', { name: key.name }), t('ui.save'), key, (body) => put(`/api/token/${key.id}`, body));

/** Where programs reach this gateway, without the `/v1`. */
export const baseUrl = (status) => (status?.public_url || location.origin).replace(/\/+$/, '');

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const python = (text) => JSON.stringify(text);

/** Stands for the key where it is not known; shells put the variable's value in. */
const placeholder = '$KEY';
const bearer = (key) => `"Authorization: Bearer ${key}"`;

const curl = ({ base, key, model }) => `curl ${base}/v1/chat/completions \\
  -H ${bearer(key)} \\
  -H 'Content-Type: application/json' \\
  -d ${shell(JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }))}`;

const openai = ({ base, key, model }) => `${key === placeholder ? 'import os\n' : ''}from openai import OpenAI

client = OpenAI(base_url=${python(`${base}/v1`)}, api_key=${key === placeholder ? 'os.environ["KEY"]' : python(key)})
answer = client.chat.completions.create(
    model=${python(model)},
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`;

const claude = ({ base, key, model }) => `export ANTHROPIC_BASE_URL=${shell(base)}
export ANTHROPIC_AUTH_TOKEN="${key}"
export ANTHROPIC_MODEL=${shell(model)}
claude`;

const embeddings = ({ base, key, model }) => `curl ${base}/v1/embeddings \\
  -H ${bearer(key)} \\
  -H 'Content-Type: application/json' \\
  -d ${shell(JSON.stringify({ model, input: 'Hello' }))}`;

const images = ({ base, key, model }) => `curl ${base}/v1/images/generations \\
  -H ${bearer(key)} \\
  -H 'Content-Type: application/json' \\
  -d ${shell(JSON.stringify({ model, prompt: 'A lighthouse at dusk' }))}`;

/** The programs that suit a model: pairs of name and function. */
function programs(endpoints) {
  const has = (name) => !endpoints || endpoints.includes(name);
  const list = [];
  if (has('chat')) list.push(['curl', curl], ['Python', openai]);
  if (has('messages')) list.push(['Claude Code', claude]);
  if (endpoints && !has('chat') && has('embeddings')) list.push(['curl', embeddings]);
  if (endpoints && !has('chat') && has('images')) list.push(['curl', images]);
  return list;
}

/**
 * The programs, one at a time.
 * @param {{base: string, key?: string, model?: string, endpoints?: string[]}} o without `key` a placeholder stands there
 */
export function snippets({ base, key = placeholder, model = 'demo/echo', endpoints }) {
  const list = programs(endpoints);
  if (!list.length) return null;
  const place = h('div.snippet-place');
  const show = (name) => replace(place, snippet(list.find(([one]) => one === name)[1]({ base, key, model }), name));
  show(list[0][0]);
  return h('div.snippets', null, list.length > 1 && choices(t('snippets.label'), list.map(([name]) => [name, name]), list[0][0], show), place);
}
