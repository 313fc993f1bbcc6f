import ArgumentParser
import Collector

/// Where click links may lead.
struct LinkOptions: ParsableArguments {
  static let secretVariable = "SMARTCONTENT_LINK_SECRET"
  static let secretFileVariable = "SMARTCONTENT_LINK_SECRET_FILE"

  @Option(
    help: ArgumentHelp(
      "Hosts that click links may lead to without a signature, several with commas;"
        + " *.example.org stands for all below it [env SMARTCONTENT_REDIRECT_HOSTS].",
      valueName: "hosts"))
  var redirectHosts: String?

  /// - Parameter secret: that links are signed with; nil where none is.
  func policy(secret: [UInt8]?) throws -> RedirectPolicy {
    RedirectPolicy(signer: try secret.map { try LinkSigner(secret: $0) }, hosts: try hosts())
  }

  private func hosts() throws -> [String] {
    let text = redirectHosts ?? Environment["SMARTCONTENT_REDIRECT_HOSTS"] ?? ""
    return try text.split(separator: ",").map { entry in
      let host = entry.filter { $0 != " " }.lowercased()
      let name = host.hasPrefix("*.") ? String(host.dropFirst(2)) : host
      guard RedirectDestination("https://\(name)/")?.host == name else {
        throw ValidationError(
          "--redirect-hosts has the entry '\(host)'; an entry is a host such as www.example.org or "
            + "*.example.org, without scheme, port and path")
      }
      return host
    }
  }

  /// The secret that the environment gives; nil where it gives none.
  static func secret() throws -> [UInt8]? {
    if let text = Environment[secretVariable] {
      return try SharedSecret.links.parse(text, from: secretVariable)
    }
    return try Environment[secretFileVariable].map { try SharedSecret.links.read($0) }
  }
}
