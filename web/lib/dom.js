// Makes nodes and text, never markup: whatever a model, a vendor or a user wrote stays text.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element.
 * @param {string} tag such as `div`, or `button.primary.small` with classes
 * @param {object} [props] `on: {click}` adds listeners; `style: {}` sets properties; `true` sets an empty attribute; `null` and `false` leave it out
 * @param {...*} children nodes, texts, numbers, lists of these; `null` and `false` are left out
 */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split('.');
  return fill(document.createElement(name), classes, props, children);
}

/** The same for elements of SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), [], props, children);
}

function fill(node, classes, props, children) {
  if (classes.length) node.setAttribute('class', classes.join(' '));
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'on') for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (key === 'style') Object.assign(node.style, value);
    else if (key === 'class') node.setAttribute('class', [...classes, value].filter(Boolean).join(' '));
    else if (key === 'value' || key === 'checked' || key === 'indeterminate') node[key] = value;
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  append(node, children);
  return node;
}

/** Adds children as `h` does. */
export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === true) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** Takes out what is there and puts the given children in. */
export function replace(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

const paths = {
  overview: 'M4 4h7v7H4zM13 4h7v4h-7zM13 11h7v9h-7zM4 14h7v6H4z',
  playground: 'M4 5h16v11H9l-5 4z',
  keys: 'M14.5 9.5a4 4 0 1 0-4.2 4L12 15v2h2v2h2v1h4v-3l-6-6',
  usage: 'M5 7h14M5 12h14M5 17h9',
  billing: 'M3 7h18v11H3zM3 11h18M7 15h3',
  account: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-5 4-6 8-6s7 1 8 6',
  channels: 'M4 12h6m4-6h6m-6 12h6m-10-6c3 0 2-6 4-6m-4 6c3 0 2 6 4 6',
  routes: 'M6 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM18 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6 15V9a3 3 0 0 1 3-3h7M18 9v6a3 3 0 0 1-3 3H8',
  users: 'M9 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c.6-4 3-5.5 6-5.5s5.4 1.5 6 5.5M16 5.5a3.5 3.5 0 0 1 0 6.5M17 14.8c2.2.6 3.6 2.2 4 5.2',
  pricing: 'M12 3v18M16.5 7c-1-1.2-2.6-1.7-4.5-1.7-2.5 0-4.3 1.1-4.3 3.1 0 4.6 9.2 2.2 9.2 7 0 2.2-2 3.3-4.9 3.3-2.2 0-3.9-.7-5-2',
  logs: 'M6 3h9l4 4v14H6zM14 3v5h5M9 12h7M9 16h7',
  money: 'M4 19h16M7 16v-5M12 16V6M17 16v-8',
  audit: 'M12 3l8 3v6c0 5-3.5 7.5-8 9-4.5-1.5-8-4-8-9V6zM9 12l2 2 4-4',
  config: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM8 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
  system: 'M4 5h16v10H4zM9 20h6M12 15v5',
  models: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2M12 20v2M4 12H2M22 12h-2M5 5l1.5 1.5M17.5 17.5L19 19M19 5l-1.5 1.5M6.5 17.5L5 19',
  moon: 'M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z',
  language: 'M4 6h9M8.5 4v2M11.5 6c-.8 3.5-3.4 6.5-7 8M6 9c1 2 3 4 5.5 5M12 20l4-9 4 9M13.3 17h5.4',
  copy: 'M8 8h12v12H8zM16 8V4H4v12h4',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  close: 'M6 6l12 12M18 6L6 18',
  plus: 'M12 5v14M5 12h14',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20',
  warning: 'M12 4l9 16H3zM12 10v4M12 17h.01',
  download: 'M12 4v11M7.5 11L12 15.5 16.5 11M5 20h14',
  refresh: 'M19 8a8 8 0 1 0 1 5M20 4v5h-5',
  logout: 'M10 4H5v16h5M14 8l4 4-4 4M18 12H9',
  login: 'M14 4h5v16h-5M10 8l4 4-4 4M14 12H4',
  arrow: 'M5 12h14M13 6l6 6-6 6',
  edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
  play: 'M8 5l11 7-11 7z',
  stop: 'M7 7h10v10H7z',
  down: 'M6 9l6 6 6-6',
  picture: 'M4 5h16v14H4zM4 16l4.5-4.5 4 4L16 12l4 4M9 9h.01',
  columns: 'M4 5h16v14H4zM12 5v14',
  file: 'M7 3h7l4 4v14H7zM14 3v4h4',
};

/** An icon, drawn in the colour of the text beside it. Decorative: the text says what it means. */
export function icon(name, size = 18) {
  return svg('svg', {
    viewBox: '0 0 24 24', width: size, height: size, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.8,
    'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true', class: 'icon',
  }, svg('path', { d: paths[name] ?? paths.more }));
}
