import NIOCore
import RouterCore

/// OpenAI's protocol behind Azure's URLs: the model is a deployment's name in the path, and every call names an API version
/// (https://learn.microsoft.com/en-us/azure/ai-services/openai/reference). The base URL is the resource's
/// (`https://NAME.openai.azure.com`), the provider file says `auth: {type: header, name: api-key}`, and another version is a path of the
/// file, where `{model}` stands for the deployment.
enum AzureOpenAI {
    /// The latest general version of the data plane.
    static let version = "2024-10-21"

    static let variant = OpenAIVariant(
        paths: [
            .chat: path("chat/completions"), .completions: path("completions"), .embeddings: path("embeddings"),
            .images: path("images/generations"), .speech: path("audio/speech"), .transcriptions: path("audio/transcriptions"),
            .imageEdits: path("images/edits"), .translations: path("audio/translations"),
            // The version 1 API names the deployment in the body
            // (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/responses).
            .responses: "/openai/v1/responses",
            .models: "/openai/models?api-version=\(version)",
        ],
        batches: batches, readModels: models)

    /// A line names the deployment as its model, which must be one for batches, and a path without `/v1`
    /// (https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/batch, read on 2026-11-29).
    private static let batches = BatchSupport(
        files: "/openai/files?api-version=\(version)", batches: "/openai/batches?api-version=\(version)",
        urls: [.chat: "/chat/completions", .embeddings: "/embeddings"])

    private static func path(_ operation: String) -> String { "/openai/deployments/{model}/\(operation)?api-version=\(version)" }

    /// `{"data":[{"id","status":"succeeded","capabilities":{"inference":true,…},"lifecycle_status",…}]}`
    /// (https://learn.microsoft.com/en-us/rest/api/azureopenai/models/list): the models that the resource can deploy, by the names that
    /// deployments usually get. The deployments themselves are in no list of the data plane
    /// (https://learn.microsoft.com/en-us/answers/questions/1617987). A model that only serves fine-tuning, or whose fine-tuning has
    /// not succeeded, answers nothing and is left out.
    private static func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, under: "data") { entry in
            guard let id = entry["id"]?.stringValue, entry["capabilities"]?["inference"]?.boolValue != false,
                entry["status"]?.stringValue ?? "succeeded" == "succeeded"
            else { return nil }
            return ListedModel(id: id)
        }
    }
}
