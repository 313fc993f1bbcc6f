import ArgumentParser
import Collector
import Definitions
import Events
import LogArchive
import Logging
import NATSClient
import Ports
import PostgresClient
import PostgresViews

extension DeadLettersCommand {
  /// `smartcontent dead-letters retry`: dead letters once more.
  struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Send dead letters again, as the collector would read them now.",
      discussion: """
        Each letter goes through the protocol that refused it, with the mapping and the schemas of Streams/ \
        and with its own place, ids and time of receipt. What is accepted now goes into the log, once for \
        ever; what is refused again stays a dead letter. Letters of frames that could not be read \
        (poison_frame) are stored again where this program can read them; the events of one whose stream \
        has ended since go to the streams that followed it.

        Exit codes: 0 done, 1 failed, such as for a letter that is not there.
        """)

    @OptionGroup var place: Place
    @OptionGroup var selection: Selection

    @Argument(help: "Their places in the log, such as 12.0, or their ids.")
    var letters: [String] = []

    @Flag(help: "All that the other options do not exclude.")
    var all = false

    @Flag(help: "Say what would be accepted, and send nothing.")
    var dryRun = false

    func validate() throws {
      guard all || !letters.isEmpty || selection.isStated else {
        throw ValidationError("name letters, choose some, such as by --code, or give --all")
      }
    }

    func run() async throws {
      let definitions = try place.definitions()
      let stream = definitions.streams.deadLetters.name
      let sent = try ResentLetters(
        PostgresSettings(connection: try place.servers.postgresURL()))
      let known = try sent.all(of: stream)
      let reading = DeadLetterReading(
        mapping: CompiledMapping(definitions.mapping), gates: System.schemaGates(definitions))
      var logger = Log.make()
      if Environment["SMARTCONTENT_LOG_LEVEL"] == nil { logger.logLevel = .error }
      let sender = try EventSender(
        definitions, try NATSAddress(try place.servers.natsURL()), logger)
      var tally = RetryTally()
      var missing = Set(letters)
      do {
        try await place.forEach(definitions) { letter in
          let names = Set(letters).filter { letter.isNamed($0) }
          guard selection.contains(letter), letters.isEmpty || !names.isEmpty else { return true }
          missing.subtract(names)
          if known.contains(letter.place) {
            tally.before += 1
          } else if try await send(letter, reading, sender, &tally) {
            try sent.add(letter.place, of: stream)
          }
          return true
        }
      } catch {
        await sender.stop()
        throw error
      }
      await sender.stop()
      print(tally.text(isDryRun: dryRun))
      if !missing.isEmpty { throw UnknownLetter(names: missing.sorted()) }
    }

    /// - Returns: whether the letter's events are in the log now.
    private func send(
      _ letter: StoredLetter, _ reading: DeadLetterReading, _ sender: EventSender,
      _ tally: inout RetryTally
    ) async throws -> Bool {
      if letter.letter.code == "poison_frame" {
        guard let target = letter.frameStream, letter.isReadableFrame else {
          tally.refused["poison_frame", default: 0] += 1
          return false
        }
        let isStored =
          if dryRun { true } else {
            try await sender.store(
              frame: letter.letter.body, in: target, id: "resent-\(letter.letter.place)")
          }
        if isStored {
          tally.accepted += 1
        } else {
          tally.refused["poison_frame", default: 0] += 1
        }
        return isStored && !dryRun
      }
      let outcome = reading.read(
        letter.letter, site: letter.site, source: letter.source, receivedAt: letter.receivedAt,
        uniqueID: "resent-\(letter.place.sequence)-\(letter.place.index)")
      switch outcome {
      case .accepted(let events):
        tally.accepted += 1
        if dryRun { return false }
        try await sender.store(events)
        return true
      case .refused(let rejection):
        tally.refused[rejection.code.rawValue, default: 0] += 1
        return false
      case .dropped(let reason):
        tally.unreadable["\(reason): it is not to be stored", default: 0] += 1
        return false
      case .unreadable(let why):
        tally.unreadable[why, default: 0] += 1
        return false
      }
    }
  }
}

/// What became of the letters.
private struct RetryTally {
  var accepted = 0
  var before = 0
  var refused: [String: Int] = [:]
  var unreadable: [String: Int] = [:]

  func text(isDryRun: Bool) -> String {
    var lines = ["\(accepted) \(isDryRun ? "would be sent again" : "sent again")"]
    if before > 0 { lines.append("\(before) were sent again before") }
    for (code, count) in refused.sorted(by: { $0.key < $1.key }) {
      lines.append("\(count) refused again: \(code)")
    }
    for (why, count) in unreadable.sorted(by: { $0.key < $1.key }) {
      lines.append("\(count) cannot be sent: \(why)")
    }
    return lines.joined(separator: "\n")
  }
}
