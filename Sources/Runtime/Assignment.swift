import Dataflow
import Ports

/// Who should own which stream, as a pure function of what the group looks like: every process
/// computes the same from the same view, so nobody has to lead.
///
/// Owners keep what they have. Streams without an owner go to the member with the fewest. Then,
/// while two members are two or more apart, one stream moves from the fuller to the emptier: that is
/// the least number of moves after which all are within one of each other. Balanced groups therefore
/// stay as they are, whatever the views of a moment.
///
///     a: 00 01 02 03   b: -          b joins     a: 00 01   b: 03 02
///     a: 00 01   b: 03 02            a dies      b: 03 02 00 01
///
/// Members that run the same pipelines share these pipelines' streams among themselves, apart from
/// the streams of other pipelines: so all who share see the same streams. Within a share, streams of
/// one role (events, partials, dead letters) are spread as evenly, since their loads differ. A member
/// that leaves says that it runs nothing, and stops what it has.
///
/// Cost: streams × members in the worst case; both are at most some hundreds.
struct Assignment {
  /// Everything that is to be owned by somebody.
  let items: [PipelineStream]
  let view: GroupView
  /// Id of the asking member.
  let me: String
  /// Items that a loop of the asking member runs or is about to.
  let running: Set<PipelineStream>
  /// Whether members whose lease ran out may be taken for gone. Not so just after the store was
  /// away: then their leases ran out only because nobody could renew one.
  let lapsedAreGone: Bool

  /// What the asking member is to do now; each list in order of items.
  struct Actions: Hashable {
    /// Start loops: they are free to take.
    var start: [PipelineStream] = []
    /// Stop loops: commit, then release.
    var stop: [PipelineStream] = []
    /// Free what is still owned and has no loop any more.
    var release: [PipelineStream] = []
  }

  /// A member is given streams of others only once it has beaten for so long: one that dies at every
  /// start would otherwise make them move each time.
  static let joinDelayMs: Int64 = 3000

  var actions: Actions {
    let targets = targets
    let present = Set(present.map(\.id))
    var actions = Actions()
    for item in items {
      let isTarget = targets[item] == me
      if running.contains(item) {
        if !isTarget { actions.stop.append(item) }
        continue
      }
      let owner = view.owners[item]?.owner
      if owner == me && !isTarget { actions.release.append(item) }
      let isFree = owner.map { $0 == me || !present.contains($0) } ?? true
      if isTarget && isFree { actions.start.append(item) }
    }
    return actions
  }

  /// Members that count as there.
  private var present: [Member] { lapsedAreGone ? view.live : view.live + view.lapsed }

  /// The member that should own each item; an item that nobody here runs is absent.
  var targets: [PipelineStream: String] {
    var targets: [PipelineStream: String] = [:]
    let members = view.live.sorted { $0.id < $1.id }
    let waitedFor = lapsedAreGone ? [] : Set(view.lapsed.map(\.id))
    var shares: [[Member]: [PipelineStream]] = [:]
    for item in items {
      if let owner = view.owners[item]?.owner, waitedFor.contains(owner) {
        targets[item] = owner
        continue
      }
      let eligible = members.filter { $0.runs(item) }
      if !eligible.isEmpty { shares[eligible, default: []].append(item) }
    }
    for (members, items) in shares {
      var share = Share(members)
      share.keep(items) { view.owners[$0]?.owner }
      share.giveOutRest()
      share.balance()
      for (index, owned) in share.owned.enumerated() {
        for item in owned { targets[item] = members[index].id }
      }
    }
    return targets
  }
}

/// Items of the members that run the same pipelines.
private struct Share {
  let members: [Member]
  /// Per member, in order of items.
  private(set) var owned: [[PipelineStream]]
  private var rest: [PipelineStream] = []

  init(_ members: [Member]) {
    self.members = members
    owned = Array(repeating: [], count: members.count)
  }

  mutating func keep(_ items: [PipelineStream], owner: (PipelineStream) -> String?) {
    for item in items.sorted(by: Self.precedes) {
      if let id = owner(item), let index = members.firstIndex(where: { $0.id == id }) {
        owned[index].append(item)
      } else {
        rest.append(item)
      }
    }
  }

  mutating func giveOutRest() {
    for item in rest {
      let index = members.indices.min { load($0, item) < load($1, item) }
      guard let index else { return }
      insert(item, index)
    }
    rest = []
  }

  mutating func balance() {
    let takers = members.indices.filter { members[$0].ageMs >= Assignment.joinDelayMs }
    while let fullest = members.indices.max(by: { owned[$0].count < owned[$1].count }),
      let emptiest = takers.min(by: { owned[$0].count < owned[$1].count }),
      owned[fullest].count >= owned[emptiest].count + 2
    {
      // The last one of the role in which the two are furthest apart.
      var best = owned[fullest][0]
      for item in owned[fullest]
      where difference(item, fullest, emptiest) >= difference(best, fullest, emptiest) {
        best = item
      }
      owned[fullest].removeAll { $0 == best }
      insert(best, emptiest)
    }
  }

  private func load(_ index: Int, _ item: PipelineStream) -> (Int, Int) {
    (owned[index].count, count(item.stream.role, index))
  }

  private func difference(_ item: PipelineStream, _ from: Int, _ to: Int) -> Int {
    count(item.stream.role, from) - count(item.stream.role, to)
  }

  private func count(_ role: StreamRole, _ index: Int) -> Int {
    owned[index].count { $0.stream.role == role }
  }

  private mutating func insert(_ item: PipelineStream, _ index: Int) {
    let place = owned[index].firstIndex { Self.precedes(item, $0) } ?? owned[index].endIndex
    owned[index].insert(item, at: place)
  }

  private static func precedes(_ a: PipelineStream, _ b: PipelineStream) -> Bool {
    (a.stream.role == .events ? 0 : 1, a.stream.stream, a.pipeline, a.version)
      < (b.stream.role == .events ? 0 : 1, b.stream.stream, b.pipeline, b.version)
  }
}
