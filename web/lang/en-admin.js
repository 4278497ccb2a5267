// Texts for administrators, loaded for them only. The same keys are in both languages.
export default {
};
