import Dataflow
import Testing

@testable import Definitions

@Suite("Another number of partitions")
struct RepartitionTests {
  /// A server in memory that carries the steps out.
  struct Server {
    var streams: [String: StreamConfig] = [:]
    var used: [String: Int64] = [:]
    /// Every step so far, in words.
    var steps: [String] = []

    init(_ desired: StreamDefinitions) {
      for config in desired.all { streams[config.name] = config }
    }

    var generations: StreamGenerations {
      get throws {
        // Streams that are not ours are passed over.
        let other = #"{"name":"ORDERS","subjects":["orders.>"],"max_bytes":-1}"#
        return try StreamGenerations(actual: streams.values.map(\.json) + [other])
      }
    }

    var bytesMax: Int64 { streams.values.reduce(0) { $0 + $1.bytesMax } }

    /// - Returns: false where nothing is left to do.
    mutating func step(to partitions: Int) throws -> Bool {
      switch try Repartition.next(try generations, to: partitions, usedBytes: used) {
      case .shrink(let config):
        steps.append("shrink \(config.name)")
        streams[config.name] = config
      case .create(let config):
        #expect(streams[config.name] == nil)
        steps.append("create \(config.name)")
        streams[config.name] = config
      case .close(let config):
        steps.append("close \(config.name)")
        streams[config.name] = config
      case .writeEnd(var config):
        steps.append("end \(config.name)")
        #expect(config.isClosed)
        config.end = 7
        streams[config.name] = config
      case .done: return false
      }
      return true
    }

    mutating func run(to partitions: Int) throws {
      while try step(to: partitions) { #expect(steps.count < 1000) }
    }
  }

  let desired: StreamDefinitions

  init() throws { desired = try Definitions(folder: Fixture.original).streams }

  @Test("old streams give up room, new ones are made, then the old ones are closed one by one")
  func steps() throws {
    var server = Server(desired)
    server.used["events-01"] = 4 << 30
    let before = server.bytesMax
    try server.run(to: 2)
    #expect(
      server.steps == [
        "shrink events-00", "shrink events-02", "shrink events-03",
        "create events-g2-00", "create events-g2-01", "close events-00", "end events-00",
        "close events-01", "end events-01", "close events-02", "end events-02", "close events-03",
        "end events-03",
      ])
    #expect(server.bytesMax <= before, "the server's storage need not grow")
    #expect(server.streams["events-01"]?.bytesMax == 4 << 30)
    #expect(server.streams["events-g2-00"]?.bytesMax ?? 0 > 5 << 30)
    #expect(server.streams["events-g2-00"]?.subjects == ["events-g2-00"])
    let generations = try server.generations
    #expect(generations.all.map(\.number) == [1, 2])
    #expect(generations.all.map(\.partitions) == [4, 2])
    #expect(generations.all.map(\.isSealed) == [true, false])
    #expect(generations.all[0].streams.map(\.end) == [7, 7, 7, 7])
    #expect(generations.open?.number == 2)
    #expect(generations.successor(of: 1)?.number == 2 && generations.successor(of: 2) == nil)
  }

  @Test("the declared streams stay; what the server has gone on to is taken up")
  func adopting() throws {
    var server = Server(desired)
    try server.run(to: 8)
    let adopted = desired.adopting(try server.generations)
    #expect(adopted.generation == 2 && adopted.partitions == 8)
    #expect(
      adopted.streamPartitions.map { "\($0.stream) \($0.generation) \($0.partition)" }
        == (0..<4).map { "events-0\($0) 1 \($0)" } + (0..<8).map { "events-g2-0\($0) 2 \($0)" }
        + ["dead-letters 1 -1"])
    #expect(adopted.logGenerations.map(\.partitions) == [4, 8])
    #expect(adopted.logGenerations.map(\.isSealed) == [true, false])
    #expect(desired.logGenerations.map(\.streams) == [desired.events.map(\.name)])
    // Neither the definitions as they were nor those that were written anew differ from the server.
    let actual = server.streams.values.map(\.json)
    #expect(try StreamPlan.changes(desired: adopted, actual: actual) == [])
    #expect(
      Repartition.declaration(of: try #require(try server.generations.all.last)) == """
          name: events-g2-NN
          generation: 2
          partitions: 8
        """)
    let fixture = try Fixture()
    try fixture.replace("streams.yaml", "name: events-NN", with: "name: events-g2-NN")
    try fixture.replace("streams.yaml", "generation: 1", with: "generation: 2")
    try fixture.replace("streams.yaml", "partitions: 4", with: "partitions: 8")
    let written = try Definitions(folder: fixture.folder).streams.adopting(try server.generations)
    let changes = try StreamPlan.changes(desired: written, actual: actual)
    #expect(changes.map(\.differences.count) == Array(repeating: 1, count: 8))
    #expect(changes.allSatisfy { "\($0)".contains("max_bytes") && !$0.isDestructive })
  }

  @Test("it is carried on from every step, and another number is refused meanwhile")
  func interrupted() throws {
    var whole = Server(desired)
    try whole.run(to: 8)
    for count in 1..<whole.steps.count {
      var server = Server(desired)
      for _ in 0..<count { #expect(try server.step(to: 8)) }
      let created = server.steps.contains { $0.hasPrefix("create") }
      let isComplete = try server.generations.all.count == 2
      let isClosed = server.steps.contains { $0.hasPrefix("close") }
      #expect(isComplete || !isClosed, "collectors always have somewhere to go")
      if created {
        #expect(throws: Repartition.Refusal.otherChange(partitions: 8)) {
          try server.step(to: 5)
        }
      }
      try server.run(to: 8)
      #expect(server.steps == whole.steps)
    }
  }

  @Test("generations follow each other")
  func again() throws {
    var server = Server(desired)
    for partitions in [8, 100, 1] {
      let before = server.bytesMax
      try server.run(to: partitions)
      #expect(server.bytesMax <= before)
      try server.run(to: partitions)
    }
    let generations = try server.generations
    #expect(generations.all.map(\.number) == [1, 2, 3, 4])
    #expect(
      generations.all.map { $0.streams[0].name }
        == ["events-00", "events-g2-00", "events-g3-00", "events-g4-00"])
    #expect(generations.all[2].streams[99].name == "events-g3-99")
  }

  @Test("without streams there is nothing to divide anew")
  func empty() throws {
    #expect(throws: Repartition.Refusal.noStreams) {
      try Repartition.next(StreamGenerations(actual: []), to: 8, usedBytes: [:])
    }
  }
}
