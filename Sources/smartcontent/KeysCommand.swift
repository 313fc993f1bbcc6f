public import ArgumentParser
public import Collector
import Definitions
import Events

/// `smartcontent keys add|list|rotate|revoke`: who may send events.
struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "Make, list, rotate and revoke write keys, by which events are sent.",
    discussion: """
      Keys are in one file, of which they cannot be read: each is shown once, when it is made. \
      Collectors, and `dev`, follow the file; a change counts within a second.

      Exit codes: 0 done, 1 failed, such as for an unknown id, 64 wrong usage.
      """,
    subcommands: [Add.self, List.self, Update.self, Rotate.self, Revoke.self])

  enum Output: String, CaseIterable, ExpressibleByArgument {
    case text
    case json
  }

  /// Which file, and how to say what is in it.
  struct Place: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "Folder of `dev`, whose keys.json it is. Default: .smartcontent.", valueName: "folder"))
    var home: String?

    @Option(
      help: ArgumentHelp(
        "The file itself, where it is another [env \(KeysFileOption.variable)].",
        valueName: "file"))
    var keysFile: String?

    @Option(help: ArgumentHelp("How to print: text or json.", valueName: "form"))
    var output = Output.text

    func validate() throws {
      if home != nil && keysFile != nil {
        throw ValidationError("--home and --keys-file are two places: give one of them")
      }
    }

    var store: KeyStore {
      KeyStore(
        path: keysFile ?? home.map(KeysFileOption.path) ?? Environment[KeysFileOption.variable]
          ?? KeysFileOption.path(inHome: DevCommand.defaultHome))
    }
  }

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key, or take one over from another tool, and show it once.")

    @OptionGroup var place: Place

    @Option(
      help: ArgumentHelp(
        "Take this key over, such as phc_demo, G-XXXX or 1, so that pages keep their snippets.",
        valueName: "key"))
    var value: String?

    @Option(help: ArgumentHelp("The site whose events they are.", valueName: "name"))
    var site: String

    @Option(
      help: ArgumentHelp(
        "Names the sender within the site; event ids are unique within it. By default the key's id.",
        valueName: "name"))
    var source: String?

    @Option(
      name: .customLong("origin"),
      help: ArgumentHelp(
        "Only pages of this origin may send, such as https://www.example.org or"
          + " https://*.example.org; may be repeated. Any by default.", valueName: "url"))
    var origins: [String] = []

    @Option(
      help: ArgumentHelp(
        "Events per second beyond which requests get 429, with a burst of two seconds. No limit by"
          + " default.", valueName: "events"))
    var rate: Int?

    @Option(help: "What is kept of clients' addresses: drop or truncate.")
    var address = KeyPolicy().address

    @Option(
      help: "What is done with mail addresses and the like in properties: keep, remove or encrypt.")
    var personal = KeyPolicy().personalData

    @Option(help: "What the ids of persons are in the log: keep or pseudonym.")
    var identifiers = KeyPolicy().identifiers

    @Flag(name: .customLong("honour-dnt"), help: "Events with DNT: 1 are not stored.")
    var honourDNT = false

    @Flag(name: .customLong("honour-gpc"), help: "Events with Sec-GPC: 1 are not stored.")
    var honourGPC = false

    func run() throws {
      let now = CollectorClock.system.nowMicros()
      let new = try place.store.add(
        KeyDraft(
          value: value, site: site, source: source,
          policy: KeyPolicy(
            origins: origins, eventsPerSecondMax: rate, address: address, personalData: personal,
            identifiers: identifiers, honoursDoNotTrack: honourDNT,
            honoursGlobalPrivacyControl: honourGPC)), now: now)
      KeyPrinter(place.output, now).print(new)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show all keys without the keys themselves.")

    @OptionGroup var place: Place

    func run() throws {
      KeyPrinter(place.output, CollectorClock.system.nowMicros()).print(try place.store.all())
    }
  }

  struct Update: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Change what a key allows and asks for; what is not named stays.",
      discussion: "Events that are stored already stay as they are.")

    @OptionGroup var place: Place

    @Argument(help: "Id of the key, as `keys list` shows it.")
    var id: String

    @Option(
      name: .customLong("origin"),
      help: ArgumentHelp(
        "Page that may send; several with the option again, in the place of all that were allowed.",
        valueName: "origin"))
    var origins: [String] = []

    @Flag(help: "Any page may send.")
    var anyOrigin = false

    @Option(
      help: ArgumentHelp("Events per second beyond which requests get 429.", valueName: "events"))
    var rate: Int?

    @Flag(help: "There is no limit of events per second.")
    var noRate = false

    @Option(help: "What is kept of clients' addresses: drop or truncate.")
    var address: KeyPolicy.Address?

    @Option(help: "What is done with mail addresses and the like: keep, remove or encrypt.")
    var personal: KeyPolicy.PersonalData?

    @Option(help: "What the ids of persons are in the log: keep or pseudonym.")
    var identifiers: KeyPolicy.Identifiers?

    @Flag(
      name: .customLong("honour-dnt"), inversion: .prefixedNo,
      help: "Whether events with DNT: 1 are not stored.")
    var honourDNT: Bool?

    @Flag(
      name: .customLong("honour-gpc"), inversion: .prefixedNo,
      help: "Whether events with Sec-GPC: 1 are not stored.")
    var honourGPC: Bool?

    func validate() throws {
      if anyOrigin && !origins.isEmpty {
        throw ValidationError("--any-origin and --origin contradict each other: give one of them")
      }
      if noRate && rate != nil {
        throw ValidationError("--no-rate and --rate contradict each other: give one of them")
      }
    }

    func run() throws {
      let now = CollectorClock.system.nowMicros()
      let change = KeyPolicyChange(
        origins: anyOrigin ? [] : origins.isEmpty ? nil : origins, eventsPerSecondMax: rate,
        liftsRate: noRate, address: address, personalData: personal, identifiers: identifiers,
        honoursDoNotTrack: honourDNT, honoursGlobalPrivacyControl: honourGPC)
      KeyPrinter(place.output, now).print(try place.store.update(id, change, now: now))
    }
  }

  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key in the place of another, which is accepted for a while longer.")

    @OptionGroup var place: Place

    @Argument(help: "Id of the key, as `keys list` shows it.")
    var id: String

    @Option(
      help: ArgumentHelp(
        "How long the old key is accepted beside the new one, such as 7d or 0s. Default: 1d.",
        valueName: "duration"))
    var overlap: String?

    func run() throws {
      let now = CollectorClock.system.nowMicros()
      var micros = KeyStore.overlapMicrosDefault
      if let overlap {
        guard let stated = Quantity.duration(overlap) else {
          throw ValidationError("--overlap is a duration such as 12h or 7d")
        }
        micros = stated
      }
      KeyPrinter(place.output, now).print(
        try place.store.rotate(id, overlapMicros: micros, now: now))
    }
  }

  struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Accept a key no longer. Its clients get 401 from now on.")

    @OptionGroup var place: Place

    @Argument(help: "Id of the key, as `keys list` shows it.")
    var id: String

    func run() throws {
      let now = CollectorClock.system.nowMicros()
      KeyPrinter(place.output, now).print(try place.store.revoke(id, now: now))
    }
  }
}

