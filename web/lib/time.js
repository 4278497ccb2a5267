// Moved: times to i18n.js, the field to ui.js. For pages that do not know it yet.
export { dayStart, unzoned, zoned } from './i18n.js';
export { momentField } from './ui.js';
