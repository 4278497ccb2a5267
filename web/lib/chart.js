// Charts, made of SVG, with their figures as a table below; and figures over time.

import { get } from './api.js';
import { day, dayShort, dayStart, h, hour, money, number, percent, replace, short, svg, t, timeZone } from './base.js';
import { choices, empty } from './ui.js';

const height = 220;
const left = 64;
const bottom = 22;
const top = 10;

/** The next round number at or above: 1, 2, 2.5 or 5 times a power of ten. */
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= value * 0.999999) * power;
}

/**
 * Stacked columns over time.
 * @param {{title: string, starts: number[], series: {name: string, values: number[]}[], label: (start: number) => string, form: (value: number) => string}} o
 *   `values` have the length of `starts`; at most eight series
 */
export function columns(o) {
  const totals = o.starts.map((_, index) => o.series.reduce((sum, one) => sum + (one.values[index] ?? 0), 0));
  const peak = roundUp(Math.max(0, ...totals));
  const isNarrow = matchMedia('(max-width: 760px)').matches;
  const width = isNarrow ? 360 : 900;
  const step = (width - left) / Math.max(1, o.starts.length);
  const y = (value) => top + (height - top - bottom) * (1 - value / peak);
  const every = Math.ceil(o.starts.length / (isNarrow ? 4 : 6));
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, class: 'chart', role: 'img', 'aria-label': o.title, preserveAspectRatio: 'none' },
    [0, 0.5, 1].map((part) => [
      svg('line', { x1: left, x2: width, y1: y(peak * part), y2: y(peak * part), class: 'grid' }),
      svg('text', { x: left - 8, y: y(peak * part) + 4, 'text-anchor': 'end' }, o.form(peak * part)),
    ]),
    o.starts.map((start, index) => {
      let below = 0;
      const bars = o.series.map((one, number) => {
        const value = one.values[index] ?? 0;
        if (!(value > 0)) return null;
        const bar = svg('rect', {
          x: left + index * step + step * 0.12, width: Math.max(1, step * 0.76), y: y(below + value), height: Math.max(0.5, y(below) - y(below + value)),
          class: `series-${number % 8}`,
        });
        below += value;
        return bar;
      });
      const text = `${o.label(start)}: ${o.form(totals[index])}\n${o.series.filter((one) => one.values[index] > 0)
        .map((one) => `${one.name}: ${o.form(one.values[index])}`).join('\n')}`;
      return svg('g', { class: 'column' }, svg('title', null, text),
        svg('rect', { x: left + index * step, width: step, y: top, height: height - top - bottom, class: 'hit' }), bars,
        index % every === 0 && svg('text', { x: left + index * step + step / 2, y: height - 5, 'text-anchor': 'middle' }, o.label(start)));
    }));
  return h('figure.chart-frame', null, h('div.chart-scroll', null, picture), legend(o.series), figures(o));
}

const legend = (series) => series.length > 1 && h('ul.legend', null, series.map((one, index) =>
  h('li', null, h('span.swatch', { class: `series-${index % 8}` }), one.name)));

const figures = (o) => h('details', null, h('summary', null, t('ui.asTable')), h('div.table-frame', { tabindex: 0, role: 'region', 'aria-label': o.title }, h('table', null,
  h('caption', null, o.title),
  h('thead', null, h('tr', null, h('th', { scope: 'col' }, t('ui.time')), o.series.map((one) => h('th.end', { scope: 'col' }, one.name)))),
  h('tbody', null, o.starts.map((start, index) => h('tr', null, h('th', { scope: 'row' }, o.label(start)),
    o.series.map((one) => h('td.end', { 'data-label': one.name }, o.form(one.values[index] ?? 0)))))))));

// Figures over time, of a range that the reader chooses; days begin at midnight in the reader's zone.

/** The names of the ranges, for `choices`. */
export const rangeChoices = () => [['24h', t('range.24h')], ['7d', t('range.7d')], ['30d', t('range.30d')]];

/** @returns {{from: number, bucket: string}} */
export function span(range) {
  if (range === '24h') return { from: Math.floor(Date.now() / 3_600_000 - 23) * 3600, bucket: 'hour' };
  return { from: dayStart(range === '7d' ? 6 : 29), bucket: 'day' };
}

