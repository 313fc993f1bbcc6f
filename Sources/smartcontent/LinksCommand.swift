import ArgumentParser
import Collector

/// `smartcontent links`: click links that lead on.
struct LinksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "links", abstract: "Make links that count clicks and lead on.",
    subcommands: [SignCommand.self])

  /// `smartcontent links sign`: prints one.
  struct SignCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "sign", abstract: "Print a link that counts a click and leads on to an address.",
      discussion: """
        The signature binds the address to the write key. All other fields may be changed afterwards, \
        and further ones appended for each recipient, such as &uid={{id}}&eid={{id}}-spring.

        The secret is that of --home, made at its first use; without --home it is \
        SMARTCONTENT_LINK_SECRET (at least 64 hexadecimal digits) or the file \
        SMARTCONTENT_LINK_SECRET_FILE where one is set. The collector that answers the link needs the \
        same.
        """)

    @Option(help: ArgumentHelp("Where the link leads.", valueName: "address"))
    var url: String

    @Option(help: "Write key that clicks are counted by.")
    var key: String

    @Option(help: "Campaign (cid).")
    var campaign = ""

    @Option(help: "Content (cnt).")
    var content = ""

    @Option(help: "Variant (var).")
    var variant = ""

    @Option(help: "Channel (ch).")
    var channel = ""

    @Option(help: "User id of the recipient (uid).")
    var user = ""

    @Option(help: "Anonymous id of the recipient (aid).")
    var anonymous = ""

    @Option(help: "Event id (eid): clicks with the same one count once.")
    var eventID = ""

    @Option(
      help: ArgumentHelp(
        "Where the collector answers [env SMARTCONTENT_URL].", valueName: "address"))
    var collector = Environment["SMARTCONTENT_URL"] ?? "http://127.0.0.1:8080"

    @Option(
      help: ArgumentHelp(
        "Folder whose secret is used. Default: .smartcontent.", valueName: "folder"))
    var home: String?

    func run() throws {
      guard let destination = RedirectDestination(url) else {
        throw ValidationError(
          "--url is an absolute address of http or https, without user name and control characters, "
            + "its host in ASCII (xn--… for others)")
      }
      guard RedirectDestination(collector) != nil else {
        throw ValidationError("--collector is an address such as https://c.example.org")
      }
      var link = ClickLink(collector: collector, destination: destination, key: key)
      link.campaign = campaign
      link.content = content
      link.variant = variant
      link.channel = channel
      link.user = user
      link.anonymous = anonymous
      link.eventID = eventID
      print(link.text(try LinkSigner(secret: try secret())))
    }

    private func secret() throws -> [UInt8] {
      if let home { return try SharedSecret.links.make(inHome: home) }
      return try LinkOptions.secret() ?? SharedSecret.links.make(inHome: ".smartcontent")
    }
  }
}
