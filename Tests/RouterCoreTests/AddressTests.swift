import RouterCore
import Testing

@Suite struct AddressTests {
    /// Text, and how it is written again; nil = no address.
    static let texts: [(String, String?)] = [
        ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("0.0.0.0", "0.0.0.0"),
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::ffff:10.1.2.3", "10.1.2.3"), ("::ffff:a01:203", "10.1.2.3"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ("", nil), ("1.2.3", nil), ("1.2.3.4.5", nil), ("256.1.1.1", nil), ("01.2.3.4", nil), ("1.2.3.4 ", nil), ("1.2.3.-4", nil),
        ("1.2.3.4:80", nil), (":::", nil), ("1::2::3", nil), ("1:2:3:4:5:6:7", nil), ("1:2:3:4:5:6:7:8:9", nil),
        ("1:2:3:4:5:6:7:8::", nil), ("12345::", nil), ("g::", nil), ("1:", nil), (":1", nil), ("::1.2.3", nil), ("fe80::1%eth0", nil),
        ("1:2:3:4:5:6:7:1.2.3.4", nil), ("[::1]", nil), (String(repeating: "0", count: 60), nil), ("١.2.3.4", nil),
    ]

    @Test(arguments: texts) func `addresses are read and written`(text: String, expected: String?) {
        #expect(IPAddress(text)?.description == expected)
        if let expected { #expect(IPAddress(expected) == IPAddress(text)) }
    }

    @Test func `every address is written so that it is read as the same`() {
        var generator = SplitMix64(seed: 16)
        for _ in 0..<20_000 {
            // Many zeros, so that runs of them occur everywhere.
            let groups = (0..<8).map { _ in generator.below(3) == 0 ? generator.below(65_536) : generator.below(2) }
            let text = groups.map { String($0, radix: 16) }.joined(separator: ":")
            let address = IPAddress(text)
            #expect(address != nil && IPAddress("\(address!)") == address, "\(text)")
        }
    }

    @Test func `blocks hold what they say`() {
        let cases: [(String, String, Bool)] = [
            ("10.0.0.0/8", "10.200.3.4", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.9.9.9/8", "10.0.0.1", true),
            ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("::/0", "2001:db8::", true), ("::/0", "1.1.1.1", false),
            ("2001:db8::/32", "2001:db8:1::5", true), ("2001:db8::/64", "2001:db8:0:0:ffff::1", true),
            ("2001:db8::/64", "2001:db8:0:1::1", false), ("127.0.0.1", "127.0.0.2", false), ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.3.3.3", true), ("192.168.1.128/25", "192.168.1.127", false),
        ]
        for (block, address, isInside) in cases { #expect(AddressRange(block)?.contains(address) == isInside, "\(block) \(address)") }
        for bad in ["", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/8/8", "::/129", "::ffff:10.0.0.0/8", "x/8"] {
            #expect(AddressRange(bad) == nil, "\(bad)")
        }
        #expect(AddressRange(around: IPAddress("2001:db8:1:2:3:4:5:6")!, prefix: 64).description == "2001:db8:1:2::/64")
        #expect(AddressRange(around: IPAddress("10.1.2.3")!, prefix: 64).description == "10.1.2.3")
    }

    @Test func `this machine is known by its addresses`() {
        #expect(IPAddress("127.8.8.8")?.isLoopback == true && IPAddress("::1")?.isLoopback == true)
        #expect(IPAddress("::ffff:127.0.0.1")?.isLoopback == true)
        #expect(IPAddress("128.0.0.1")?.isLoopback == false && IPAddress("::2")?.isLoopback == false)
    }
}
