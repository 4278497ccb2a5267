// Prices as a person writes them, in dollars per million tokens, and as the server takes them, in dollars per unit: in cells of a table.

import { decimal, millionText, perToken } from './admin.js';
import { put } from './api.js';
import { h, perMillion, replace, t } from './base.js';
import { badge, confirm, report, toast } from './ui.js';

export const perMillionFields = ['pricing_input', 'pricing_output', 'pricing_cache_read', 'pricing_cache_write', 'pricing_cache_write_1h', 'pricing_reasoning',
  'pricing_audio_input', 'pricing_audio_output', 'pricing_image_input', 'pricing_character'];

/** Where a missing price means another price, not nothing. */
export const optional = new Map([['pricing_cache_read', 'input'], ['pricing_cache_write', 'input'], ['pricing_cache_write_1h', 'cache'],
  ['pricing_reasoning', 'output'],
  ['pricing_audio_input', 'input'], ['pricing_audio_output', 'output'], ['pricing_image_input', 'input']]);
export const same = (name) => t(`pricing.as.${optional.get(name)}`);

/** The text of an input as the server takes it; null takes an optional price away, undefined is no price. */
export function asSent(name, text) {
  if (text.trim() === '') return optional.has(name) ? null : '0';
  return perMillionFields.includes(name) ? perToken(text) : decimal(text);
}

/** A change of input or output price drops tiers of prices, and the vendor's reported cost as the basis: that needs a yes. */
export async function mayDrop(row, names) {
  const isBase = names.some((name) => name === 'pricing_input' || name === 'pricing_output');
  const isDropping = (row.tiers?.length ?? 0) + (row.service_tiers?.length ?? 0) > 0 || row.basis === 'upstream_cost';
  if (!isBase || !isDropping) return true;
  return (await confirm({ title: t('pricing.dropTitle', { model: row.model_name }), kind: 'primary', action: t('pricing.setPrice'),
    text: t(row.basis === 'upstream_cost' ? 'pricing.dropBasis' : 'pricing.dropTiers') })) === true;
}

export async function save(row, changes) {
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
      const isPrice = input.checkValidity() && value !== undefined;
      if (isSaving && !isPrice) toast(t('ui.badInput'), 'bad');
      if (!isSaving || input.value === before || !isPrice) return rest(isFocused);
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

/** Properties of a price besides its figures. */
export const marks = (row) => h('span.badges', null, row.is_edited && badge(t('pricing.edited'), 'warn'),
  row.basis === 'upstream_cost' && badge(t('pricing.byCost')),
  row.tiers?.length > 0 && badge(t('pricing.tiers')), row.service_tiers?.length > 0 && badge(t('pricing.serviceTiers')),
    row.is_active === false && badge(t('pricing.inactive'), 'bad'));
