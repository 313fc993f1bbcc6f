import ArgumentParser
import Definitions
import Notifications

/// The webhooks of the definitions with their secrets, which only the environment has.
enum WebhookOptions {
  static func targets(_ definitions: Definitions) throws -> [WebhookTarget] {
    try definitions.webhooks.map { declared in
      if let problem = problem(of: declared) {
        throw ValidationError("the webhook \(declared.name) cannot be called: \(problem)")
      }
      return WebhookTarget(
        name: declared.name, url: declared.url,
        signer: try WebhookSigner(secrets: Environment[declared.secretVariable] ?? ""),
        severity: declared.severity, sites: declared.sites,
        allowsPrivate: declared.allowsPrivate)
    }
  }

  /// What is wrong with the secret that the environment gives; nil for nothing.
  static func problem(of webhook: WebhookDeclaration) -> String? {
    let variable = webhook.secretVariable
    guard let secrets = Environment[variable] else {
      return "\(variable), which is to hold its secret, is not set"
    }
    do throws(WebhookSecretError) {
      _ = try WebhookSigner(secrets: secrets)
      return nil
    } catch {
      return "\(variable) \(error)"
    }
  }
}
