/// Mean costs of pieces of text, in thousandths of a token: measured with `o200k_base` over English, code, JSON and a dozen other
/// languages, printed by `Benchmarks/tokens/calibrate.py` (see `docs/token-counting.md`).
enum TokenCosts {
    /// Columns of ``words`` and ``scripts``: lengths 1...12 in characters.
    static let longestWord = 12
    /// Cost of each further character of a longer word: text without words, such as keys and hashes.
    static let longerWord = 300

    /// ASCII words: three rows (lower case, Capitalised, UPPER and mixed) for each of three prefixes (none, a space, a mark).
    static let words: [UInt16] = [
        1000, 1000, 1037, 1098, 1101, 1178, 1293, 1523, 1616, 1640, 1640, 1640,
        1000, 1000, 1013, 1031, 1051, 1123, 1123, 1184, 1372, 1372, 1389, 1508,
        1000, 1000, 1345, 1573, 1852, 2188, 2314, 2554, 2554, 2554, 2914, 3219,
        1000, 1000, 1008, 1028, 1044, 1085, 1100, 1147, 1194, 1246, 1314, 1427,
        1000, 1001, 1011, 1039, 1129, 1135, 1265, 1429, 1565, 1565, 1770, 2535,
        1000, 1016, 1223, 1457, 1691, 1733, 2219, 2219, 2313, 2382, 2632, 2751,
        1019, 1180, 1229, 1229, 1244, 1450, 1642, 1836, 1952, 2110, 2110, 2552,
        1000, 1338, 1338, 1499, 1659, 1895, 1895, 2110, 2527, 2527, 2618, 3418,
        1013, 1396, 1528, 1612, 1612, 1967, 2065, 2385, 2385, 2540, 2540, 3512,
    ]
    /// The row of ``words`` for the commonest kind: lower case, with a space before.
    static let plainWords: [Int64] = words[longestWord * 3..<longestWord * 4].map(Int64.init)

    /// Added to the cost of a plain word of the same length when it has letters such as é or ß.
    static let accent = 350

    /// Words in alphabets other than Latin, with the space before them, in the order of ``TextTokens/Kind``.
    static let scripts: [UInt16] = [
        1000, 1007, 1010, 1147, 1217, 1471, 1497, 1785, 1785, 1949, 2302, 2530,  // Cyrillic
        1000, 1014, 1082, 1258, 2432, 2578, 2906, 3430, 3630, 3914, 3981, 4418,  // Greek
        1000, 1002, 1044, 1246, 1480, 1918, 2200, 3225, 3699, 3835, 4135, 4435,  // Arabic, Hebrew
        1027, 1337, 2203, 2506, 2989, 3631, 4027, 5250, 5750, 6250, 6750, 7250,  // Hangul
    ]
    /// Added to such a word without a space before it, which is rarer in vocabularies.
    static let unspaced = 300

    /// Runs of marks: equal marks, equal marks with a line end, different marks, different marks with a line end; lengths 1...8.
    static let marks: [UInt16] = [
        1000, 1000, 1006, 1006, 1006, 1006, 1006, 1006,
        1000, 1350, 1350, 1350, 1350, 1350, 1350, 1350,
        1000, 1015, 1104, 1607, 1707, 2206, 3451, 3451,
        1000, 1013, 1192, 2148, 2520, 3486, 3615, 4813,
    ]
    static let longestMarks = 8
    /// Cost of each further mark in a longer run of different ones.
    static let longerMarks = 550
    /// Cost of each mark from the fourth equal one in a row (rules, underlines).
    static let repeatedMark = 15
    /// Added for a mark beyond ASCII in a run.
    static let wideMark = 500

    /// `'s`, `'t` and `'re` after a word.
    static let contractions = (one: 280, two: 60)
    /// Longest run of whitespace that vocabularies have as one token, approximately.
    static let longestSpaces = 80

    /// Chinese characters: cost per character, and what a space before a run adds.
    static let han = (each: 710, spaced: 600)
    static let kana = (each: 600, run: 400)
    /// `，` and `。`: the first one, and each further one.
    static let ideographicMarks = (first: 800, next: 400)
    /// Thai, Devanagari and all other alphabets.
    static let other = (each: 450, run: 300)
    static let emoji = 1_500
}
