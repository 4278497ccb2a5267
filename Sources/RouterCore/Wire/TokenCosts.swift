/// What pieces of text cost, in thousandths of a token: means of `o200k_base` over English, code, JSON and a dozen other
/// languages, printed by `Benchmarks/tokens/calibrate.py` (see `docs/token-counting.md`).
enum TokenCosts {
    /// Columns of ``words`` and ``scripts``: lengths 1...12 in characters.
    static let longestWord = 12
    /// One more character of a longer word: text without words, such as keys and hashes.
    static let longerWord = 300

    /// ASCII words: three rows (lower case, Capitalised, UPPER and mixed) for each of three beginnings (none, a space, a mark).
    static let words: [UInt16] = [
        1000, 1001, 1040, 1104, 1105, 1176, 1294, 1533, 1639, 1767, 1771, 1771,
        1000, 1001, 1016, 1031, 1052, 1120, 1120, 1185, 1363, 1363, 1370, 1523,
        1000, 1000, 1342, 1651, 1858, 2211, 2336, 2558, 2558, 2558, 2904, 3357,
        1000, 1000, 1009, 1031, 1046, 1094, 1107, 1161, 1202, 1263, 1332, 1437,
        1000, 1001, 1011, 1058, 1134, 1134, 1251, 1460, 1540, 1540, 1755, 2510,
        1000, 1017, 1226, 1453, 1718, 1771, 2237, 2237, 2380, 2420, 2585, 2799,
        1021, 1185, 1231, 1235, 1251, 1473, 1645, 1919, 1977, 2110, 2110, 2578,
        1000, 1321, 1321, 1540, 1690, 1923, 1923, 2382, 2564, 2564, 2611, 3417,
        1017, 1390, 1528, 1600, 1608, 1962, 2068, 2392, 2392, 2553, 2553, 3508,
    ]
    /// A word with letters like é or ß, above a plain one of the same length.
    static let accent = 350

    /// Words of alphabets beyond Latin, with the space before them, in the order of ``TextTokens/Kind``.
    static let scripts: [UInt16] = [
        1000, 1007, 1010, 1147, 1217, 1471, 1497, 1785, 1785, 1949, 2302, 2530,  // Cyrillic
        1000, 1014, 1082, 1258, 2432, 2578, 2906, 3430, 3630, 3914, 3981, 4418,  // Greek
        1000, 1002, 1044, 1246, 1480, 1918, 2200, 3225, 3699, 3835, 4135, 4435,  // Arabic, Hebrew
        1027, 1337, 2203, 2506, 2989, 3631, 4027, 5250, 5750, 6250, 6750, 7250,  // Hangul
    ]
    /// A word of such an alphabet that begins without a space is rarer in vocabularies.
    static let unspaced = 300

    /// Runs of marks: same marks, same and a line end, different, different and a line end; lengths 1...8.
    static let marks: [UInt16] = [
        1000, 1000, 1001, 1023, 1023, 1023, 1143, 1655,
        1000, 1328, 1328, 1328, 1406, 1449, 1529, 2061,
        1000, 1121, 1164, 1861, 1861, 2334, 3065, 4002,
        1000, 1030, 1193, 2127, 2499, 3473, 3515, 4615,
    ]
    static let longestMarks = 8
    /// One more mark in a longer run: of the same marks (rules, underlines), of different ones.
    static let longerSame = 60
    static let longerDifferent = 550
    /// A mark beyond ASCII in a run, above an ASCII one.
    static let wideMark = 500

    /// `'s`, `'t` and `'re` after a word.
    static let contractions = (one: 430, two: 60)
    /// Vocabularies have whitespace in runs of up to about this length.
    static let longestSpaces = 80

    /// Chinese characters: per character, and what a space before a run adds.
    static let han = (each: 690, spaced: 600)
    static let kana = (each: 600, run: 400)
    /// `，` and `。`: alone, and each further one.
    static let ideographicMarks = (first: 800, next: 400)
    /// Thai, Devanagari and all other alphabets.
    static let other = (each: 450, run: 300)
    static let emoji = 1_500
}
