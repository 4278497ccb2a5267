import NIOCore

/// A list of models. It has no body and costs nothing; the gateway answers it itself.
public enum ListOperation: Operation {
    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { StrictRequestShape(body: [:]) }
}
