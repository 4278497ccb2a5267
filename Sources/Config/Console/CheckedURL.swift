import RouterCore
import Yams

/// Base URLs that do not stand in a file, by the rules of those that do.
public enum CheckedURL {
    public static func isFine(_ text: String) -> Bool {
        let collector = DiagnosticCollector()
        let cursor = YAMLCursor(
            node: JSONNode.node(.string(text)), path: "",
            context: YAMLCursor.Context(file: ConsoleReader.place, diagnostics: collector, expansion: .literal))
        return CommonSections.baseURL(cursor) != nil
    }
}
