import ArgumentParser
import Definitions
import Events
import JetStreamLog
import LogArchive
import NATSClient
import Ports

/// `smartcontent dead-letters list|show|retry`: what was refused, why, and once more.
struct DeadLettersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dead-letters",
    abstract: "List refused events with their reasons, look at one, send them again.",
    discussion: """
      A dead letter is named by its place in the log, such as 12.0, or by its id, which is the same for \
      each copy that a client sent.
      """,
    subcommands: [List.self, Show.self, Retry.self])

  enum Output: String, CaseIterable, ExpressibleByArgument {
    case text
    case json
  }

  /// Where dead letters are read.
  struct Place: ParsableArguments {
    @OptionGroup var folder: StreamsFolderOption
    @OptionGroup var servers: ServerOptions
    @OptionGroup var archive: ArchiveOption

    func definitions() throws -> Definitions { try Definitions(folder: try folder.find()) }

    /// Hands over every letter of the log, the oldest first, until `body` returns false.
    func forEach(
      _ definitions: Definitions, _ body: (StoredLetter) async throws -> Bool
    ) async throws {
      let stream = definitions.streams.deadLetters.name
      let log = archive.log(
        JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "dead-letters"))
      let bounds = try log.bounds(stream: stream)
      var position = max(bounds.first, 1) - 1
      guard position < bounds.last else { return }
      let reader = try log.reader(stream: stream, after: position)
      while position < bounds.last {
        for frame in try reader.next(timeoutMs: 1_000) where frame.sequence <= bounds.last {
          position = frame.sequence
          for letter in StoredLetter.all(in: frame) {
            guard try await body(letter) else { return }
          }
        }
      }
    }
  }

  /// Which letters are meant, beside those that are named.
  struct Selection: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "Received since then: 2026-11-01T00:00:00Z, or how long ago, such as 2h.",
        valueName: "time"))
    var since: LogTime?

    @Option(help: "Only letters with this reason, such as bad_timestamp; may be repeated.")
    var code: [String] = []

    @Option(help: "Only those of this protocol, such as segment.")
    var `protocol`: String?

    @Option(
      help: ArgumentHelp(
        "Only those of this write key: its source, which is its id unless it was given another.",
        valueName: "id"))
    var key: String?

    @Option(help: "Only those of this site.")
    var site: String?

    /// Whether anything was chosen at all.
    var isStated: Bool {
      since != nil || !code.isEmpty || `protocol` != nil || key != nil || site != nil
    }

    func contains(_ letter: StoredLetter) -> Bool {
      letter.receivedAt >= since?.micros ?? .min
        && (code.isEmpty || code.contains(letter.letter.code))
        && (`protocol` == nil || letter.protocolName == `protocol`)
        && (key == nil || letter.keySource == key) && (site == nil || letter.site == site)
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List dead letters, the newest last.")

    @OptionGroup var place: Place
    @OptionGroup var selection: Selection

    @Option(help: "At most so many, the newest of them.")
    var limit = 50

    @Option(help: ArgumentHelp("How to print: text, or json with one letter a line."))
    var output = Output.text

    func validate() throws {
      guard limit > 0 else { throw ValidationError("--limit is at least 1") }
    }

    func run() async throws {
      var kept: [StoredLetter] = []
      var count = 0
      try await place.forEach(try place.definitions()) { letter in
        guard selection.contains(letter) else { return true }
        count += 1
        kept.append(letter)
        // Not at each letter: dropping the first moves all others.
        if kept.count >= 2 * limit { kept.removeFirst(kept.count - limit) }
        return true
      }
      kept = kept.suffix(limit)
      switch output {
      case .json: for letter in kept { print(letter.json(withBody: false)) }
      case .text: Self.printTable(kept, count: count)
      }
    }

    private static func printTable(_ letters: [StoredLetter], count: Int) {
      guard !letters.isEmpty else {
        print("no dead letters")
        return
      }
      var rows = [["LETTER", "RECEIVED", "SITE", "PLACE", "REASON", "BYTES"]]
      for letter in letters {
        rows.append([
          letter.name, Timestamp.format(letter.receivedAt), letter.site, letter.letter.place,
          letter.letter.code, "\(letter.letter.bodyByteCount)",
        ])
      }
      let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
      for row in rows {
        let cells = zip(row, widths).map { text, width in
          text + String(repeating: " ", count: width - text.count)
        }
        print(cells.joined(separator: "  ").trimmingEnd)
      }
      let rest = count - letters.count
      print(
        rest > 0
          ? "\(letters.count) of \(count); --limit shows more"
          : "\(count) dead letter\(count == 1 ? "" : "s")")
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show all of a dead letter: where, why, and the refused bytes.")

    @OptionGroup var place: Place

    @Argument(help: "Its place in the log, such as 12.0, or its id.")
    var letter: String

    @Option(help: ArgumentHelp("How to print: text or json."))
    var output = Output.text

    func run() async throws {
      var found: StoredLetter?
      try await place.forEach(try place.definitions()) { candidate in
        if candidate.isNamed(letter) { found = candidate }
        return found == nil
      }
      guard let found else { throw UnknownLetter(names: [letter]) }
      switch output {
      case .json: print(found.json(withBody: true))
      case .text: print(found.text)
      }
    }
  }
}

/// No dead letter has these names.
struct UnknownLetter: Error, CustomStringConvertible {
  var names: [String]

  var description: String {
    "there is no dead letter \(names.joined(separator: ", ")); `smartcontent dead-letters list` has"
      + " their names"
  }
}

extension String {
  /// Without spaces at the end.
  fileprivate var trimmingEnd: String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
