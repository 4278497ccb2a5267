// One model: what it costs, who serves it, how it is called, and how it has done here.

import { get } from '../lib/api.js';
import { dayShort, duration, h, money, number, perMillion, percent, short, t } from '../lib/base.js';
import { table } from '../lib/table.js';
import { baseUrl, snippets } from '../lib/keys.js';
import { endpointName, modalityName, piecePrices, tokenPrices } from '../lib/models.js';
import { badge, card, code, copyButton, empty, facts, heading, link, linkButton, live, tile, tiles } from '../lib/ui.js';

export default async function page(ctx) {
  const name = ctx.parameters.model;
  const models = await get('/api/models', { q: name }, { quiet: true, signal: ctx.signal });
  const model = models.find((one) => one.model_name === name);
  if (!model) return h('div.page', null, heading(name), empty(t('models.notFound'), t('models.notFoundText'), linkButton('/models', t('models.all'))));
  ctx.setTitle(model.display_name || name);
  const isChat = model.endpoints.includes('chat');
  const isMetered = model.basis === 'metered';
  return h('div.page', null,
    h('p.crumb', null, link('/models', t('nav.models'))),
    heading(model.display_name || name, isChat && ctx.user && linkButton(`/console/playground?model=${encodeURIComponent(name)}`, t('models.try'),
      { kind: 'primary', icon: 'playground' })),
    h('div.copy-line', null, code(name), copyButton(name, t('models.copyName'))),
    model.description && h('p.lead', null, model.description),
    tiles(
      tile(t('models.context'), short(model.context_length), t('models.tokens')),
      tile(t('models.maxOutput'), short(model.max_output_tokens), t('models.tokens')),
      tile(t('models.input'), isMetered ? perMillion(model.pricing_input) : t('models.byVendor'), isMetered && t('models.perMillionTokens')),
      tile(t('models.output'), isMetered ? perMillion(model.pricing_output) : t('models.byVendor'), isMetered && t('models.perMillionTokens'))),
    prices(model),
    card(t('models.abilities'), facts(
      [t('models.providers'), model.providers.join(', ')],
      [t('request.endpoint'), model.endpoints.map((one) => [badge(endpointName(one)), ' '])],
      model.input_modalities && [t('models.takes'), model.input_modalities.map((one) => [badge(modalityName(one)), ' '])],
      model.output_modalities && [t('models.gives'), model.output_modalities.map((one) => [badge(modalityName(one)), ' '])])),
    snippetCard(ctx, model), record(ctx, model));
}

function snippetCard(ctx, model) {
  const programs = snippets({ base: baseUrl(ctx.status), model: model.model_name, endpoints: model.endpoints });
  return programs && card(t('models.program'), programs, h('p.muted', null, t('models.keyHint'), ' ',
    link(ctx.user ? '/console/keys' : '/login', ctx.user ? t('nav.keys') : t('login.action'))));
}

/** The kinds of prices that a model has, beside those of longer prompts and of other service tiers. */
function prices(model) {
  if (model.basis === 'upstream_cost') return card(t('nav.pricing'), h('p', null, t('models.byVendorText')));
  const standard = Object.fromEntries([...tokenPrices, ...piecePrices].map((name) => [name, model[`pricing_${name}`]]));
  const tierName = (tier) => t('models.above', { size: short(tier.above) });
  const columns = [
    { title: t('models.standard'), values: standard },
    ...model.tiers.map((tier) => ({ title: tierName(tier), values: tier })),
    ...model.service_tiers.flatMap((tier) => [{ title: t('models.serviceTier', { name: tier.name }), values: tier },
      ...(tier.tiers ?? []).map((one) => ({ title: `${t('models.serviceTier', { name: tier.name })}, ${tierName(one)}`, values: one }))]),
  ];
  const isShown = (name) => name === 'input' || name === 'output' || columns.some((column) => Number(column.values[name]) > 0);
  const rows = [...tokenPrices.filter(isShown).map((name) => ({ name, form: perMillion, unit: t('models.perMillionTokens') })),
    ...piecePrices.filter(isShown).map((name) => ({ name, form: (value) => money(value), unit: t('models.perPiece') }))];
  const shown = (value, form) => (value === null || value === undefined || value === '' ? '–' : form(Number(value)));
  return card(t('nav.pricing'), table({ caption: t('models.priceRows'), rows, columns: [
    { title: t('models.kind'), cell: (row) => h('div', null, t(`price.${row.name}`), h('span.muted', null, row.unit)) },
    ...columns.map((column) => ({ title: column.title, end: true, cell: (row) => shown(column.values[row.name], row.form) })),
  ] }), model.image_sizes.length > 0 && [h('h3.section', null, t('models.imageSizes')), table({ caption: t('models.imageRows'), rows: model.image_sizes,
    columns: [
    { title: t('models.size'), cell: (row) => row.size ?? t('ui.all') }, { title: t('models.quality'), cell: (row) => row.quality ?? t('ui.all') },
    { title: t('models.perImage'), end: true, cell: (row) => money(Number(row.price)) },
  ] })]);
}

/** Speed and availability from this gateway's own log, where the reader may see them. */
function record(ctx, model) {
  const access = ctx.status.rankings ?? 'users';
  if (access === 'off' || (access === 'users' && !ctx.user)) return null;
  const load = (signal) => get('/api/stats/model', { model: model.model_name, days: 7 }, { quiet: true, signal });
  return card(t('models.record'), live(load, (data) => (data.providers.length ? [table({ caption: t('models.recordRows'), rows: data.providers, columns: [
    { title: t('field.provider'), cell: (row) => row.provider },
    { title: t('stats.requests'), end: true, cell: (row) => number(row.requests) },
    { title: t('models.uptime'), end: true, cell: (row) => percent(row.uptime, 2) },
    { title: t('stats.firstToken'), end: true, cell: (row) => duration(row.first_token_p50) },
    { title: t('models.speed'), end: true, cell: (row) => number(row.tokens_per_second) },
  ] }), uptimeDays(data.days)] : h('p.muted', null, t('models.noRecord'))), { signal: ctx.signal, skeleton: 2 }));
}

const uptimeKind = (share) => (share === null ? null : share >= 0.995 ? 'good' : share >= 0.95 ? 'warn' : 'bad');

const uptimeDays = (days) => days.length > 0 && h('ol.uptime', { 'aria-label': t('models.uptimeDays') }, days.map((one) =>
  h('li', { title: `${number(one.requests)} ${t('stats.requests')}`, class: uptimeKind(one.uptime) },
    h('span.bar', { 'aria-hidden': 'true' }), h('span', null, dayShort(one.start)), h('span.muted', null, percent(one.uptime)))));
