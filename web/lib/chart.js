// Charts as SVG: sharp in print, readable without colours, and with their figures as a table below.

import { h, svg } from './dom.js';
import { t } from './i18n.js';

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

/** A line without axes, beside a figure. `values` may have gaps (null). */
export function spark(values, label) {
  const peak = Math.max(...values.filter((value) => value !== null), 0) || 1;
  const points = values.map((value, index) => (value === null ? null : `${(index / Math.max(1, values.length - 1)) * 100},${24 - (value / peak) * 22}`)).filter(Boolean);
  return svg('svg', { viewBox: '0 0 100 26', class: 'spark', role: 'img', 'aria-label': label, preserveAspectRatio: 'none' },
    svg('polyline', { points: points.join(' '), fill: 'none', 'vector-effect': 'non-scaling-stroke' }));
}

/**
 * The attempts of a request, one below the other, each as long as it took.
 * @param {{label: string, ms: number, kind: 'good'|'bad', text: string}[]} steps in the order in which they were made
 */
export function waterfall(steps, label) {
  const whole = steps.reduce((sum, step) => sum + step.ms, 0) || 1;
  let begun = 0;
  return h('ol.waterfall', { 'aria-label': label }, steps.map((step) => {
    const bar = h('span.bar', { class: step.kind, style: { marginInlineStart: `${(begun / whole) * 100}%`, width: `${Math.max(1, (step.ms / whole) * 100)}%` } });
    begun += step.ms;
    return h('li', null, h('span.step', null, step.label), h('span.track', { 'aria-hidden': 'true' }, bar), h('span.result', null, step.text));
  }));
}