/// Keys on standard output, for people or for programs.
private struct KeyPrinter {
  private let output: KeysCommand.Output
  private let now: Int64

  init(_ output: KeysCommand.Output, _ now: Int64) {
    self.output = output
    self.now = now
  }

  func print(_ new: NewKey) {
    guard output == .text else { return write(new.json(now: now)) }
    Swift.print("key      \(new.key)   (shown once: only its hash is kept)")
    Swift.print(describe(new.stored))
  }

  func print(_ key: StoredKey) {
    if output == .text { Swift.print(describe(key)) } else { write(key.json(now: now)) }
  }

  func print(_ keys: [StoredKey]) {
    guard output == .text else { return write(StoredKey.json(keys, now: now)) }
    if keys.isEmpty { return Swift.print("there are no keys; `smartcontent keys add` makes one") }
    let rows = keys.map { key in
      [
        key.id, key.state(at: now).rawValue, key.site, key.source,
        Timestamp.format(key.createdAt), end(key), describe(key.policy),
      ]
    }
    let titles = ["id", "state", "site", "source", "created", "ends", "policy"]
    let widths = titles.indices.map { column in
      max(titles[column].count, rows.map { $0[column].count }.max() ?? 0)
    }
    for row in [titles] + rows {
      let cells = zip(row.dropLast(), widths).map { text, width in
        text + String(repeating: " ", count: width - text.count)
      }
      Swift.print((cells + row.suffix(1)).joined(separator: "  "))
    }
  }

  private func describe(_ key: StoredKey) -> String {
    var lines = [
      "id       \(key.id)", "state    \(key.state(at: now).rawValue)", "site     \(key.site)",
      "source   \(key.source)", "policy   \(describe(key.policy))",
    ]
    if end(key) != "never" { lines.append("ends     \(end(key))") }
    return lines.joined(separator: "\n")
  }

  private func end(_ key: StoredKey) -> String {
    [key.revokedAt, key.expiresAt].compactMap { $0 }.min().map(Timestamp.format) ?? "never"
  }

  private func describe(_ policy: KeyPolicy) -> String {
    var parts: [String] = []
    if !policy.origins.isEmpty { parts.append("origins " + policy.origins.joined(separator: " ")) }
    if let rate = policy.eventsPerSecondMax { parts.append("\(rate) events/s") }
    parts.append("address \(policy.address.rawValue)")
    parts.append("personal data \(policy.personalData.rawValue)")
    parts.append("identifiers \(policy.identifiers.rawValue)")
    if policy.honoursDoNotTrack { parts.append("DNT") }
    if policy.honoursGlobalPrivacyControl { parts.append("GPC") }
    return parts.joined(separator: ", ")
  }

  private func write(_ json: [UInt8]) { Swift.print(String(decoding: json, as: UTF8.self)) }
}

extension KeyPolicy.Address: ExpressibleByArgument {}
extension KeyPolicy.PersonalData: ExpressibleByArgument {}
extension KeyPolicy.Identifiers: ExpressibleByArgument {}
