import ArgumentParser
import Collector
import Definitions
import Events
import Glibc
import JetStreamLog
import LogScans
import Logging
import NATSClient
import Ports
import QueryAPI

/// `smartcontent person show|erase`: what is encrypted of one person, and the end of it.
struct PersonCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "person",
    abstract: "Read what is encrypted of a person, and erase the person's key for good.",
    discussion: """
      A person is named as clients name it: a user id, or the anonymous id of a device. Where write keys make \
      pseudonyms of ids, \(PseudonymOptions.secretVariable) or \(PseudonymOptions.secretFileVariable) is \
      needed to find it. The devices that the log knows as those of a user, and earlier ids that an alias took \
      over, belong to it.

      Exit codes: 0 done, 1 failed, 64 wrong usage.
      """,
    subcommands: [Show.self, Erase.self])

  /// Whom it is about, and where to look.
  struct Selection: ParsableArguments {
    @OptionGroup var folder: StreamsFolderOption
    @OptionGroup var servers: ServerOptions
    @OptionGroup var archive: ArchiveOption

    @Option(help: ArgumentHelp("The site whose person it is.", valueName: "name"))
    var site: String

    @Option(help: ArgumentHelp("User id or anonymous id.", valueName: "id"))
    var person: String

    @Flag(help: "This id alone: not the devices and earlier ids of the user.")
    var only = false

    func validate() throws {
      if person.isEmpty || site.isEmpty {
        throw ValidationError("--site and --person name somebody: neither may be empty")
      }
    }

    /// The id as it may be in the log, and as a pseudonym where the secret is given.
    func ids() throws -> Set<Key128> {
      var ids: Set<Key128> = [EventIdentity.personKey(site: site, id: person)]
      if let pseudonyms = try PseudonymOptions.pseudonyms() {
        let pseudonym = pseudonyms.pseudonym(of: person, site: site)
        ids.insert(EventIdentity.personKey(site: site, id: pseudonym))
      }
      return ids
    }

    func open() throws -> (
      log: PersonLog, keys: JetStreamPersonKeys, definitions: Definitions
    ) {
      let address = try NATSAddress(try servers.natsURL())
      let stream = JetStreamLog(address: address, name: "person")
      let definitions = try Definitions(folder: try folder.find())
      let streams = try StreamSetup(stream.admin).adopted(definitions.streams).streamPartitions
      return (
        PersonLog(log: archive.log(stream), streams: streams, site: site),
        PersonKeyOptions.store(address, definitions), definitions
      )
    }

    /// The named person with what belongs to it.
    func persons(_ log: PersonLog) throws -> Set<Key128> {
      let named = try ids()
      return only ? named : try log.links().all(of: named)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the events of a person, with what is encrypted in them.",
      discussion: """
        One JSON object a line. What was encrypted is under `personal`: where it stood, what it is, and the \
        value, or `"erased": true` where its key is gone. Needs the secret that keys are wrapped with: \
        \(PersonKeyOptions.secretVariable) or \(PersonKeyOptions.secretFileVariable). Each use leaves a line on \
        standard error.
        """)

    @OptionGroup var selection: Selection

    func run() throws {
      guard let wrapping = try PersonKeyOptions.wrapping() else {
        throw ValidationError(
          "the secret of the persons' keys is missing: set \(PersonKeyOptions.secretVariable) or"
            + " \(PersonKeyOptions.secretFileVariable)")
      }
      let (log, keys, _) = try selection.open()
      let persons = try selection.persons(log)
      var reader = SealedReader(keys: keys, wrapping: wrapping, site: selection.site)
      var events = 0
      try log.forEach { place, event in
        guard persons.contains(event.owner) else { return }
        events += 1
        print(try reader.line(of: event, at: place))
      }
      var audit = Log.make()
      audit.logLevel = .notice
      audit.notice(
        "personal data of a person was shown",
        metadata: [
          "site": "\(selection.site)",
          "persons": "\(persons.map(\.description).sorted().joined(separator: " "))",
          "events": "\(events)", "values": "\(reader.opened)", "erased": "\(reader.erased)",
          "unreadable": "\(reader.unreadable)", "by": "uid \(getuid())",
        ])
    }
  }

  struct Erase: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: """
        Erase the keys of a person: what is encrypted with them can never be read again. What was learned of the \
        person is forgotten.
        """,
      discussion: """
        Neither in the log nor in archives, spools, snapshots, dead letters and copies of all these. Sums that name \
        nobody stay as they are; events that come later get a new key. There is no way back. Backups of the stream \
        \(JetStreamPersonKeys.stream) keep erased keys: remove them, too.

        An event of the log tells whoever learns from it to forget the person at once: profile, segments, \
        recommendations, decisions. A fact that is kept for ever tells whoever reads the log from its beginning: \
        scans, funnels, retention and attribution have nothing of the person any more, also as known before.
        """)

    @OptionGroup var selection: Selection

    @Flag(help: "Say what would be erased, and erase nothing.")
    var dryRun = false

    func run() async throws {
      let (log, keys, definitions) = try selection.open()
      let persons = try selection.persons(log).sorted()
      var erased: [Key128] = []
      for person in persons {
        let hadOne = try dryRun ? keys.key(of: person) != nil : keys.erase(person)
        if hadOne { erased.append(person) }
      }
      if !dryRun { try await forget(persons, definitions) }
      guard !erased.isEmpty else {
        print(
          "there is no key: nothing is encrypted of this person"
            + (try PseudonymOptions.pseudonyms() == nil
              ? " (pseudonyms were not looked for: their secret is not set)" : ""))
        if !dryRun { print(Self.forgotten) }
        return
      }
      print(
        "\(erased.count) key\(erased.count == 1 ? "" : "s") of site \(selection.site) "
          + (dryRun ? "would be erased:" : "erased for ever:"))
      for person in erased { print("  \(person)") }
      guard !dryRun else { return }
      print(
        """
        What was encrypted with them in the log, archives, spools, snapshots and dead letters can no \
        longer be read. Collectors forget them at once; one that is cut off from the log now, within \
        \(PersonKeyLimits().cachedSecondsMax / 60) minutes. Backups of the stream \
        \(JetStreamPersonKeys.stream) still have them: remove those.
        """)
      print(Self.forgotten)
      var audit = Log.make()
      audit.logLevel = .notice
      audit.notice(
        "keys of a person were erased",
        metadata: [
          "site": "\(selection.site)",
          "persons": "\(erased.map(\.description).joined(separator: " "))",
          "by": "uid \(getuid())",
        ])
    }

    private static let forgotten =
      "What was learned of the person is forgotten: profile, segments, recommendations, decisions; and questions "
      + "to the log leave the person out."

    /// Tells whoever reads the log from its beginning, and whoever learns from it.
    private func forget(_ persons: [Key128], _ definitions: Definitions) async throws {
      var logger = Log.make()
      if Environment["SMARTCONTENT_LOG_LEVEL"] == nil { logger.logLevel = .error }
      let address = try NATSAddress(try selection.servers.natsURL())
      let now = QueryRoutes.systemClock()
      let facts = JetStreamFacts(
        NATSConnection(address, name: "smartcontent-erasure"),
        stream: definitions.streams.facts.name)
      for person in persons {
        _ = try await facts.append(ErasureRegister.fact(person, at: now), expecting: nil)
      }
      let sender = try EventSender(definitions, address, logger)
      do {
        try await sender.store(
          persons.map { PersonErasure.event($0, site: selection.site, at: now) })
      } catch {
        await sender.stop()
        throw error
      }
      await sender.stop()
    }
  }
}

/// That a person was erased, as the log has it.
enum PersonErasure {
  static let source = "erasure"

  /// - Parameter now: microseconds since the epoch.
  static func event(_ person: Key128, site: String, at now: Int64) -> IncomingEvent {
    let id = "\(person).\(now)"
    return IncomingEvent(
      kind: .erasure, key: EventIdentity.dedupeKey(site: site, source: source, eventID: id),
      person: person, eventTime: now, receivedAt: now,
      dimensions: DimensionTuple(site: site).encoded, id: id, name: "Person Erased", source: source,
      payload: Array("{}".utf8))
  }
}
