// Prices as a person writes them, in dollars per million tokens, and as the server takes them, in dollars per unit.

import { millionText, perToken } from './admin.js';
import { get, put } from './api.js';
import { h, moment, number, perMillion, replace, t } from './base.js';
import { table } from './data.js';
import { badge, confirm, dialog, field, fieldFold, fieldRow, formDialog, live, report, toast } from './ui.js';

const perMillionFields = ['pricing_input', 'pricing_output', 'pricing_cache_read', 'pricing_cache_write', 'pricing_cache_write_1h', 'pricing_reasoning',
  'pricing_audio_input', 'pricing_audio_output', 'pricing_image_input', 'pricing_character'];
const perUnitFields = ['pricing_image', 'pricing_request', 'pricing_search', 'pricing_audio_second'];

/** Where a missing price means another price, not nothing. */
const optional = new Map([['pricing_cache_read', 'input'], ['pricing_cache_write', 'input'], ['pricing_cache_write_1h', 'cache'],
  ['pricing_reasoning', 'output'],
  ['pricing_audio_input', 'input'], ['pricing_audio_output', 'output'], ['pricing_image_input', 'input']]);
const same = (name) => t(`pricing.as.${optional.get(name)}`);

const unitText = (price) => (price === null || price === undefined ? '' : price.toFixed(15).replace(/\.?0+$/, ''));

/** The text of an input as the server takes it; null takes an optional price away. */
function asSent(name, text) {
  if (text.trim() === '') return optional.has(name) ? null : '0';
  return perMillionFields.includes(name) ? perToken(text) : text.trim();
}

/** A change of input or output price drops tiers of prices, and the vendor's reported cost as the basis: that needs a yes. */
async function mayDrop(row, names) {
  const isBase = names.some((name) => name === 'pricing_input' || name === 'pricing_output');
  const isDropping = (row.tiers?.length ?? 0) + (row.service_tiers?.length ?? 0) > 0 || row.basis === 'upstream_cost';
  if (!isBase || !isDropping) return true;
  return (await confirm({ title: t('pricing.dropTitle', { model: row.model_name }), kind: 'primary', action: t('pricing.setPrice'),
    text: t(row.basis === 'upstream_cost' ? 'pricing.dropBasis' : 'pricing.dropTiers') })) === true;
}

async function save(row, changes) {
  const saved = await put('/api/models/pricing', { model_name: row.model_name, ...changes });
  toast(t('pricing.saved', { model: row.model_name }));
  return saved;
}

/**
 * A price in a table that becomes an input when it is pressed. Enter and leaving it save, Escape does not.
 * @param {(saved: object) => void} done
 */
export function priceCell(row, name, done) {
  const host = h('span.price');
  const label = t('pricing.edit', { field: t(`pricing.${name}`), model: row.model_name });
  const rest = (isFocused) => {
    const isMissing = row[name] === null || row[name] === undefined;
    const text = isMissing ? same(name) : perMillion(row[name]);
    const shown = h('button.sort', { type: 'button', class: isMissing ? 'other' : null, 'aria-label': `${text}. ${label}`, on: { click: edit } }, text);
    replace(host, shown);
    if (isFocused) shown.focus();
  };
  function edit() {
    const before = millionText(row[name]);
    const input = h('input.price-input', { type: 'number', min: 0, step: 'any', value: before, 'aria-label': label });
    let isOver = false;
    const finish = async (isSaving, isFocused) => {
      if (isOver) return;
      isOver = true;
      const value = asSent(name, input.value);
      if (!isSaving || input.value === before || !input.checkValidity() || value === undefined) return rest(isFocused);
      input.readOnly = true;
      try {
        if (await mayDrop(row, [name])) done(await save(row, { [name]: value }));
      } catch (error) {
        report(error);
      }
      rest(isFocused);
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') finish(true, true);
      else if (event.key === 'Escape') finish(false, true);
    });
    input.addEventListener('blur', () => finish(true, false));
    replace(host, input);
    input.select();
    input.focus();
  }
  rest(false);
  return host;
}

