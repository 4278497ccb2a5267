// Up to three models side by side.

import { duration, h, number, perMillion, percent, t } from './base.js';
import { endpointName, modelPath, tokenPrices } from './models.js';
import { dialog, link } from './ui.js';

/** @param {object[]} models @param {Map<string, object>} ranks figures of the last days, by name */
export function compareDialog(models, ranks) {
  const rank = (model) => ranks.get(model.model_name);
  const rows = [
    [t('field.provider'), (model) => model.providers.join(', ')],
    [t('models.context'), (model) => number(model.context_length)],
    [t('models.maxOutput'), (model) => number(model.max_output_tokens)],
    ...tokenPrices.filter((name) => models.some((model) => model[`pricing_${name}`] !== null)).map((name) =>
      [t('models.perMillion', { kind: t(`price.${name}`) }), (model) => (model.basis === 'upstream_cost' ? t('models.byVendor')
        : perMillion(model[`pricing_${name}`]))]),
    [t('request.endpoint'), (model) => model.endpoints.map(endpointName).join(', ')],
    ranks.size > 0 && [t('models.use'), (model) => percent(rank(model)?.share)],
    ranks.size > 0 && [t('models.speed'), (model) => number(rank(model)?.tokens_per_second)],
    ranks.size > 0 && [t('stats.firstToken'), (model) => duration(rank(model)?.first_token_p50)],
    ranks.size > 0 && [t('models.uptime'), (model) => percent(rank(model)?.uptime, 2)],
  ].filter(Boolean);
  return dialog({ title: t('models.compareTitle'), wide: true, content: (close) => h('div.table-frame',
    { tabindex: 0, role: 'region', 'aria-label': t('models.compareTitle') }, h('table', null,
    h('caption', null, t('models.compareTitle')),
    h('thead', null, h('tr', null, h('td', null, h('span.offscreen', null, t('models.property'))),
      models.map((model) => h('th', { scope: 'col', on: { click: () => close() } }, link(modelPath(model.model_name), model.model_name))))),
    h('tbody', null, rows.map(([name, cell]) => h('tr', null, h('th.muted', { scope: 'row' }, name), models.map((model) => h('td', null, cell(model)))))))) });
}
