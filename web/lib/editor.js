// A text with line numbers, in which a diagnostic puts the caret where it points.

import { h } from './dom.js';

/**
 * @param {{label: string, onInput: (text: string) => void}} o
 * @returns {{node: HTMLElement, value: () => string, set: (text: string, isLocked: boolean) => void, go: (line: number, column: number) => void}}
 */
export function editor(o) {
  const numbers = h('pre.line-numbers', { 'aria-hidden': 'true' });
  const area = h('textarea.mono', { 'aria-label': o.label, wrap: 'off', spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', on: {
    input: () => {
      count();
      o.onInput(area.value);
    },
    scroll: () => (numbers.scrollTop = area.scrollTop),
  } });
  let lines = 0;
  const count = () => {
    const now = area.value.split('\n').length;
    if (now !== lines) numbers.textContent = Array.from({ length: now }, (_, index) => index + 1).join('\n');
    lines = now;
  };
  return {
    node: h('div.editor', null, numbers, area),
    value: () => area.value,
    set(text, isLocked) {
      area.value = text;
      area.readOnly = isLocked;
      area.scrollTop = 0;
      count();
    },
    go(line, column) {
      const before = area.value.split('\n').slice(0, line - 1);
      const start = before.reduce((sum, one) => sum + one.length + 1, 0);
      const length = area.value.slice(start).split('\n', 1)[0].length;
      const at = start + Math.min(Math.max(0, column - 1), length);
      area.focus();
      area.setSelectionRange(at, Math.max(at, start + length));
      const height = area.scrollHeight / Math.max(1, lines);
      area.scrollTop = Math.max(0, (line - 4) * height);
    },
  };
}

/** Two versions of a text beside each other; lines that the other one does not have are marked. */
export function versions(leftTitle, left, rightTitle, right) {
  const side = (title, text, other) => {
    const known = new Set(other.split('\n'));
    return h('figure', null, h('figcaption', null, title),
      h('pre', { tabindex: 0 }, text.split('\n').map((line) => h('span', { class: known.has(line) ? null : 'differs' }, line, '\n'))));
  };
  return h('div.versions', null, side(leftTitle, left, right), side(rightTitle, right, left));
}