/** The bucket that gives a custom range a readable number of columns. */
export function bucketFor(from, to) {
  const length = to - from;
  if (length <= 6 * 3600) return 'quarter';
  if (length <= 3 * 86_400) return 'hour';
  return length <= 100 * 86_400 ? 'day' : 'month';
}

/**
 * The meaning of a page's filters: `from` and `to` where they are chosen, else the range.
 * @returns {{from: number, to: number|undefined, bucket: string}}
 */
export function windowOf({ range, from, to }) {
  if (!from && !to) return span(range || '7d');
  const end = Number(to) || Math.floor(Date.now() / 1000);
  const begin = Number(from) || end - 30 * 86_400;
  return { from: begin, to: Number(to) || undefined, bucket: bucketFor(begin, end) };
}

/**
 * The range as one of a list's filters, so that it stands in the address: seven days where nothing is chosen, or a time of the reader's own.
 * @param {object} from @param {object} to fields of `momentField`, shown for a time of one's own; they belong to the filters too
 */
export function rangeField(from, to) {
  const input = h('input', { type: 'hidden' });
  const node = h('div.field');
  const showOwn = () => [from, to].forEach((one) => (one.node.hidden = input.value !== 'custom'));
  const self = {
    name: 'range', input, node, value: () => input.value,
    set(value) {
      input.value = value ?? '';
      replace(node, h('span.label', { 'aria-hidden': 'true' }, t('range.label')),
        choices(t('range.label'), [...rangeChoices(), ['custom', t('range.custom')]], input.value || '7d', choose), input);
      showOwn();
    },
  };
  function choose(value) {
    input.value = value === '7d' ? '' : value;
    if (value !== 'custom') [from, to].forEach((one) => one.set(''));
    showOwn();
    input.dispatchEvent(new Event('input'));
  }
  self.set('');
  return self;
}

export const series = (query, signal) => get('/api/stats/series', { tz: timeZone(), ...query }, { signal });

/** How a column is labelled. */
export function bucketLabel(bucket) {
  if (bucket === 'quarter' || bucket === 'hour') return (start) => hour(start);
  return bucket === 'month' ? (start) => day(start) : (start) => dayShort(start);
}

const forms = { cost: (value) => money(value), requests: (value) => short(value), tokens: (value) => short(value) };

/**
 * Stacked columns of an answer of `GET /api/stats/series`.
 * @param {object} data @param {'cost'|'requests'|'tokens'} measure
 */
export function seriesChart(data, title, measure) {
  const values = (one) => (measure === 'tokens' ? one.prompt_tokens.map((count, index) => count + one.completion_tokens[index]) : one[measure]);
  return columns({
    title: `${title} (${t('ui.zone', { zone: data.tz ?? timeZone() })})`, starts: data.starts, label: bucketLabel(data.bucket), form: forms[measure],
    series: data.series.map((one) => ({ name: seriesName(one), values: values(one) })),
  });
}

export const seriesName = (one) => (one.key === 'other' ? t('ui.other') : one.name ?? one.key);

/** Requests as columns, those that failed on top. */
export function requestChart(data, title) {
  const sum = (name) => data.starts.map((_, index) => data.series.reduce((total, one) => total + one[name][index], 0));
  const errors = sum('errors');
  const chart = columns({
    title: `${title} (${t('ui.zone', { zone: data.tz ?? timeZone() })})`, starts: data.starts, label: bucketLabel(data.bucket), form: (value) => number(value),
    series: [{ name: t('stats.answered'), values: sum('requests').map((count, index) => count - errors[index]) }, { name: t('stats.failed'), values: errors }],
  });
  chart.classList.add('outcomes');
  return chart;
}

/** Names the days' zone, so that nobody has to guess when a day ends. */
export const zoneNote = (data) => h('span.muted', null, t('ui.zone', { zone: data.tz ?? timeZone() }));

export const errorShare = (total) => percent(total.requests ? total.errors / total.requests : 0, 2);

export const noRequests = (text, action) => empty(t('stats.none'), text, action);
