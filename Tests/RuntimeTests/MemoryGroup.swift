import Dataflow
import Ports
import Synchronization

@testable import Runtime

/// The store of a group of processes in memory, with a clock that only a test moves.
final class MemoryGroup: Sendable {
  struct State {
    var nowMs: Int64 = 1_000_000
    var members: [String: (member: Member, joined: Int64, seen: Int64, until: Int64)] = [:]
    var owners: [PipelineStream: Ownership] = [:]
    var isAway = false
    var startedAt: Int64 = 0
    /// Every claim that succeeded, in order.
    var claims: [(item: PipelineStream, owner: String, atMs: Int64)] = []
  }

  private let state = Mutex(State())

  var now: State { state.withLock { $0 } }

  func change(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

  var clock: LoopClock {
    LoopClock(wall: { 0 }, monotonic: { [self] in now.nowMs * 1000 })
  }

  func beat(_ me: Member, leaseMs: Int) throws(ViewStoreError) -> GroupView {
    try open { state in
      let known = state.members[me.id]
      let joined = known.map { $0.until > state.nowMs ? $0.joined : state.nowMs } ?? state.nowMs
      state.members[me.id] = (me, joined, state.nowMs, state.nowMs + Int64(leaseMs))
      var view = GroupView(
        live: [], lapsed: [], owners: state.owners, uptimeMs: state.nowMs - state.startedAt)
      for (member, joined, seen, until) in state.members.values {
        var member = member
        member.ageMs = seen - joined
        if until > state.nowMs { view.live.append(member) } else { view.lapsed.append(member) }
      }
      return view
    }
  }

  func release(_ item: PipelineStream, owner: String) throws(ViewStoreError) {
    try open { state in
      if state.owners[item]?.owner == owner { state.owners[item]?.owner = nil }
    }
  }

  func remove(_ member: String) throws(ViewStoreError) {
    try open { $0.members[member] = nil }
  }

  /// As ``ViewStore/claim(_:owner:)``.
  func claim(_ item: PipelineStream, owner: String) throws(ViewStoreError) -> Int64 {
    let outcome: Result<Int64, ViewStoreError> = try open { state in
      let known = state.owners[item]
      if let other = known?.owner, other != owner, let member = state.members[other],
        member.until > state.nowMs
      {
        return .failure(.held(stream: item.stream.stream, by: other))
      }
      let epoch = (known?.epoch ?? 0) + 1
      state.owners[item] = Ownership(owner: owner, epoch: epoch, logTime: .min)
      state.claims.append((item, owner, state.nowMs))
      return .success(epoch)
    }
    return try outcome.get()
  }

  private func open<Value>(_ body: (inout State) -> Value) throws(ViewStoreError) -> Value {
    let value: Value? = state.withLock { $0.isAway ? nil : body(&$0) }
    guard let value else { throw .unavailable("the store is away") }
    return value
  }
}

/// One process's way to a group in memory.
final class MemoryMembership: Membership {
  private let group: MemoryGroup

  init(_ group: MemoryGroup) { self.group = group }

  func beat(_ me: Member, leaseMs: Int) throws(ViewStoreError) -> GroupView {
    try group.beat(me, leaseMs: leaseMs)
  }

  func release(_ item: PipelineStream, owner: String) throws(ViewStoreError) {
    try group.release(item, owner: owner)
  }

  func remove(_ member: String) throws(ViewStoreError) { try group.remove(member) }
}
