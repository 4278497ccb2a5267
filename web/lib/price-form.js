// All prices of a model in a dialog, and its earlier ones. Loaded when one is opened.

import { decimal, millionText } from './admin.js';
import { get } from './api.js';
import { addTexts, h, moment, number, perMillion, t } from './base.js';
import { table } from './table.js';
import { asSent, marks, mayDrop, optional, perMillionFields, same, save } from './price-cell.js';
import { dialog, field, fieldFold, fieldRow, formDialog, live } from './ui.js';

await addTexts('forms');

const perUnitFields = ['pricing_image', 'pricing_request', 'pricing_search', 'pricing_audio_second'];

const unitText = (price) => (price === null || price === undefined ? '' : decimal(price));

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
