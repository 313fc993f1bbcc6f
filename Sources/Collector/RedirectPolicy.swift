/// Where click redirects may lead. An address that anybody can write would make the collector an open
/// redirect, a tool of phishing: it has to be signed, or its host has to be listed.
public struct RedirectPolicy: Sendable {
  /// Whether `signature`, as it came in the link, binds `destination` to the write key of this name
  /// (all three decoded).
  public let isSigned: @Sendable (_ destination: String, _ key: String, _ signature: String) -> Bool
  /// Hosts, in lower case, that need no signature; `*.example.org` stands for all below example.org.
  public let hosts: [String]

  /// Nothing is redirected.
  public static let none = RedirectPolicy(isSigned: { _, _, _ in false }, hosts: [])

  public init(
    isSigned:
      @escaping @Sendable (_ destination: String, _ key: String, _ signature: String) ->
      Bool,
    hosts: [String]
  ) {
    self.isSigned = isSigned
    self.hosts = hosts
  }

  /// - Parameter signer: nil where no link is signed.
  public init(signer: LinkSigner?, hosts: [String] = []) {
    self.init(
      isSigned: { signer?.verifies($2, destination: $0, key: $1) ?? false }, hosts: hosts)
  }

  /// Whether a host, in any case of letters, is listed.
  func allows(host: String) -> Bool {
    let host = host.lowercased()
    return hosts.contains { entry in
      entry.hasPrefix("*.") ? host.hasSuffix(entry.dropFirst()) : host == entry
    }
  }
}
