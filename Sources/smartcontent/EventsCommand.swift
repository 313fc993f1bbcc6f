import ArgumentParser
import Definitions
import Dataflow
import Events
import Glibc
import JetStreamLog
import NATSClient
import Ports

/// `smartcontent events cat|tail|stats`: the log itself, as CloudEvents JSON lines.
struct EventsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Print the log as CloudEvents JSON lines, follow it, count it.",
    subcommands: [Cat.self, Tail.self, Stats.self])

  /// Which streams to read.
  struct Selection: ParsableArguments {
    @OptionGroup var folder: StreamsFolderOption
    @OptionGroup var servers: ServerOptions
    @OptionGroup var archive: ArchiveOption

    @Option(help: "Only this stream, such as events-00 or dead-letters; may be repeated.")
    var stream: [String] = []

    /// Generations come in order, so that what is read first was stored first.
    func open() throws -> (log: any EventLog, streams: [StreamPartition]) {
      let stream = JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "events")
      let declared = try StreamSetup(stream.admin).adopted(
        try Definitions(folder: try folder.find()).streams
      ).streamPartitions
      let log = archive.log(stream)
      let names = self.stream
      if let unknown = names.first(where: { name in !declared.contains { $0.stream == name } }) {
        throw ValidationError(
          "--stream \(unknown) is not declared; there are "
            + declared.map(\.stream).joined(separator: ", "))
      }
      return (log, declared.filter { names.isEmpty || names.contains($0.stream) })
    }
  }

  struct Cat: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print what the log holds now, stream by stream.")

    @OptionGroup var selection: Selection

    @Option(help: "Start at this sequence of each stream.")
    var from: UInt64 = 1

    @Option(help: "Stop after this many lines.")
    var limit: Int?

    @Flag(help: "Print heartbeats too.")
    var heartbeats = false

    func run() throws {
      let (log, streams) = try selection.open()
      var printer = EventPrinter(limit: limit, heartbeats: heartbeats)
      for stream in streams {
        let bounds = try log.bounds(stream: stream.stream)
        let start = max(from, bounds.first, 1)
        guard bounds.last >= start else { continue }
        let reader = try log.reader(stream: stream.stream, after: start - 1)
        var sequence = start - 1
        while sequence < bounds.last {
          for frame in try reader.next(timeoutMs: 1000) where frame.sequence <= bounds.last {
            sequence = frame.sequence
            guard printer.print(frame, stream: stream.stream) else { return }
          }
        }
      }
    }
  }

  struct Tail: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print events as they are stored, until interrupted.")

    @OptionGroup var selection: Selection

    @Option(help: "Begin with this many frames of each stream that are already stored.")
    var frames: UInt64 = 0

    @Option(help: "Stop after this many lines.")
    var limit: Int?

    @Flag(help: "Print heartbeats too.")
    var heartbeats = false

    func run() throws {
      let (log, streams) = try selection.open()
      var printer = EventPrinter(limit: limit, heartbeats: heartbeats)
      let readers = try streams.map { stream in
        let last = try log.bounds(stream: stream.stream).last
        return (stream, try log.reader(stream: stream.stream, after: last - min(last, frames)))
      }
      while true {
        for (stream, reader) in readers {
          for frame in try reader.next(timeoutMs: 50) {
            guard printer.print(frame, stream: stream.stream) else { return }
          }
        }
      }
    }
  }

  struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Count frames, events by kind and bytes, reading the whole log.")

    @OptionGroup var selection: Selection

    func run() throws {
      let (log, streams) = try selection.open()
      var kinds: [EventKind: Int] = [:]
      print("stream          frames      events  dead letters         bytes  last stored")
      for stream in streams {
        let bounds = try log.bounds(stream: stream.stream)
        var stats = StreamStatistics()
        if bounds.last >= max(bounds.first, 1) {
          let reader = try log.reader(
            stream: stream.stream, after: bounds.first > 0 ? bounds.first - 1 : 0)
          while stats.sequence < bounds.last {
            for frame in try reader.next(timeoutMs: 1000) where frame.sequence <= bounds.last {
              stats.add(frame)
            }
          }
        }
        print(stats.line(stream.stream))
        kinds.merge(stats.kinds) { $0 + $1 }
      }
      print(
        "by kind: "
          + EventKind.allCases.map { "\($0.name) \(kinds[$0] ?? 0)" }.joined(separator: ", "))
    }
  }
}

/// Counts of one stream.
private struct StreamStatistics {
  var sequence: UInt64 = 0
  private(set) var kinds: [EventKind: Int] = [:]
  private var frames = 0
  private var events = 0
  private var deadLetters = 0
  private var unreadable = 0
  private var bytes = 0
  private var lastStored: Int64 = 0

  mutating func add(_ frame: any StoredFrame) {
    sequence = frame.sequence
    frames += 1
    bytes += frame.bytes.count
    lastStored = frame.storedAt
    do throws(FrameError) {
      let view = try FrameView(frame.bytes)
      if view.header.kind == .deadLetters {
        deadLetters += view.count
      } else {
        events += view.count
        for index in 0..<view.count {
          guard let kind = EventKind(rawValue: view.kind(index)) else { continue }
          kinds[kind, default: 0] += 1
        }
      }
    } catch {
      unreadable += 1
    }
  }

  func line(_ name: String) -> String {
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(1, width - text.count)) + text
    }
    return name + right("\(frames)", 22 - name.count) + right("\(events)", 12)
      + right("\(deadLetters)", 14) + right("\(bytes)", 14) + "  "
      + (frames == 0 ? "-" : Timestamp.format(lastStored))
      + (unreadable == 0 ? "" : "  \(unreadable) unreadable frames")
  }
}

/// Prints frames as lines, up to a limit.
private struct EventPrinter {
  private var left: Int
  private let heartbeats: Bool

  init(limit: Int?, heartbeats: Bool) {
    left = limit ?? .max
    self.heartbeats = heartbeats
  }

  /// - Returns: false once the limit is reached.
  mutating func print(_ frame: any StoredFrame, stream: String) -> Bool {
    let place = CloudEvent.Place(
      stream: stream, sequence: frame.sequence, storedAt: frame.storedAt)
    var json = JSONWriter()
    do throws(FrameError) {
      let view = try FrameView(frame.bytes)
      if view.header.kind == .heartbeat {
        if heartbeats { CloudEvent.appendLines(of: view, at: place, to: &json) }
      } else {
        for index in 0..<min(view.count, left) {
          CloudEvent.appendLine(of: view, event: index, at: place, to: &json)
        }
        left -= min(view.count, left)
      }
    } catch {
      CloudEvent.appendLine(unreadable: error, at: place, to: &json)
    }
    write(json.bytes)
    return left > 0
  }

  private func write(_ bytes: [UInt8]) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(1, buffer.baseAddress.map { $0 + written }, bytes.count - written)
      }
      // A reader that went away, such as `head`, ends us by SIGPIPE.
      if count < 0 && errno != EINTR { return }
      written += max(0, count)
    }
  }
}
