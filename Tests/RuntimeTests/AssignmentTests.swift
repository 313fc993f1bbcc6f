import Oracles
import Dataflow
import Ports
import Testing

@testable import Runtime

@Suite("Who should own which stream")
struct AssignmentTests {
  static let clicks = PipelineSpec(name: "clicks")
  static let reach = PipelineSpec(name: "reach")

  /// The streams of a pipeline: partitions of the events, and the dead letters.
  static func items(_ partitions: Int, _ pipelines: [PipelineSpec] = [clicks]) -> [PipelineStream] {
    pipelines.flatMap { pipeline in
      ((0..<partitions).map { partition in
        StreamPartition(
          stream: partition < 10 ? "events-0\(partition)" : "events-\(partition)", generation: 1,
          partition: partition)
      } + [World.deadLetters]).map { PipelineStream(pipeline, $0) }
    }
  }

  static func member(
    _ id: String, _ pipelines: [PipelineSpec] = [clicks], ageMs: Int64 = 60_000
  ) -> Member {
    Member(
      id: id, host: "host", pid: 1, startTicks: 1,
      pipelines: Set(pipelines.map { .init(name: $0.name, version: $0.version) }), ageMs: ageMs)
  }

  static func assignment(
    _ items: [PipelineStream], live: [Member], lapsed: [Member] = [],
    owners: [PipelineStream: String] = [:], me: String = "a", running: Set<PipelineStream> = [],
    lapsedAreGone: Bool = true
  ) -> Assignment {
    Assignment(
      items: items,
      view: GroupView(
        live: live, lapsed: lapsed,
        owners: owners.mapValues { Ownership(owner: $0, epoch: 1, logTime: .min) },
        uptimeMs: 60_000),
      me: me, running: running, lapsedAreGone: lapsedAreGone)
  }

  static func owned(
    _ targets: [PipelineStream: String], _ id: String, _ role: StreamRole? = nil
  ) -> Int {
    targets.count { $0.value == id && (role == nil || $0.key.stream.role == role) }
  }

  @Test("a process that is alone takes everything at once")
  func alone() {
    let items = Self.items(4)
    let actions = Self.assignment(items, live: [Self.member("a", ageMs: 0)]).actions
    #expect(actions == Assignment.Actions(start: items))
  }

