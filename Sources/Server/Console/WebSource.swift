import Config
import Logging
import Synchronization

/// The console's files as they are served: read once at start, or for every request while they are being written (`APIROUTER_WEB_DEV=1`).
final class WebSource: Sendable {
    private let path: String?
    private let rereads: Bool
    private let folder: Mutex<WebFolder?>
    private let logger: Logger

    /// - Parameter path: of the folder; nil = no page is served.
    init(path: String?, rereads: Bool = false, logger: Logger) {
        self.path = path
        self.rereads = rereads
        self.logger = logger
        folder = Mutex(nil)
        if path != nil { read() }
    }

    /// Looks for the folder, unless the console is turned off.
    convenience init(_ configuration: GatewayConfiguration, environment: [String: String], logger: Logger) {
        let isOn = configuration.console.isEnabled
        let path = isOn ? WebFolder.locate(environment) : nil
        if isOn, path == nil {
            logger.warning(
                """
                the console's files (web/) are not there: no pages are served; APIROUTER_WEB_DIR names their folder, and \
                console: { enabled: false } in gateway.yaml says that none are wanted
                """)
        }
        self.init(path: path, rereads: environment["APIROUTER_WEB_DEV"] == "1", logger: logger)
    }

    /// nil while there is nothing to serve.
    var current: WebFolder? {
        if rereads { read() }
        return folder.withLock { $0 }
    }

    /// Files that cannot be read any more leave those that were read before.
    private func read() {
        guard let path else { return }
        do throws(WebFolder.Problem) {
            let found = try WebFolder.read(path)
            folder.withLock { $0 = found }
        } catch {
            logger.warning("the console's files cannot be served", metadata: ["folder": "\(path)", "problem": "\(error)"])
        }
    }
}
