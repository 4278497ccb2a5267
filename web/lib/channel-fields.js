// Fields of the form of channels that are more than one input. Each has the shape of `ui.field`.

import { contains, perToken } from './admin.js';
import { keyLink } from './channel.js';
import { post } from './api.js';
import { h, perMillion, replace, t } from './base.js';
import { button, choices, field } from './ui.js';

/** Several keys, each in an input that does not show it. `value()` is null when nothing was typed: then the stored ones stay. */
export function keysField({ hint, existing = [], required, keyURL }) {
  const rows = h('div.stack-tight');
  const inputs = [];
  const add = (isFocused) => {
    const one = field({ label: t('channels.keyNumber', { number: inputs.length + 1 }), name: 'keys', type: 'password', mono: true,
      hint: inputs.length ? null : hint,
      placeholder: existing.length ? t('channels.keysKept') : null, autocomplete: 'off' });
    inputs.push(one);
    rows.append(one.node);
    if (isFocused) one.input.focus();
  };
  add(false);
  const node = h('div', null, existing.length > 0
    && h('p.muted', null, t('channels.keysNow'), ' ', existing.map((key) => [h('code', null, key.hint ?? '…'), ' '])),
    rows,
    h('div.row', null, button(t('channels.addKey'), { icon: 'plus', kind: 'quiet', onClick: () => add(true) }), keyLink(keyURL)));
  const value = () => {
    const keys = inputs.map((one) => one.value().trim()).filter(Boolean);
    return keys.length || !existing.length ? keys : null;
  };
  inputs[0].input.required = Boolean(required && !existing.length);
  return { name: 'keys', node, input: inputs[0].input, value, set() {}, error: (text) => inputs[0].error(text) };
}

/**
 * Which models a channel serves: all, or those that are ticked and those that are written, with the vendor's name where it is another.
 * @param {{models: {name: string, pricing_input?: number, pricing_output?: number}[], value: (string|object)[], fetch: () => object|null}} o
 *   `fetch` answers the body of `POST /api/channel/models`
 */
export function modelsField(o) {
  const nameOf = (entry) => (typeof entry === 'string' ? entry : entry.name);
  let isAll = o.value.length === 0 || o.value.some((entry) => nameOf(entry) === '*');
  // Those that are served already come first.
  const isServed = (model) => o.value.includes(model.name);
  let known = [...o.models].sort((a, b) => Number(isServed(b)) - Number(isServed(a)));
  const isPlain = (entry) => typeof entry === 'string' && known.some((model) => model.name === entry);
  // Properties of an entry that this form does not know, such as its time-outs, stay with its line.
  const written = new Map(o.value.filter((entry) => nameOf(entry) !== '*' && !isPlain(entry)).map((entry) => [lineOf(entry), entry]));
  const chosen = new Set(o.value.filter(isPlain));
  const search = field({ label: t('channels.findModel'), name: 'find', type: 'search' });
  const own = field({ label: t('channels.ownNames'), name: 'models', type: 'textarea', mono: true, rows: 3, required: false, hint: t('channels.ownNamesHint'),
    placeholder: 'my-gpt = gpt-5', value: [...written.keys()].join('\n') });
  const boxes = h('ul.checklist', { 'aria-label': t('channels.models') });
  const count = h('p.muted', { role: 'status' });
  const tell = (shown, found) => replace(count, t('channels.chosen', { count: chosen.size }),
    found > shown && ` · ${t('channels.searchForMore', { count: found - shown })}`);
  const draw = () => {
    const found = known.filter((model) => contains(search.value(), model.name, model.display));
    const shown = found.slice(0, 60);
    replace(boxes, shown.map((model) => h('li', null,
      h('label', null, h('input', { type: 'checkbox', checked: chosen.has(model.name), on: { change: (event) => {
      if (event.target.checked) chosen.add(model.name);
      else chosen.delete(model.name);
      tell(shown.length, found.length);
    } } }), h('span', null, model.name), h('span.muted', null, price(model))))));
    tell(shown.length, found.length);
  };
  search.input.addEventListener('input', draw);
  const fetched = button(t('channels.fetch'), { icon: 'download', onClick: async () => {
    const answer = await post('/api/channel/models', o.fetch());
    const names = new Set(known.map((model) => model.name));
    const upstreams = new Set(known.map((model) => model.upstream));
    const fresh = answer.filter((model) => !names.has(model.id) && !upstreams.has(model.id));
    known = [...fresh.map((model) => ({ name: model.id, display: model.name, isFetched: true, price_known: model.price_known })), ...known];
    replace(news, t('channels.fetched', { count: answer.length, fresh: fresh.length }));
    draw();
  } });
  const news = h('p.muted', { role: 'status' });
  const detail = h('div.stack-tight', { hidden: isAll }, h('div.row.spread', null, search.node, fetched), news, boxes, count, own.node);
  const chooser = choices(t('channels.models'), [['all', t('channels.allModels')], ['some', t('channels.someModels')]], isAll ? 'all' : 'some', (key) => {
    isAll = key === 'all';
    detail.hidden = isAll;
  });
  draw();
  return {
    name: 'models', input: own.input, error: (text) => own.error(text), set() {},
    node: h('fieldset', null, h('legend', null, t('channels.models')), chooser, detail),
    value: () => (isAll ? ['*'] : [...chosen, ...parseNames(own.value(), written)]),
  };
}

