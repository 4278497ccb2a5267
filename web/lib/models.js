// The list of models, loaded once, and a dialog in which one is chosen.

import { get } from './api.js';
import { h, named, perMillion, replace, t } from './base.js';
import { dialog } from './ui.js';

let loaded = null;

/** All models that this gateway serves. Asked anew after two minutes. */
export function allModels() {
  if (!loaded || Date.now() - loaded.at > 120_000) {
    loaded = { at: Date.now(), list: get('/api/models', {}, { quiet: true }) };
    loaded.list.catch(() => (loaded = null));
  }
  return loaded.list;
}

/** Whether a model's names contain each of the words. */
export function matches(model, text) {
  const all = `${model.model_name} ${model.display_name}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

export const priceText = (model) => (model.basis === 'upstream_cost' ? t('models.byVendor')
  : t('models.inOut', { input: perMillion(model.pricing_input), output: perMillion(model.pricing_output) }));

/** Asks for a model; arrows and Enter work from the field. @returns {Promise<object|undefined>} */
export function pickModel(models, chosen) {
  let at = 0;
  let shown = [];
  return dialog({ title: t('models.pick'), content: (close) => {
    const results = h('ul.palette.model-list', { id: 'model-results', role: 'listbox', 'aria-label': t('nav.models'), tabindex: 0 });
    const count = h('p.muted', { role: 'status' });
    const mark = () => [...results.children].forEach((item, index) => {
      item.setAttribute('aria-selected', String(index === at));
      if (index !== at) return;
      input.setAttribute('aria-activedescendant', item.id);
      item.scrollIntoView({ block: 'nearest' });
    });
    const draw = () => {
      const found = models.filter((model) => matches(model, input.value));
      shown = found.slice(0, 80);
      at = Math.max(0, input.value ? 0 : shown.findIndex((model) => model.model_name === chosen));
      replace(results, shown.map((model, index) => h('li', { id: `model-${index}`, role: 'option', on: { click: () => close(model) } },
        h('span', null, model.model_name), h('span.muted.nowrap', null, priceText(model)))));
      replace(count, found.length > shown.length ? t('models.firstOf', { count: shown.length, total: found.length })
        : t('models.found', { count: found.length }));
      mark();
    };
    const input = h('input', {
      type: 'search', role: 'combobox', 'aria-label': t('models.search'), 'aria-expanded': 'true', 'aria-controls': 'model-results',
        placeholder: t('models.search'),
      autocomplete: 'off', spellcheck: 'false', on: { input: draw, keydown: (event) => {
        // An input method's own Enter and arrows, as of Pinyin.
        if (event.isComposing) return;
        if (event.key === 'ArrowDown' || event.key === 'ArrowUp') at = (at + (event.key === 'ArrowDown' ? 1 : -1) + shown.length) % Math.max(1, shown.length);
        else if (event.key !== 'Enter') return;
        // Before the focus goes back to the opener, which Enter would press.
        event.preventDefault();
        if (event.key === 'Enter') return shown[at] && close(shown[at]);
        mark();
      } },
    });
    setTimeout(() => input.focus());
    draw();
    return [input, results, count];
  } }).closed;
}

/** The address of a model's page; names have slashes, which stay. */
export const modelPath = (name) => `/models/${name.split('/').map(encodeURIComponent).join('/')}`;

/** Prices per token that a model may have, in the order in which they are shown. */
export const tokenPrices = ['input', 'output', 'cache_read', 'cache_write', 'cache_write_1h', 'reasoning', 'audio_input', 'audio_output', 'image_input'];
/** Prices per piece. */
export const piecePrices = ['image', 'request', 'search'];

/** Rankings of the last seven days by model; empty where the gateway keeps them from this reader. */
export async function rankings(ctx) {
  const access = ctx.status.rankings ?? 'users';
  if (access === 'off' || (access === 'users' && !ctx.user)) return new Map();
  try {
    const rows = await get('/api/stats/rankings', { days: 7 }, { quiet: true, signal: ctx.signal });
    return new Map(rows.map((row) => [row.model, row]));
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    return new Map();
  }
}

export const modalityName = (name) => t(`modality.${['text', 'image', 'audio', 'video', 'file', 'embeddings'].includes(name) ? name : 'other'}`, { name });

export const endpointName = (name) => named('endpoint', name);
