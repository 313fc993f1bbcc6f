public import Views

/// A webhook that is told of incidents, as `Streams/notifications.yaml` declares it.
public struct WebhookDeclaration: Hashable, Sendable {
  /// What it is called in metrics and log lines.
  public var name: String
  public var url: String
  /// The environment variable that holds its secret, or several with spaces between them.
  public var secretVariable: String
  public var severity: IncidentRow.Severity
  /// Empty: those of all sites.
  public var sites: [String]
  public var allowsPrivate: Bool
}

/// Reads `Streams/notifications.yaml`.
enum NotificationDefinitions {
  static let fileName = "notifications.yaml"
  static let rootKeys = ["webhooks"]
  static let webhookCountMax = 16
  private static let keys = ["url", "secret_env", "severity"]
  private static let optional = ["sites", "allow_private"]
  /// The log of facts has this name among those who are told.
  private static let reserved = "facts"

  static func read(_ root: Section) -> [WebhookDeclaration]? {
    guard let webhooks = root.section("webhooks") else { return nil }
    if webhooks.entries.count > webhookCountMax {
      root.problems.add(
        line: webhooks.line, key: webhooks.key, what: "has \(webhooks.entries.count) webhooks",
        allowed: "at most \(webhookCountMax)", fix: "let one of them hand messages on")
    }
    return webhooks.entries.compactMap { entry in
      isName(entry, in: webhooks) ? webhook(entry, in: webhooks) : nil
    }
  }

  private static func isName(_ entry: Section.Entry, in webhooks: Section) -> Bool {
    let letters = entry.name.utf8
    let isPlain = letters.allSatisfy {
      $0 &- UInt8(ascii: "a") <= 25 || $0 &- UInt8(ascii: "0") <= 9 || $0 == UInt8(ascii: "_")
    }
    if isPlain, (1...40).contains(letters.count), entry.name != reserved { return true }
    webhooks.problems.add(
      line: entry.line, key: webhooks.path(entry.name), what: "is not the name of a webhook",
      allowed: "1 to 40 of a-z, 0-9 and _, and not \(reserved)", fix: "give it another name")
    return false
  }

  private static func webhook(
    _ entry: Section.Entry, in webhooks: Section
  ) -> WebhookDeclaration? {
    guard
      let section = Section(
        entry.value, key: webhooks.path(entry.name), keys: keys, optional: optional,
        problems: webhooks.problems)
    else { return nil }
    let allowsPrivate = section.choice("allow_private", ["true", "false"]).map { $0 == "true" }
    let url = url(section, allowsPrivate: allowsPrivate ?? false)
    let variable = section.value(
      "secret_env", allowed: "the name of an environment variable: A-Z, 0-9 and _",
      fix: "write the name, and put the secret into the environment"
    ) { isVariable($0) ? $0 : nil }
    let severity = section.choice("severity", IncidentRow.Severity.allCases.map(\.name))
      .flatMap { IncidentRow.Severity(name: $0) }
    let sites = section.texts("sites", allowed: "names of sites; without the line: all")
    guard let url, let variable, let severity else { return nil }
    return WebhookDeclaration(
      name: entry.name, url: url, secretVariable: variable, severity: severity,
      sites: sites ?? [], allowsPrivate: allowsPrivate ?? false)
  }

  private static func url(_ section: Section, allowsPrivate: Bool) -> String? {
    let schemes = allowsPrivate ? ["https://", "http://"] : ["https://"]
    return section.value(
      "url",
      allowed:
        "an address that begins with \(schemes.joined(separator: " or ")), without a user in it",
      fix: "correct it"
        + (allowsPrivate ? "" : "; http:// only with `allow_private: true`")
    ) { text in
      guard let scheme = schemes.first(where: text.hasPrefix), text.utf8.count <= 2_048,
        text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
      else { return nil }
      let host = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
      return host.isEmpty || host.contains("@") ? nil : text
    }
  }

  private static func isVariable(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.first.map { $0 &- UInt8(ascii: "A") <= 25 } == true
      && text.utf8.allSatisfy {
        $0 &- UInt8(ascii: "A") <= 25 || $0 &- UInt8(ascii: "0") <= 9 || $0 == UInt8(ascii: "_")
      }
  }
}