/** All prices of a model in a dialog. Answers the saved row. */
export async function priceDialog(row) {
  const isNew = !row.version;
  const price = (name) => field({ label: t(`pricing.${name}`), name, type: 'number', min: 0, step: 'any',
    value: perMillionFields.includes(name) ? millionText(row[name]) : unitText(row[name]),
      required: (isNew && (name === 'pricing_input' || name === 'pricing_output')) || undefined,
    placeholder: optional.has(name) ? same(name) : null });
  const model = field({ label: t('field.model'), name: 'model_name', required: true, mono: true, value: row.model_name ?? '' });
  const prices = Object.fromEntries([...perMillionFields, ...perUnitFields].map((name) => [name, price(name)]));
  const whole = (name) => field({ label: t(`pricing.${name}`), name, type: 'number', min: 1, step: '1', value: row[name] ?? '' });
  const facts = [whole('context_length'), whole('max_output_tokens')];
  const names = ['display_name', 'provider', 'description'].map((name) => field({ label: t(`pricing.${name}`), name, value: row[name] ?? '' }));
  const active = field({ label: t('pricing.active'), name: 'is_active', type: 'checkbox', value: row.is_active ?? true });
  const begun = Object.fromEntries(Object.entries(prices).map(([name, one]) => [name, one.input.value]));
  model.input.readOnly = !isNew || Boolean(row.model_name);
  const pick = (...keys) => keys.map((key) => prices[key]);
  return formDialog({
    title: isNew ? t('pricing.setPrice') : row.model_name, wide: true, action: t('ui.save'), intro: t('pricing.units'),
    fields: [model, fieldRow(...pick('pricing_input', 'pricing_output', 'pricing_cache_read', 'pricing_cache_write', 'pricing_cache_write_1h',
      'pricing_reasoning')),
      fieldFold(t('pricing.moreTokens'), fieldRow(...pick('pricing_audio_input', 'pricing_audio_output', 'pricing_image_input', 'pricing_character'))),
      fieldFold(t('pricing.perUnit'), fieldRow(...pick(...perUnitFields))), fieldFold(t('pricing.about'), ...names, fieldRow(...facts)), active],
    onSubmit: async (values) => {
      const changed = Object.keys(prices).filter((name) => prices[name].input.value !== begun[name]);
      const changes = Object.fromEntries(changed.map((name) => [name, asSent(name, prices[name].input.value)]));
      for (const name of ['display_name', 'provider', 'description']) if (values[name] !== (row[name] ?? '')) changes[name] = values[name];
      for (const name of ['context_length', 'max_output_tokens']) if (values[name] !== (row[name] ?? null)) changes[name] = values[name];
      if (values.is_active !== (row.is_active ?? true)) changes.is_active = values.is_active;
      const target = { ...row, model_name: values.model_name.trim() };
      if (!(await mayDrop(target, changed))) throw new DOMException('', 'AbortError');
      return save(target, changes);
    },
  });
}

/** The earlier prices of a model. */
export const historyDialog = (row) => dialog({ title: t('pricing.historyOf', { model: row.model_name }), wide: true, content: () => live(
  (signal) => get('/api/pricing/history', { model: row.model_name }, { signal }),
  (versions) => (versions.length === 0 ? h('p', null, t('pricing.noHistory')) : h('div.list', null, table({
    caption: t('pricing.historyOf', { model: row.model_name }), rows: versions, columns: [
      { title: t('pricing.version'), end: true, cell: (one) => number(one.version) },
      { title: t('ui.time'), class: 'nowrap', cell: (one) => moment(one.created_at) },
      ...perMillionFields.slice(0, 4).map((name) => ({ title: t(`pricing.${name}`), end: true, cell: (one) => perMillion(one[name] ?? null) })),
      { title: t('pricing.marks'), cell: marks },
    ],
  })))) });

/** Properties of a price besides its figures. */
export const marks = (row) => h('span.badges', null, row.is_edited && badge(t('pricing.edited'), 'warn'),
  row.basis === 'upstream_cost' && badge(t('pricing.byCost')),
  row.tiers?.length > 0 && badge(t('pricing.tiers')), row.service_tiers?.length > 0 && badge(t('pricing.serviceTiers')),
    row.is_active === false && badge(t('pricing.inactive'), 'bad'));
