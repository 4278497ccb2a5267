// Figures over time, of a range that the reader chooses; days begin at midnight in the reader's zone.

import { get } from './api.js';
import { columns } from './chart.js';
import { h, replace } from './dom.js';
import { day, dayShort, dayStart, hour, money, number, percent, short, t, timeZone } from './i18n.js';
import { choices, empty } from './ui.js';

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
 * What a page's filters mean: `from` and `to` where they are chosen, else the range.
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

