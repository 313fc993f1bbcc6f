import Events

/// A touch in state.
struct KeptTouch: BitwiseCopyable {
  var time: Int64
  var key: Key128
  var revenueMicros: Int64
  /// Slot of its tuple.
  var tuple: UInt32
  var kind: UInt8
  /// The first touch of a session.
  var startsSession = false
  /// On a session's first touch: its length has been handed out.
  var isClosed = false

  /// The order of a history: time, then key.
  static func precedes(_ a: KeptTouch, _ b: KeptTouch) -> Bool {
    a.time != b.time ? a.time < b.time : a.key < b.key
  }
}

/// The touches of one person in order, and what follows from them.
///
///     time    i ── c ──────── i        i ─ c ─── v
///             └ session ──────┘ > gap  └ session ┘       c after i: attributed click
///                                                        v after c: attributed conversion
///
/// A click is attributed if the person had an impression of the same content at most the look-back
/// before it, or at the same time. A conversion is attributed to the latest click at most the look-back
/// before it, or at the same time; of clicks at one time to that of the greater key.
struct PersonTimeline {
  let touches: UnsafeMutablePointer<KeptTouch>?
  let count: Int

  @inline(__always)
  subscript(index: Int) -> KeptTouch { touches.unsafelyUnwrapped[index] }

  /// Where a touch belongs.
  func place(of touch: KeptTouch) -> Int {
    var place = count
    while place > 0 && KeptTouch.precedes(touch, self[place - 1]) { place -= 1 }
    return place
  }

  /// The first touch at `time` or later, found from `place` backwards.
  func first(at time: Int64, before place: Int) -> Int {
    var first = place
    while first > 0 && self[first - 1].time >= time { first -= 1 }
    return first
  }

  /// The first touch of the session that `index` is in.
  func sessionStart(_ index: Int) -> Int {
    var start = index
    while !self[start].startsSession { start -= 1 }
    return start
  }

  /// The last touch of the session that `index` is in.
  func sessionEnd(_ index: Int) -> Int {
    var end = index
    while end + 1 < count && !self[end + 1].startsSession { end += 1 }
    return end
  }

  /// The latest click at or before `time` within the look-back, among the touches before `end`.
  func click(before time: Int64, lookBack: Int64, end: Int) -> Int? {
    var index = end
    while index > 0 && self[index - 1].time >= time - lookBack {
      index -= 1
      if self[index].kind == EventKind.click.rawValue && self[index].time <= time { return index }
    }
    return nil
  }

  /// True where an impression of the content is at or before `time` within the look-back, among the
  /// touches before `end`.
  func hasImpression(
    of content: UInt64, before time: Int64, lookBack: Int64, end: Int, contents: [UInt64]
  ) -> Bool {
    var index = end
    while index > 0 && self[index - 1].time >= time - lookBack {
      index -= 1
      if self[index].kind == EventKind.impression.rawValue && self[index].time <= time
        && contents[Int(self[index].tuple)] == content
      {
        return true
      }
    }
    return false
  }

  /// The end of the touches that are not after `time`, found from `index` on.
  func end(at time: Int64, from index: Int) -> Int {
    var end = index
    while end < count && self[end].time <= time { end += 1 }
    return end
  }
}
