import Testing
import Views

@testable import Definitions

@Suite("Definitions of webhooks")
struct NotificationTests {
  private static let name = "notifications.yaml"
  private static let whole = """
    webhooks:
      pager:
        url: https://hooks.example.org/a?b=c
        secret_env: SMARTCONTENT_WEBHOOK_PAGER
        severity: critical
        sites: [shop, blog]
      local:
        url: http://127.0.0.1:9/
        secret_env: LOCAL
        severity: info
        allow_private: true

    """

  @Test("each has a name, an address, the name of its secret, and what it is told of")
  func whole() throws {
    let fixture = try Fixture()
    try fixture.write(Self.name, Self.whole)
    #expect(
      try Definitions(folder: fixture.folder).webhooks == [
        WebhookDeclaration(
          name: "pager", url: "https://hooks.example.org/a?b=c",
          secretVariable: "SMARTCONTENT_WEBHOOK_PAGER", severity: .critical,
          sites: ["shop", "blog"], allowsPrivate: false),
        WebhookDeclaration(
          name: "local", url: "http://127.0.0.1:9/", secretVariable: "LOCAL", severity: .info,
          sites: [], allowsPrivate: true),
      ])
  }

  @Test("a folder without the file has none, and the repository's file names none")
  func none() throws {
    let fixture = try Fixture()
    #expect(try Definitions(folder: fixture.folder).webhooks.isEmpty)
    #expect(try Definitions(folder: Fixture.original).webhooks.isEmpty)
  }

  @Test(
    "a mistake is named with its line",
    arguments: [
      ("pager:", "Pager:", "webhooks.Pager", "a-z"),
      ("pager:", "facts:", "webhooks.facts", "another name"),
      ("https://hooks", "http://hooks", "webhooks.pager.url", "allow_private"),
      ("https://hooks", "https://user:word@hooks", "webhooks.pager.url", "without a user"),
      ("https://hooks.example.org/a?b=c", "https://", "webhooks.pager.url", "begins with"),
      ("https://hooks.example.org/a?b=c", "ftp://x", "webhooks.pager.url", "begins with"),
      ("SMARTCONTENT_WEBHOOK_PAGER", "whsec_AAAA", "webhooks.pager.secret_env", "environment"),
      ("critical", "grave", "webhooks.pager.severity", "info, warning, critical"),
      ("critical", "critcal", "webhooks.pager.severity", "write critical"),
      ("allow_private: true", "allow_private: yes", "webhooks.local.allow_private", "true, false"),
      ("    severity: info\n", "", "webhooks.local.severity", "is missing"),
      ("secret_env: LOCAL", "secret: LOCAL", "webhooks.local.secret", "not known"),
      ("[shop, blog]", "[shop, shop]", "webhooks.pager.sites", "twice"),
      ("webhooks:", "webhook:", "webhook", "write webhooks"),
    ])
  func mistakes(old: String, new: String, key: String, says: String) throws {
    let fixture = try Fixture()
    try fixture.write(Self.name, Self.whole)
    try fixture.replace(Self.name, old, with: new)
    let problems = Definitions.check(folder: fixture.folder)
    let problem = try #require(problems.first { $0.key == key }, "\(problems)")
    #expect(problem.line > 0)
    #expect("\(problem)".contains(says), "\(problem)")
  }
}
