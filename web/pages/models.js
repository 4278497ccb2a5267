// All models of this gateway with their prices: searched, filtered and sorted in the browser, compared side by side.

import { h, money, none, number, perMillion, percent, replace, short, t } from '../lib/base.js';
import { list } from '../lib/table.js';
import { allModels, endpointName, matches, modalityName, modelPath, rankings } from '../lib/models.js';
import { badge, button, choices, code, empty, field, heading, link, linkButton, live, toast } from '../lib/ui.js';

const portion = 60;
const contexts = [32_000, 128_000, 200_000, 1_000_000];
const views = ['all', 'use', 'value', 'speed', 'rising'];

export default function page(ctx) {
  const place = live(async () => Promise.all([allModels(), rankings(ctx)]), ([models, ranks]) => catalogue(ctx, models, ranks),
    { signal: ctx.signal, skeleton: 8 });
  return h('div.page', null, heading(t('nav.models')), place);
}

function catalogue(ctx, models, ranks) {
  if (!models.length) {
    return empty(t('models.none'), t('models.noneText'), ctx.may('admin') && linkButton('/console/channels', t('steps.channelAction'), { kind: 'primary' }));
  }
  const chosen = new Set();
  const bar = h('div.compare-bar', { role: 'status', hidden: true });
  const place = h('div');
  const drawBar = () => {
    bar.hidden = chosen.size === 0;
    replace(bar, h('span', null, [...chosen].map((name) => [code(name), ' '])),
      button(t('models.compare', { count: chosen.size }), { kind: 'primary', icon: 'columns', disabled: chosen.size < 2, onClick: async () => {
        const { compareDialog } = await import('../lib/compare.js');
        compareDialog(models.filter((one) => chosen.has(one.model_name)), ranks);
      } }),
      button(t('models.compareNone'), { kind: 'quiet', onClick: () => {
        chosen.clear();
        for (const box of place.querySelectorAll('.compare-box')) box.checked = false;
        drawBar();
      } }));
  };
  const choose = (model, box) => {
    if (box.checked && chosen.size >= 3) {
      box.checked = false;
      return toast(t('models.compareMost'), 'bad');
    }
    chosen[box.checked ? 'add' : 'delete'](model.model_name);
    drawBar();
  };
  const draw = (view) => replace(place, listOf(ctx, models, ranks, view, (model) => h('input.compare-box', {
    type: 'checkbox', checked: chosen.has(model.model_name), 'aria-label': t('models.compareWith', { name: model.model_name }),
      on: { change: (event) => choose(model, event.target) },
  })));
  const first = ranks.size > 0 && views.includes(ctx.query.get('view')) ? ctx.query.get('view') : 'all';
  draw(first);
  return [ranks.size > 0 && h('div.views', null, choices(t('models.view'), views.map((name) => [name, t(`models.view.${name}`)]), first, (view) => {
    ctx.query = new URLSearchParams(location.search);
    for (const name of ['sort', 'order', 'view']) ctx.query.delete(name);
    if (view !== 'all') ctx.query.set('view', view);
    ctx.setQuery(ctx.query);
    draw(view);
  })), place, bar];
}

/** Unique values of all models, as options. */
const optionsOf = (models, values, name = (value) => value) =>
  [['', t('ui.all')], ...[...new Set(models.flatMap(values))].sort().map((value) => [value, name(value)])];

/** Whether neither price is above a bound in dollars per million tokens. */
const isCheap = (model, bound) => model.basis === 'metered' && Math.max(model.pricing_input ?? 0, model.pricing_output ?? 0) * 1e6 <= bound * 1.000001;

