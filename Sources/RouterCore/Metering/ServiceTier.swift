/// Classes of service (`flex`, `priority`, …): names that are stored with a request, whoever has said them.
public enum ServiceTier {
    /// Tiers that vendors bill like the usual one or below it (OpenAI's, Anthropic's, Groq's names), so that they need no price of their
    /// own.
    public static func isNeverDearer(_ name: String) -> Bool {
        ["auto", "default", "standard", "standard_only", "flex", "on_demand", "batch"].contains(name)
    }

    /// Short and plain, so that every ledger can store it.
    public static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2D || byte == 0x5F || byte == 0x2E
            }
    }
}
