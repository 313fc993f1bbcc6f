import Events
import MemoryPorts
import Metrics
import Ports
import Testing
import Views

@testable import QueryAPI

@Suite struct LiveStreamTests {
  private static let start: Int64 = 1_793_491_200_000_000

  /// An impression every second, of one campaign after the other.
  private let view = SimulatedView(
    partitions: [
      SimulatedPartition(
        events: (0..<30).map { index in
          SimulatedEvent(
            logTime: start + Int64(index) * 1_000_000, time: start + Int64(index) * 1_000_000,
            tuple: DimensionTuple(site: "default", campaign: index < 20 ? "a" : "b"), kind: 1,
            revenueMicros: 0)
        })
    ])

  private func set(_ sequence: Int) {
    view.set(committed: [1], coarse: [1], hot: [sequence], made: [1])
  }

  private func stream(range: DateRange = .all) -> LiveStream {
    let executor = view.executor
    let request = QueryRequest(
      pipeline: "default", site: "default", metrics: [.impressions], range: range,
      dimensions: [.campaign], granularity: nil, filters: [], order: [], limit: 10, offset: 0,
      timezone: "UTC", after: nil, timeoutMs: 0)
    var stream = LiveStream(
      request: request, executor: executor, watcher: PositionWatcher(view: executor.view),
      zone: .utc, metrics: QueryMetrics(MetricRegistry()))
    stream.settings.spacing = .milliseconds(1)
    stream.settings.progress = .milliseconds(50)
    stream.settings.heartbeat = .milliseconds(200)
    return stream
  }

  /// Runs a stream while `body` looks at what it sends.
  private func whileRunning(
    _ stream: LiveStream, lastEventID: Position? = nil, sink: ScriptedSink,
    _ body: () async throws -> Void
  ) async throws {
    let first = try await stream.start()
    let task = Task { try await stream.run(first, lastEventID: lastEventID, into: sink) }
    defer { task.cancel() }
    try await body()
  }

  @Test("a snapshot comes first, then only the rows that changed")
  func changes() async throws {
    set(10)
    let sink = ScriptedSink()
    try await whileRunning(stream(), sink: sink) {
      try await eventually { sink.events.count == 1 }
      let first = sink.events[0]
      #expect(first.name == "snapshot")
      #expect(first.id == "1~0.10")
      #expect(first.data.hasPrefix(#"{"results":[{"dimensions":["a"],"metrics":[10]}],"meta":{"#))
      set(25)
      try await eventually { sink.events.count >= 2 }
      set(28)
      try await eventually { sink.events.filter { $0.name == "change" }.count >= 2 }
      let changes = sink.events.filter { $0.name == "change" }
      #expect(
        changes[0].data.hasPrefix(
          #"{"results":[{"dimensions":["a"],"metrics":[20]},{"dimensions":["b"],"metrics":[5]}],"#
            + #""removed":[],"meta":{"position":"1~0.25","#))
      #expect(
        changes[1].data.hasPrefix(
          #"{"results":[{"dimensions":["b"],"metrics":[8]}],"removed":[],"#))
      #expect(changes[1].id == "1~0.28")
    }
  }

  @Test("a client that has seen everything gets no snapshot again, then what is new")
  func resumes() async throws {
    set(10)
    let sink = ScriptedSink()
    try await whileRunning(stream(), lastEventID: Position("1~0.10"), sink: sink) {
      try await eventually { sink.comments.contains("nothing newer") }
      set(12)
      try await eventually { !sink.events.isEmpty }
      #expect(sink.events[0].name == "change")
      #expect(sink.events[0].data.hasPrefix(#"{"results":[{"dimensions":["a"],"metrics":[12]}]"#))
    }
  }

  @Test("a client that is behind gets a fresh snapshot")
  func behind() async throws {
    set(10)
    let sink = ScriptedSink()
    try await whileRunning(stream(), lastEventID: Position("1~0.9"), sink: sink) {
      try await eventually { !sink.events.isEmpty }
      #expect(sink.events[0].name == "snapshot")
    }
  }

  @Test("a client whose range has moved on since gets a fresh snapshot")
  func moved() async throws {
    set(10)
    let sink = ScriptedSink()
    let stream = stream(range: .lastMinutes(30))
    try await whileRunning(stream, lastEventID: Position("1~0.10"), sink: sink) {
      try await eventually { !sink.events.isEmpty }
      #expect(sink.events[0].name == "snapshot")
    }
  }

  @Test("a slow reader gets the newest state, not every one")
  func slow() async throws {
    set(1)
    let sink = ScriptedSink()
    sink.hold()
    try await whileRunning(stream(), sink: sink) {
      try await eventually { sink.events.count == 1 }
      for sequence in 2...19 { set(sequence) }
      #expect(sink.events.count == 1)
      sink.release()
      try await eventually { sink.events.count >= 2 }
      #expect(sink.events[1].data.hasPrefix(#"{"results":[{"dimensions":["a"],"metrics":[19]}]"#))
    }
  }

  @Test("positions that move without rows are told as progress, quiet times by comments")
  func progress() async throws {
    set(10)
    let sink = ScriptedSink()
    // Nothing of this range ever changes.
    let stream = stream(
      range: .explicit(.instant(Self.start - 86_400_000_000), .instant(Self.start)))
    try await whileRunning(stream, sink: sink) {
      try await eventually { sink.events.count == 1 }
      set(15)
      try await eventually { sink.events.contains { $0.name == "progress" && $0.id == "1~0.15" } }
      try await eventually { sink.comments.contains("alive") }
      #expect(!sink.events.contains { $0.name == "change" })
    }
  }

  @Test("while the read models are away the stream stays, and goes on when they are back")
  func away() async throws {
    set(10)
    let sink = ScriptedSink()
    try await whileRunning(stream(), sink: sink) {
      try await eventually { sink.events.count == 1 }
      view.durable.update { $0.isAway = true }
      view.hot.update { $0.isAway = true }
      try await eventually { sink.comments.contains("read_models_unavailable") }
      view.durable.update { $0.isAway = false }
      view.hot.update { $0.isAway = false }
      set(12)
      try await eventually { sink.events.contains { $0.name == "change" && $0.id == "1~0.12" } }
    }
  }
}
