// Figures over time, of a range that the reader chooses; days begin at midnight in the reader's zone.

import { get } from './api.js';
import { columns } from './chart.js';
import { h } from './dom.js';
import { day, dayShort, hour, money, number, percent, short, t, timeZone } from './i18n.js';
import { dayStart } from './time.js';
import { empty } from './ui.js';

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

