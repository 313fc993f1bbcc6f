import Views

// What a person's touches have come to since the last drain: differences by tuple and 10 s window.
extension PersonHistories {
  @inline(__always)
  mutating func emit(_ touch: KeptTouch, _ outcomes: Outcomes) {
    emit(Int(touch.tuple), touch.time, outcomes)
  }

  @inline(__always)
  mutating func emit(_ slot: Int, _ time: Int64, _ outcomes: Outcomes) {
    let key = WindowKey.key(
      slot, window: WindowKey.window(.tenSeconds, WindowLevel.tenSeconds.start(of: time)))
    var index = pending.find(key)
    if index < 0 {
      index = pending.insert(key, Outcomes())
      tuples.retainPending(slot)
    }
    pending.entries[index].value += outcomes
  }

  /// Moves what was not handed out yet to `contributions`, in order of measure, tuple and window.
  public mutating func drain(into contributions: inout Contributions) {
    if queued > 0 { flush() }
    if pending.count > 0 {
      for index in orderedPending() {
        let entry = pending.entries[index]
        contributions.append(
          tuple: tuples.bytes(WindowKey.slot(entry.key)), start: WindowKey.start(entry.key),
          measure: .outcomes, sums: entry.value.counts)
      }
      clearPending()
    }
    drainExposures(into: &contributions)
  }

  /// The indices of the differences that are not nought.
  func orderedPending() -> [Int] {
    var order: [(id: Int64, start: Int64, index: Int)] = []
    for index in 0..<pending.count where !pending.entries[index].value.isZero {
      let key = pending.entries[index].key
      order.append((tuples.slots[WindowKey.slot(key)].id, WindowKey.start(key), index))
    }
    order.sort { ($0.id, $0.start) < ($1.id, $1.start) }
    return order.map(\.index)
  }

  mutating func clearPending() {
    for index in 0..<pending.count {
      tuples.releasePending(WindowKey.slot(pending.entries[index].key))
    }
    pending.removeAll()
  }
}
