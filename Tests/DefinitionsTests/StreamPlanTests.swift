import Testing

@testable import Definitions

@Suite("The plan from a server's streams to the declared ones")
struct StreamPlanTests {
  let desired: StreamDefinitions

  init() throws { desired = try Definitions(folder: Fixture.original).streams }

  private func changes(_ edit: (inout [StreamConfig]) -> Void) throws -> [StreamChange] {
    var actual = desired.all
    edit(&actual)
    return try StreamPlan.changes(desired: desired, actual: actual.map(\.json))
  }

  @Test("an empty server gets every stream, and nothing is destructive")
  func create() throws {
    let changes = try StreamPlan.changes(desired: desired, actual: [])
    #expect(changes.map(\.action) == Array(repeating: .create, count: 7))
    #expect(changes.map(\.config) == desired.all)
    #expect(changes.allSatisfy { !$0.isDestructive })
    #expect(changes[0].description == "create events-00")
  }

  @Test("a server that is as declared needs nothing, whatever else it has")
  func nothing() throws {
    let other = #"{"name":"ORDERS","subjects":["orders.>"],"max_bytes":-1}"#
    let changes = try StreamPlan.changes(
      desired: desired, actual: desired.all.map(\.json) + [other])
    #expect(changes == [])
  }

  @Test("what a server adds to a configuration is no difference")
  func serverDefaults() throws {
    // As nats-server 2.15.1 answers for the first partition.
    let answer = """
      {"type":"io.nats.jetstream.api.v1.stream_info_response","total":0,"offset":0,"limit":0,\
      "config":{"name":"events-00","subjects":["events-00"],"retention":"limits",\
      "max_consumers":-1,"max_msgs":-1,"max_bytes":4294967296,"max_age":0,\
      "max_msgs_per_subject":-1,"max_msg_size":1048576,"discard":"new","storage":"file",\
      "num_replicas":1,"duplicate_window":120000000000,"compression":"none",\
      "allow_direct":true,"mirror_direct":false,"sealed":false,"deny_delete":false,\
      "deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,\
      "metadata":{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.1",\
      "smartcontent.generation":"1","smartcontent.partition":"0","smartcontent.partitions":"4"}},\
      "created":"2026-11-23T09:29:32.067204945Z","state":{"messages":0,"bytes":0,"first_seq":0,\
      "first_ts":"0001-01-01T00:00:00Z","last_seq":0,"last_ts":"0001-01-01T00:00:00Z",\
      "consumer_count":0},"ts":"2026-11-23T09:29:32.100436485Z"}
      """
    let changes = try StreamPlan.changes(
      desired: desired, actual: [answer] + desired.all.dropFirst().map(\.json))
    #expect(changes == [], "\(changes)")
  }

  @Test("a larger limit is an update")
  func larger() throws {
    let changes = try changes { $0[1].bytesMax = 2 << 30 }
    #expect(changes.map(\.description) == ["update events-01: max_bytes: 2GiB -> 4GiB"])
    #expect(changes[0].config == desired.events[1] && !changes[0].isDestructive)
  }

  @Test("a smaller limit loses nothing where a full stream refuses, and events where it drops")
  func smaller() throws {
    let refusing = try changes { $0[0].bytesMax = 8 << 30 }
    #expect(refusing.map(\.action) == [.update] && !refusing[0].isDestructive)
    let dropping = try changes {
      $0[0].bytesMax = -1
      $0[0].discard = "old"
    }
    #expect(dropping.map(\.action) == [.update] && dropping[0].isDestructive)
  }

  @Test("fewer replicas, and what needs a new stream, are destructive")
  func destructive() throws {
    let replicas = try changes { $0[0].replicas = 3 }
    #expect(replicas.map(\.action) == [.update] && replicas[0].isDestructive)
    let memory = try changes { $0[4].storage = "memory" }
    #expect(memory.map(\.action) == [.recreate] && memory[0].isDestructive)
    #expect(memory[0].description.contains("all its events are deleted"))
    let queue = try changes { $0[4].retention = "workqueue" }
    #expect(queue.map(\.action) == [.recreate] && queue[0].isDestructive)
    let interest = try changes { $0[4].retention = "interest" }
    #expect(interest.map(\.action) == [.update] && !interest[0].isDestructive)
  }

  @Test("a stream that drops its oldest messages or forgets by age is corrected")
  func unsafeLimits() throws {
    var json = desired.all.map(\.json)
    json[0] = json[0].replacing("\"max_age\":0", with: "\"max_age\":3600000000000")
    json[1] = json[1].replacing("\"discard\":\"new\"", with: "\"discard\":\"old\"")
    let changes = try StreamPlan.changes(desired: desired, actual: json)
    #expect(
      changes.map(\.description) == [
        "update events-00: max_age: 1h -> 0us", "update events-01: discard: old -> new",
      ])
  }

  @Test("another number of partitions in the same generation is destructive both ways")
  func partitions() throws {
    var eight = desired
    eight.events += desired.events.map { config in
      var config = config
      config.name = config.name.replacing("-0", with: "-1")
      return config
    }
    for index in eight.events.indices {
      eight.events[index].metadata[StreamDefinitions.partitionsKey] = "8"
    }
    let up = try StreamPlan.changes(desired: eight, actual: desired.all.map(\.json))
    #expect(
      up.map(\.action) == Array(repeating: .update, count: 4) + Array(repeating: .create, count: 4))
    #expect(up.prefix(4).allSatisfy { $0.isDestructive && "\($0)".contains("repartition") })
    let down = try StreamPlan.changes(desired: desired, actual: eight.all.map(\.json))
    #expect(
      down.filter { $0.action == .abandon }.map(\.stream) == [
        "events-10", "events-11", "events-12", "events-13",
      ])
    #expect(down.allSatisfy { $0.isDestructive })
  }

  @Test("an answer that is no configuration is refused")
  func unreadable() {
    #expect(throws: StreamPlan.UnreadableConfig.self) {
      try StreamPlan.changes(desired: desired, actual: ["{\"name\":1}"])
    }
  }

  @Test("sizes and durations are read with units and written back in the shortest way")
  func quantities() {
    for text in ["0B", "512B", "64MiB", "3TiB"] {
      #expect(Quantity.bytes(text).map { Quantity.text(bytes: $0) } == text)
    }
    for text in ["0us", "250ms", "5s", "90m", "7d"] {
      #expect(Quantity.duration(text).map { Quantity.text(micros: $0) } == text)
    }
    for text in ["", "5", "s", "5 s", "-5s", "5.5s", "5S", "99999999999999999999s", "9999999999d"] {
      #expect(Quantity.duration(text) == nil, "\(text)")
    }
  }
}