function listOf(ctx, models, ranks, view, box) {
  const isRanking = view !== 'all';
  const modalities = (model) => [...(model.input_modalities ?? []), ...(model.output_modalities ?? [])];
  const viewField = { name: 'view', input: h('input', { type: 'hidden' }), node: null, value: () => (isRanking ? view : ''), set() {} };
  viewField.node = viewField.input;
  const filters = [
    field({ label: t('field.q'), name: 'q', type: 'search', placeholder: t('models.search') }),
    field({ label: t('field.provider'), name: 'provider', type: 'select', options: optionsOf(models, (model) => model.providers) }),
    models.some((model) => modalities(model).length) && field({ label: t('models.modality'), name: 'modality', type: 'select',
      options: optionsOf(models, modalities, modalityName) }),
    field({ label: t('request.endpoint'), name: 'endpoint', type: 'select', options: optionsOf(models, (model) => model.endpoints, endpointName) }),
    field({ label: t('models.context'), name: 'context', type: 'select',
      options: [['', t('ui.all')], ...contexts.map((size) => [String(size), t('models.atLeast', { size: short(size) })])] }),
    field({ label: t('models.maxPrice'), name: 'max_price', type: 'number', min: 0, step: 'any' }),
    viewField,
  ].filter(Boolean);
  const isKept = (model, query) => (!query.q || matches(model, query.q)) && (!query.provider || model.providers.includes(query.provider))
    && (!query.modality || modalities(model).includes(query.modality)) && (!query.endpoint || model.endpoints.includes(query.endpoint))
    && (!query.context || model.context_length >= Number(query.context))
    && (query.max_price === undefined || isCheap(model, Number(query.max_price)))
    && (!isRanking || ranks.has(model.model_name));
  return list({
    ctx, caption: t('nav.models'), filters, columns: columnsOf(ranks, view, box), sort: { by: isRanking ? view : 'name', order: isRanking ? 'desc' : 'asc' },
    load: async (query, position) => {
      const found = models.filter((model) => isKept(model, query)).sort(ordering(query, ranks));
      const begin = position ?? 0;
      return { items: found.slice(begin, begin + portion), next: begin + portion < found.length ? begin + portion : null, total: found.length };
    },
    open: (model) => ctx.go(modelPath(model.model_name)), openLabel: (model) => model.model_name,
    nothing: () => empty(t('ui.noMatch'), t('ui.noMatchText')),
  });
}

const measures = {
  name: (model) => model.model_name.replace(/^\W+/, ''), context: (model) => model.context_length,
  input: (model) => model.pricing_input, output: (model) => model.pricing_output,
  use: (model, rank) => rank?.tokens, value: (model, rank) => rank?.value, speed: (model, rank) => rank?.tokens_per_second,
    rising: (model, rank) => (rank?.change === null ? Infinity : rank?.change),
};

/** Models without the figure come last, whatever the direction. "Best value" begins with the cheapest. */
function ordering({ sort, order }, ranks) {
  const measure = measures[sort] ?? measures.name;
  const isUp = (order === 'asc') !== (sort === 'value');
  const figure = (model) => measure(model, ranks.get(model.model_name)) ?? null;
  return (one, other) => {
    const [a, b] = [figure(one), figure(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    const difference = typeof a === 'string' ? a.localeCompare(b) : a === b ? 0 : a - b;
    return isUp ? difference : -difference;
  };
}

const shareBar = (share) => h('div.share', null, h('span', null, percent(share)),
  h('div.meter', { 'aria-hidden': 'true' }, h('div', { style: { width: `${(share ?? 0) * 100}%` } })));

function columnsOf(ranks, view, box) {
  const rank = (model) => ranks.get(model.model_name);
  const prices = [
    { title: t('models.input'), sort: 'input', end: true, cell: (model) => price(model, model.pricing_input) },
    { title: t('models.output'), sort: 'output', end: true, cell: (model) => price(model, model.pricing_output) },
  ];
  const use = { title: t('models.use'), sort: 'use', end: true, cell: (model) => rank(model) && shareBar(rank(model).share) };
  return [
    { title: t('models.compareColumn'), cell: box },
    { title: t('field.model'), sort: 'name', cell: (model) => h('div', null, link(modelPath(model.model_name), model.display_name || model.model_name),
      h('span.muted', null, code(model.model_name))) },
    view === 'all' && { title: t('field.provider'), cell: (model) => model.providers.join(', ') },
    view === 'all' && { title: t('models.context'), sort: 'context', end: true, cell: (model) => short(model.context_length) },
    ...prices,
    ranks.size > 0 && use,
    view !== 'all' && { title: t('models.blended'), sort: 'value', end: true, cell: (model) => money(rank(model)?.value) },
    view !== 'all' && { title: t('models.speed'), sort: 'speed', end: true, cell: (model) => number(rank(model)?.tokens_per_second) },
    view !== 'all' && { title: t('models.change'), sort: 'rising', end: true, cell: (model) => change(rank(model)?.change) },
  ].filter(Boolean);
}

const price = (model, value) => (model.basis === 'upstream_cost' ? h('span.muted', null, t('models.byVendor')) : perMillion(value));

/** The tokens compared with those of as many days before; a model without any there is new. */
function change(ratio) {
  if (ratio === undefined) return none;
  if (ratio === null) return badge(t('models.new'), 'good');
  return h('span', { class: ratio > 1 ? 'gain' : null }, `${ratio > 1 ? '+' : ''}${percent(ratio - 1, 0)}`);
}
