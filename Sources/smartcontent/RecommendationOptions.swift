import ArgumentParser
import DecisionAPI

/// Whether a process learns recommendations: it reads the log of the last weeks for them, and each visit costs some
/// 20 µs.
enum RecommendationOptions {
  static let variable = "SMARTCONTENT_RECOMMENDATIONS"

  /// What the environment says; they are learned where it says nothing.
  static func isRecommending() throws -> Bool {
    switch Environment[variable] {
    case nil, "on": true
    case "off": false
    case .some:
      throw ValidationError("\(variable) is on (the default) or off")
    }
  }

  static let embeddingsVariable = "SMARTCONTENT_EMBEDDINGS"
  static let modelVariable = "SMARTCONTENT_EMBEDDINGS_MODEL"
  static let keyVariable = "SMARTCONTENT_EMBEDDINGS_KEY"

  /// Who says what texts of contents mean, in the form of OpenAI's embeddings; nil where nobody is named.
  static func embeddings() throws -> EmbeddingEndpoint? {
    guard let url = Environment[embeddingsVariable] else { return nil }
    guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
      throw ValidationError(
        "\(embeddingsVariable) is the address of an embeddings endpoint, such as https://HOST/v1/embeddings"
      )
    }
    guard let model = Environment[modelVariable] else {
      throw ValidationError(
        "\(modelVariable) names the model that \(embeddingsVariable) is asked for")
    }
    return EmbeddingEndpoint(url: url, model: model, key: Environment[keyVariable])
  }
}
