/// An exact decimal number read from text: sign, digits and a power of ten. No floating point on the way.
///
/// Accepts what JSON and YAML price lists contain: `12`, `0.00000025`, `1e-05`, `2.9999900000000002e-06`, `+1.5`.
package struct DecimalText: Sendable, Hashable {
    package var isNegative: Bool
    /// Digits as an integer; leading and trailing zeros removed.
    package var mantissa: UInt128
    /// value = mantissa × 10^exponent
    package var exponent: Int

    /// - Throws: ``MoneyError/notANumber(_:)``, or ``MoneyError/overflow`` for more than 38 significant digits.
    package init(_ text: some StringProtocol) throws(MoneyError) {
        var negative = false
        var mantissa: UInt128 = 0
        var exponent = 0
        var digits = 0
        var seenPoint = false
        var rest = Substring(text).utf8[...]
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            negative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        while let byte = rest.first {
            if byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") {
                digits += 1
                let (scaled, overflowed) = mantissa.multipliedReportingOverflow(by: 10)
                let (sum, carried) = scaled.addingReportingOverflow(UInt128(byte - UInt8(ascii: "0")))
                if overflowed || carried { throw .overflow }
                mantissa = sum
                if seenPoint { exponent -= 1 }
            } else if byte == UInt8(ascii: ".") && !seenPoint {
                seenPoint = true
            } else {
                break
            }
            rest = rest.dropFirst()
        }
        guard digits > 0 else { throw .notANumber(String(text)) }
        if let byte = rest.first, byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
            guard let power = Int(Substring(rest.dropFirst())), (-400...400).contains(power) else { throw .notANumber(String(text)) }
            exponent += power
            rest = rest[rest.endIndex...]
        }
        guard rest.isEmpty else { throw .notANumber(String(text)) }
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10
            exponent += 1
        }
        self.isNegative = negative && mantissa != 0
        self.mantissa = mantissa
        self.exponent = mantissa == 0 ? 0 : exponent
    }

    /// value × 10^places as an integer, rounded half up (away from zero) when digits are left over.
    package func scaled(byPowerOfTen places: Int) throws(MoneyError) -> (value: Int128, isExact: Bool) {
        var result = mantissa
        var power = exponent + places
        while power > 0 && result != 0 {
            let (next, overflowed) = result.multipliedReportingOverflow(by: 10)
            if overflowed { throw .overflow }
            result = next
            power -= 1
        }
        var exact = true
        if power < 0 {
            var divisor: UInt128 = 1
            for _ in 0..<min(-power, 38) { divisor *= 10 }
            let (quotient, remainder) = -power > 38 ? (0, result) : result.quotientAndRemainder(dividingBy: divisor)
            exact = remainder == 0
            result = -power <= 38 && remainder >= divisor / 2 + divisor % 2 ? quotient + 1 : quotient
        }
        guard let magnitude = Int128(exactly: result) else { throw .overflow }
        return (isNegative ? -magnitude : magnitude, exact)
    }
}

/// `value × 10^-places` as decimal text without exponent and without needless zeros: `0.00000025`, `-3`, `12.5`.
package func decimalText(_ value: Int128, places: Int) -> String {
    // 39 digits of an Int128, the zeros before them, a sign and a point.
    let capacity = 96
    precondition(0...40 ~= places)
    return String(unsafeUninitializedCapacity: capacity) { buffer in
        var rest = value.magnitude
        var position = capacity
        func put(_ byte: UInt8) {
            position -= 1
            buffer[position] = byte
        }
        var hasFraction = false
        for _ in 0..<places {
            let digit = rest.takeLastDigit()
            // Zeros at the end of the fraction say nothing.
            if digit > 0 || hasFraction {
                put(UInt8(ascii: "0") + digit)
                hasFraction = true
            }
        }
        if hasFraction { put(UInt8(ascii: ".")) }
        repeat { put(UInt8(ascii: "0") + rest.takeLastDigit()) } while rest > 0
        if value < 0 { put(UInt8(ascii: "-")) }
        let count = capacity - position
        for index in 0..<count { buffer[index] = buffer[position + index] }
        return count
    }
}

extension UInt128 {
    fileprivate mutating func takeLastDigit() -> UInt8 {
        // Most amounts fit into a machine word, which divides ten times faster.
        if let small = UInt64(exactly: self) {
            let (quotient, remainder) = small.quotientAndRemainder(dividingBy: 10)
            self = UInt128(quotient)
            return UInt8(remainder)
        }
        let (quotient, remainder) = quotientAndRemainder(dividingBy: 10)
        self = quotient
        return UInt8(remainder)
    }
}
