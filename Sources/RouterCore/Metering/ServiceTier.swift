/// Service tiers (`flex`, `priority`, …): names that are stored with a request, whether the client or the vendor gave them.
public enum ServiceTier {
    /// Tiers that vendors bill at or below the usual price (names used by OpenAI, Anthropic and Groq), so that they need no price of their
    /// own.
    public static func isNeverDearer(_ name: String) -> Bool {
        ["auto", "default", "standard", "standard_only", "flex", "on_demand", "batch"].contains(name)
    }

    /// Whether the text is short and plain enough for every ledger to store.
    public static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2D || byte == 0x5F || byte == 0x2E
            }
    }
}