  @Test("a second process gets half, by as many moves as it takes, and half of the events")
  func second() {
    let items = Self.items(5)
    let owners = Dictionary(uniqueKeysWithValues: items.map { ($0, "a") })
    let members = [Self.member("a"), Self.member("b")]
    let first = Self.assignment(items, live: members, owners: owners, running: Set(items))
    #expect(first.actions.stop.count == 3 && first.actions.start.isEmpty)
    let targets = first.targets
    #expect(Self.owned(targets, "a") == 3 && Self.owned(targets, "b") == 3)
    #expect([2, 3].contains(Self.owned(targets, "a", .events)))
    // Nothing is there to be taken before it was given.
    #expect(
      Self.assignment(items, live: members, owners: owners, me: "b").actions
        == Assignment.Actions())
  }

  @Test("a process that has just come gets what is free, and what others have a second later")
  func young() {
    let items = Self.items(4)
    let owners = Dictionary(uniqueKeysWithValues: items.prefix(4).map { ($0, "a") })
    let young = [Self.member("a"), Self.member("b", ageMs: 10)]
    let targets = Self.assignment(items, live: young, owners: owners).targets
    #expect(Self.owned(targets, "b") == 1 && Self.owned(targets, "a") == 4)
    let old = [Self.member("a"), Self.member("b", ageMs: Assignment.joinDelayMs)]
    #expect(Self.owned(Self.assignment(items, live: old, owners: owners).targets, "b") == 2)
  }

  @Test("what a lapsed owner has is taken only where lapsing says that it is gone")
  func lapsed() {
    let items = Self.items(3)
    let owners = Dictionary(uniqueKeysWithValues: items.map { ($0, "b") })
    for isGone in [true, false] {
      let assignment = Self.assignment(
        items, live: [Self.member("a")], lapsed: [Self.member("b")], owners: owners,
        lapsedAreGone: isGone)
      #expect(assignment.actions.start == (isGone ? items : []))
    }
  }

  @Test("a lapsed process is given nothing")
  func givenNothing() {
    let items = Self.items(5)
    let owners = Dictionary(uniqueKeysWithValues: items.prefix(4).map { ($0, "a") })
    for isGone in [true, false] {
      let assignment = Self.assignment(
        items, live: [Self.member("a")], lapsed: [Self.member("b")], owners: owners,
        running: Set(items.prefix(4)), lapsedAreGone: isGone)
      #expect(assignment.actions == Assignment.Actions(start: Array(items.suffix(2))))
    }
  }

  @Test("a process that leaves stops everything, then releases it, and is given nothing back")
  func leaving() {
    let items = Self.items(3)
    let owners = Dictionary(uniqueKeysWithValues: items.map { ($0, "a") })
    let members = [Self.member("a", []), Self.member("b")]
    #expect(
      Self.assignment(items, live: members, owners: owners, running: Set(items)).actions
        == Assignment.Actions(stop: items))
    #expect(
      Self.assignment(items, live: members, owners: owners).actions
        == Assignment.Actions(release: items))
    #expect(
      Self.assignment(items, live: members, me: "b").actions == Assignment.Actions(start: items))
  }

  @Test("processes of other pipelines share only what they both run")
  func pipelines() {
    let items = Self.items(4, [Self.clicks, Self.reach])
    let targets = Self.assignment(
      items, live: [Self.member("a", [Self.clicks, Self.reach]), Self.member("b", [Self.clicks])]
    ).targets
    #expect(items.allSatisfy { $0.pipeline == "clicks" || targets[$0] == "a" })
    #expect([2, 3].contains(targets.count { $0.key.pipeline == "clicks" && $0.value == "a" }))
  }

  @Test("every member computes the same, whatever the order of its view")
  func order() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      let (items, members, owners) = Self.randomGroup(&random)
      let first = Self.assignment(items, live: members, owners: owners).targets
      let second = Self.assignment(
        items.shuffled(using: &random), live: members.shuffled(using: &random), owners: owners,
        me: "b"
      ).targets
      #expect(first == second)
    }
  }

  @Test("all are within one of each other after as few moves as that takes, and then none")
  func balanced() {
    for seed in 0..<500 as Range<UInt64> {
      var random = SeededGenerator(seed: seed)
      let (items, members, owners) = Self.randomGroup(&random)
      let targets = Self.assignment(items, live: members, owners: owners).targets
      let counts = members.map { Self.owned(targets, $0.id) }
      #expect(counts.reduce(0, +) == items.count)
      #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1, "seed \(seed)")

      // The best end that any distribution can have: the fullest keep the larger shares.
      let free = items.count { owners[$0] == nil }
      let before = members.map { member in owners.count { $0.value == member.id } }
      let floor = items.count / members.count
      let larger = items.count % members.count
      let shares = before.sorted(by: >).enumerated().map { index, count in
        max(0, count - (floor + (index < larger ? 1 : 0)))
      }
      let moves = owners.count { targets[$0.key] != $0.value }
      #expect(moves == shares.reduce(0, +), "seed \(seed), \(free) free")

      #expect(Self.assignment(items, live: members, owners: targets).targets == targets)
    }
  }

  /// Some members of one pipeline, and items of which some have an owner among them.
  private static func randomGroup(
    _ random: inout SeededGenerator
  ) -> ([PipelineStream], [Member], [PipelineStream: String]) {
    let items = items(Int.random(in: 1...20, using: &random))
    let members = (0..<Int.random(in: 1...7, using: &random)).map {
      member(["a", "b", "c", "d", "e", "f", "g"][$0])
    }
    let favourites = members.prefix(Int.random(in: 1...members.count, using: &random))
    var owners: [PipelineStream: String] = [:]
    for item in items where Int.random(in: 0..<4, using: &random) > 0 {
      owners[item] = favourites.randomElement(using: &random)?.id
    }
    return (items, members, owners)
  }
}
