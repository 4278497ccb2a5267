// A model's answer as nodes. What is not understood stays text, so that nothing that a model writes becomes markup.

import { h } from './base.js';

const item = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const fence = /^\s*(`{3,}|~{3,})\s*([\w+#.-]*)/;

/** Quotes and lists in each other up to here; what is deeper stays as it was written. */
const deepest = 6;

/** @param {string} text @returns {Node[]} */
export function markdown(text, depth = 0) {
  if (depth > deepest) return [h('p', null, text)];
  const lines = text.replaceAll('\r', '').split('\n');
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) {
      at += 1;
      continue;
    }
    const read = [readCode, readHeading, readRule, readQuote, readTable, readList].find((one) => one.begins(line, lines[at + 1]));
    const [node, next] = (read ?? readParagraph)(lines, at, depth);
    blocks.push(node);
    at = next;
  }
  return blocks;
}

function readCode(lines, start) {
  const [, mark, language] = lines[start].match(fence);
  let end = start + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(mark) && !lines[end].trim().slice(mark.length).replaceAll(mark[0], ''))) end += 1;
  return [h('pre', { tabindex: 0 }, language && h('span.language', null, language), h('code', null, lines.slice(start + 1, end).join('\n'))), end + 1];
}
readCode.begins = (line) => fence.test(line);

function readHeading(lines, start) {
  const [, marks, text] = lines[start].match(/^(#{1,6})\s+(.*?)\s*#*$/);
  // A heading of an answer is none of the page's: its level would break the outline.
  return [h('p.md-heading', { class: marks.length < 3 ? 'large' : null }, inline(text)), start + 1];
}
readHeading.begins = (line) => /^#{1,6}\s+\S/.test(line);

const readRule = (lines, start) => [h('hr'), start + 1];
readRule.begins = (line) => /^\s*([-*_])(\s*\1){2,}\s*$/.test(line);

function readQuote(lines, start, depth) {
  let end = start;
  while (end < lines.length && lines[end].startsWith('>')) end += 1;
  return [h('blockquote', null, markdown(lines.slice(start, end).map((line) => line.replace(/^> ?/, '')).join('\n'), depth + 1)), end];
}
readQuote.begins = (line) => line.startsWith('>');

const cells = (line) => line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());

function readTable(lines, start) {
  let end = start + 2;
  while (end < lines.length && lines[end].includes('|')) end += 1;
  return [h('div.md-table', { tabindex: 0 }, h('table', null, h('thead', null, h('tr', null, cells(lines[start]).map((cell) => h('th', null, inline(cell))))),
    h('tbody', null, lines.slice(start + 2, end).map((line) => h('tr', null, cells(line).map((cell) => h('td', null, inline(cell)))))))), end];
}
readTable.begins = (line, next) => line.includes('|') && /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/.test(next ?? '') && (next ?? '').includes('|');

/** A list and the lists in it: what is indented further belongs to the item above. */
function readList(lines, start, depth) {
  const [, indent, mark] = lines[start].match(item);
  const isOrdered = /\d/.test(mark);
  const items = [];
  let at = start;
  while (at < lines.length) {
    const found = lines[at].match(item);
    if (!found || found[1].length !== indent.length || /\d/.test(found[2]) !== isOrdered) break;
    let end = at + 1;
    while (end < lines.length && belongs(lines, end, indent.length)) end += 1;
    const inner = lines.slice(at + 1, end).map((line) => line.slice(Math.min(indent.length + 2, line.search(/\S|$/))));
    let text = found[3];
    while (inner.length && inner[0].trim() && !isBlock(inner[0])) text += `\n${inner.shift()}`;
    items.push(h('li', null, inline(text), inner.length ? markdown(inner.join('\n'), depth + 1) : null));
    at = end;
    while (at < lines.length && !lines[at].trim() && lines[at + 1]?.match(item)) at += 1;
  }
  return [h(isOrdered ? 'ol' : 'ul', isOrdered ? { start: parseInt(mark, 10) } : null, items), at];
}
readList.begins = (line) => item.test(line);

const belongs = (lines, at, indent) => (lines[at].trim() ? lines[at].search(/\S/) > indent : (lines[at + 1] ?? '').search(/\S/) > indent);

/** Whether something other than a paragraph begins here. */
const isBlock = (line, next) => [readCode, readHeading, readRule, readQuote, readList, readTable].some((one) => one.begins(line, next));

function readParagraph(lines, start) {
  let end = start + 1;
  while (end < lines.length && lines[end].trim() && !isBlock(lines[end], lines[end + 1])) end += 1;
  return [h('p', null, inline(lines.slice(start, end).join('\n'))), end];
}

// Lengths are bounded, so that no text takes more than time in proportion to its length.
const marks = new RegExp([
  /(`{1,8})([\s\S]{1,4000}?)\1(?!`)/, // code
  /\*\*(?=\S)([\s\S]{1,4000}?)\*\*/, // bold
  /(?<![\w*])\*(?=[^\s*])([^*\n]{1,2000}?)\*(?!\*)/, // italic
  /(?<!\w)_(?=\S)([^_\n]{1,2000}?)_(?!\w)/, // italic
  /\[([^\]\n]{1,500})\]\(([^\s)]{1,2000})\)/, // a link
  /(https?:\/\/[^\s<>"'`]{0,2000}[^\s<>"'`.,;:!?)\]])/, // an address
  /\n/,
].map((one) => one.source).join('|'), 'g');

/** The marks inside of a line. */
function inline(text) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(marks)) {
    const [whole, , codeText, strong, emphasis, emphasisToo, label, target, bare] = found;
    if (found.index > end) nodes.push(text.slice(end, found.index));
    end = found.index + whole.length;
    if (codeText !== undefined) nodes.push(h('code', null, codeText));
    else if (strong !== undefined) nodes.push(h('strong', null, inline(strong)));
    else if (emphasis !== undefined || emphasisToo !== undefined) nodes.push(h('em', null, inline(emphasis ?? emphasisToo)));
    else if (target !== undefined) nodes.push(outside(target, inline(label)) ?? whole);
    else if (bare !== undefined) nodes.push(outside(bare, bare));
    else nodes.push(h('br'));
  }
  if (end < text.length) nodes.push(text.slice(end));
  return nodes;
}

/** A link out of the console, for addresses of the web only; null for any other. */
function outside(target, label) {
  return /^https?:\/\//i.test(target) ? h('a', { href: target, target: '_blank', rel: 'noopener noreferrer nofollow' }, label) : null;
}
