// Programs to copy: how this gateway is called with what people have already.

import { h, replace } from './dom.js';
import { t } from './i18n.js';
import { choices, snippet } from './ui.js';

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
