import ArgumentParser
import Events
import Operators
import Views

/// Sessions per person: every event finds its person's history, opens, extends, joins or closes a
/// session, and what that changes is handed out at every frame.
///
/// Frames are in memory; checksum, decoding, sessions, their closing and expiry, and draining inside,
/// sinks outside; one thread, its processor time. A session ends after ten minutes of silence; the run
/// spans some forty minutes of event time, so sessions begin, end and leave state all the time.
struct SessionBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sessions", abstract: "Sessions per person, events per second on one core.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events.") var events = 5_000_000
  @Option(help: "Persons.") var persons = 1_000_000

  static let policy = PersonPolicy(
    sessionGap: 600_000_000, clickLookBack: 60_000_000, impressionLookBack: 60_000_000,
    lateness: 60_000_000, personCountMax: 20_000_000)

  func run() throws {
    let frames = KeyedFrames(
      key: .person, keyCount: persons, eventCount: events, eventsPerSecond: events / 2400
    ).make()
    var table = Report("Sessions: \(persons) persons, gap 10 min, \(events) events in 40 min")
    var rates: [Double] = []
    for round in 0..<3 {
      var state = SessionState()
      let before = ResidentMemory.bytes()
      let started = CPUTime.thread()
      for frame in frames { try state.take(frame) }
      rates.append(Double(events) / (CPUTime.thread() - started))
      guard round == 0 else { continue }
      table.add("persons_in_state", Double(state.histories.count), "persons")
      table.add("touches_in_state", Double(state.histories.touchCount), "touches")
      table.add(
        "bytes_per_person", Double(ResidentMemory.bytes() - before) / Double(state.histories.count),
        "bytes")
    }
    table.add("events_per_core", median(rates), "events/s", goal: "1,000,000")
    table.print(json: report.json)
  }
}

/// Histories of persons and what they hand out.
struct SessionState: ~Copyable {
  var histories: PersonHistories
  private var contributions = Contributions()
  private(set) var handedOut = 0

  init(policy: PersonPolicy = SessionBench.policy) { histories = PersonHistories(policy: policy) }

  @inline(never)
  mutating func take(_ frame: KeyedFrames.Frame) throws {
    try frame.bytes.withUnsafeBytes { bytes in
      let view = try FrameView(bytes)
      histories.advance(watermark: frame.logTime - 1_000_000)
      histories.begin(tupleCount: view.tupleCount) { view.tupleBytes($0) }
      for index in 0..<view.count {
        histories.insert(
          Touch(
            time: view.eventTime(index), key: view.key(index),
            revenueMicros: view.revenueMicros(index), tuple: UInt32(view.tuple(index)),
            kind: view.kind(index)), of: view.person(index))
      }
      histories.end()
    }
    histories.drain(into: &contributions)
    handedOut += contributions.count
    contributions.removeAll()
  }
}
