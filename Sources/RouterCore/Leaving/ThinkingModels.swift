/// Recognises by name the models that are known to reason before they answer: hidden reasoning is billed too.
///
/// This is the default for models whose provider file does not say (`reasoning: true | false` of a model takes precedence). A doubtful name
/// counts as a reasoning model: a client that leaves then costs a drain, but no answer is given away. Models that reason only when the
/// request asks for it (Claude before 5, Qwen-Plus) are not listed here; ``RequestEnvelope/asksForThinking`` covers those.
public enum ThinkingModels {
    /// - Parameter name: as the vendor or the client writes it, with or without the maker in front (`openai/o3`,
    ///   `us.deepseek.r1-v1:0`, `accounts/fireworks/models/qwq-32b`).
    public static func isKnown(_ name: String) -> Bool {
        let lower = name.lowercased()
        let last = lower.split(separator: "/").last.map(String.init) ?? lower
        if saysNo(last) { return false }
        let words = last.split { !$0.isLetter && !$0.isNumber }.map(String.init)
        if words.contains(where: isTelling) || isClaude(words) { return true }
        return families.contains { family in
            last.hasPrefix(family.prefix) && !family.except.contains { last.contains($0) }
        }
    }

    /// Names that rule reasoning out, and kinds of models that write no answers at all.
    private static func saysNo(_ name: String) -> Bool {
        let marks = [
            "non-reasoning", "non-thinking", "nonthinking", "no-thinking", "embedding", "embed-", "rerank", "-tts",
            "transcribe", "moderation",
        ]
        return marks.contains { name.contains($0) }
    }

    /// Words that indicate reasoning in any name.
    private static func isTelling(_ word: String) -> Bool {
        switch word {
        case "thinking", "think", "thinker", "reasoning", "reasoner", "research", "qwq", "qvq", "magistral", "o1", "o3",
            "o4", "codex", "speciale":
            true
        // r1, r1t2, r1v4: DeepSeek's models and those derived from them.
        case _ where word.hasPrefix("r1") && word.utf8.count <= 4: true
        default: false
        }
    }

    /// `claude-opus-5-5`, `us.anthropic.claude-sonnet-5-v1:0`: from Claude 5 on it thinks unless it is told not to, and so do the editions
    /// that came with it (https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking).
    private static func isClaude(_ words: [String]) -> Bool {
        guard let index = words.firstIndex(of: "claude"), index + 1 < words.count else { return false }
        if ["fable", "mythos"].contains(words[index + 1]) { return true }
        guard index + 2 < words.count, words[index + 1].allSatisfy(\.isLetter) else { return false }
        return Int(words[index + 2]).map { (5..<100).contains($0) } == true
    }

    private struct Family {
        let prefix: String
        /// Family members whose names contain one of these do not reason.
        var except: [String] = []
    }

    private static let families: [Family] = [
        Family(prefix: "gpt-5", except: ["gpt-5-chat"]), Family(prefix: "gpt-6", except: ["gpt-6-chat"]),
        Family(prefix: "gpt-7", except: ["gpt-7-chat"]), Family(prefix: "gpt-oss"),
        Family(prefix: "gemini-2.5"), Family(prefix: "gemini-3"), Family(prefix: "gemini-4"), Family(prefix: "gemini-5"),
        Family(prefix: "gemma-4"),
        Family(prefix: "gemini-flash-latest"), Family(prefix: "gemini-flash-lite-latest"),
        Family(prefix: "gemini-pro-latest"),
        Family(prefix: "grok-3-mini"), Family(prefix: "grok-4"), Family(prefix: "grok-5"), Family(prefix: "grok-6"),
        Family(prefix: "grok-code"),
        // Qwen 3 reasons unless told otherwise, in the editions that support both modes.
        Family(prefix: "qwen3", except: ["instruct", "coder", "max", "omni", "asr"]),
        Family(prefix: "qwen-3", except: ["instruct", "coder", "max", "omni", "asr"]),
        Family(prefix: "qwen4", except: ["instruct", "coder", "omni", "asr"]),
        Family(prefix: "glm-4.5"), Family(prefix: "glm-4.6"), Family(prefix: "glm-4.7"), Family(prefix: "glm-5"),
        Family(prefix: "glm-6"), Family(prefix: "glm-z1"),
        Family(prefix: "glm-4p5"), Family(prefix: "glm-4p6"), Family(prefix: "glm-4p7"), Family(prefix: "zai-glm-4"),
        Family(prefix: "zai-glm-5"),
        Family(prefix: "minimax-m1"), Family(prefix: "minimax-m2"), Family(prefix: "minimax-m3"), Family(prefix: "minimax-m4"),
        Family(prefix: "kimi-k2.5"), Family(prefix: "kimi-k2p5"), Family(prefix: "kimi-k2.6"), Family(prefix: "kimi-k2.7"),
        Family(prefix: "kimi-k3"), Family(prefix: "kimi-k4"),
        Family(prefix: "doubao-seed"), Family(prefix: "seed-oss"), Family(prefix: "seed-2"), Family(prefix: "ernie-x1"),
        Family(prefix: "hunyuan-t1"), Family(prefix: "hunyuan-a13b"), Family(prefix: "hy3"), Family(prefix: "hy4"),
        Family(prefix: "step-3"), Family(prefix: "step3"), Family(prefix: "step-5"),
        Family(prefix: "nvidia-nemotron"), Family(prefix: "nemotron-3"), Family(prefix: "inkling"),
        Family(prefix: "llama-3.3-nemotron"), Family(prefix: "llama-3.1-nemotron-ultra"),
        Family(prefix: "exaone-deep"), Family(prefix: "intellect-3"),
        Family(prefix: "mimo-"),
    ]
}