function price(model) {
  if (model.isFetched) return model.price_known ? t('channels.priceKnown') : t('channels.priceUnknown');
  if (model.pricing_input === undefined || model.pricing_input === null) return '';
  return `${perMillion(model.pricing_input)} / ${perMillion(model.pricing_output)}`;
}

const lineOf = (entry) => (typeof entry === 'string' ? entry : entry.upstream ? `${entry.name} = ${entry.upstream}` : entry.name);

/** `public = upstream` or `public`, one a line. */
const parseNames = (text, written) => text.split('\n').map((line) => line.trim()).filter(Boolean).map((line) => {
  if (written.has(line)) return written.get(line);
  const [name, upstream] = line.split('=').map((part) => part.trim());
  return upstream ? { name, upstream } : name;
});

/**
 * Models of a provider of one's own: a name, and its prices per million tokens or the word that it is free.
 * @param {object[]} [models] those that there are, as a provider's `config` has them; what this form does not show of them stays
 */
export function pricedModelsField(models = [], ownName = 'provider_models') {
  let rows = [];
  const host = h('div.stack-tight');
  const message = h('p.field-error', { role: 'alert' });
  const add = (isFocused, model) => {
    const isFree = model && Object.values(model.price ?? {}).every((price) => Number(price) === 0);
    const price = (label, name) => field({ label, name, type: 'number', min: 0, value: isFree ? '' : model?.price?.[name] });
    const name = field({ label: t('channels.modelName'), name: 'model', mono: true, value: model?.name });
    const input = price(t('channels.inputPrice'), 'input');
    const output = price(t('channels.outputPrice'), 'output');
    const free = field({ label: t('channels.free'), name: 'free', type: 'checkbox', value: isFree });
    const show = () => {
      for (const one of [input, output]) one.input.disabled = free.value();
    };
    free.input.addEventListener('change', show);
    show();
    const row = { name, input, output, free, model };
    const node = h('div.model-row', null, name.node, input.node, output.node, free.node, models.length > 0 && button('', {
      icon: 'trash', kind: 'quiet', title: t('channels.removeModel', { name: model?.name ?? '' }), onClick: () => {
        rows = rows.filter((one) => one !== row);
        node.remove();
        more.focus();
      },
    }));
    rows.push(row);
    host.append(node);
    if (isFocused) name.input.focus();
  };
  const more = button(t('channels.addModel'), { icon: 'plus', kind: 'quiet', onClick: () => add(true) });
  for (const model of models) add(false, model);
  if (!models.length) add(false);
  const value = ({ name, input, output, free, model }) => {
    const { price, ...rest } = model ?? {};
    const common = { ...rest, name: name.value().trim() };
    if (free.value()) return { ...common, free: true };
    const [dollars, out] = [input.input.value, output.input.value];
    return price ? { ...common, price: { ...price, input: dollars, output: out } }
      : { ...common, pricing_input: perToken(dollars) ?? null, pricing_output: perToken(out) ?? null };
  };
  return {
    name: ownName, input: rows[0].name.input, set() {}, error: (text) => (message.textContent = text ?? ''),
    node: h('fieldset', null, h('legend', null, t('channels.models')), host, message, more),
    value: () => rows.filter((row) => row.name.value().trim()).map(value),
  };
}

/** Without what is not given. */
export const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== ''));

/** Headers from lines of `Name: value`; a name alone keeps what is stored, which is what null says. */
export const headersOf = (text) => Object.fromEntries(text.split('\n').filter((line) => line.includes(':')).map((line) => {
  const at = line.indexOf(':');
  return [line.slice(0, at).trim(), line.slice(at + 1).trim() || null];
}));

/** Several of few: groups. */
export function checksField({ label, name, options, value }) {
  const boxes = options.map((option) => {
    const box = h('input', { type: 'checkbox', checked: value.includes(option) });
    return { option, box, node: h('label.check-inline', null, box, h('span', null, option)) };
  });
  const message = h('p.field-error', { role: 'alert' });
  return {
    name, input: boxes[0]?.box ?? h('input'), set() {}, error: (text) => (message.textContent = text ?? ''),
    node: h('fieldset.plain', null, h('legend', null, label), h('div.row', null, boxes.map((one) => one.node)), message),
    value: () => boxes.filter((one) => one.box.checked).map((one) => one.option),
  };
}
