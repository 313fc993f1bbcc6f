import Events

/// A touch in state.
struct KeptTouch: BitwiseCopyable {
  var time: Int64
  var key: Key128
  var revenueMicros: Int64
  /// Slot of its tuple.
  var tuple: UInt32
  var kind: UInt8
  /// On clicks and conversions: what it is attributed to has left state, and stays as it was counted.
  var isSettled = false

  /// The order of a history: time, then key.
  @inline(__always)
  static func precedes(_ a: KeptTouch, _ b: KeptTouch) -> Bool {
    a.time != b.time ? a.time < b.time : a.key < b.key
  }

  @inline(__always) var isImpression: Bool { kind == EventKind.impression.rawValue }
  /// Where its tuple has a variant of a campaign: its person was shown it.
  @inline(__always) var isShown: Bool {
    kind <= EventKind.view.rawValue || kind == EventKind.exposure.rawValue
  }
  @inline(__always) var isClick: Bool { kind == EventKind.click.rawValue }
  @inline(__always) var isConversion: Bool { kind == EventKind.conversion.rawValue }
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

  /// Where a touch belongs: nearly always at the end.
  @inline(__always)
  func place(of touch: KeptTouch) -> Int {
    var place = count
    while place > 0 && KeptTouch.precedes(touch, self[place - 1]) { place -= 1 }
    return place
  }

  /// The first touch at `time` or later, found from `place` backwards.
  @inline(__always)
  func first(at time: Int64, before place: Int) -> Int {
    var first = place
    while first > 0 && self[first - 1].time >= time { first -= 1 }
    return first
  }

  /// The end of the touches that are not after `time`, found from `index` on.
  @inline(__always)
  func end(at time: Int64, from index: Int) -> Int {
    var end = index
    while end < count && self[end].time <= time { end += 1 }
    return end
  }

  /// The first touch of the session that `index` is in.
  func sessionStart(_ index: Int, gap: Int64) -> Int {
    var start = index
    while start > 0 && self[start].time - self[start - 1].time <= gap { start -= 1 }
    return start
  }

  /// The last touch of the session that `index` is in.
  func sessionEnd(_ index: Int, gap: Int64) -> Int {
    var end = index
    while end + 1 < count && self[end + 1].time - self[end].time <= gap { end += 1 }
    return end
  }

  /// The latest click from `earliest` on among the touches before `end`.
  @inline(__always)
  func click(from earliest: Int64, before end: Int) -> Int? {
    var index = end
    while index > 0 && self[index - 1].time >= earliest {
      index -= 1
      if self[index].isClick { return index }
    }
    return nil
  }

  /// The latest impression of the content from `earliest` on among the touches before `end`.
  @inline(__always)
  func impression(
    of content: UInt64, from earliest: Int64, before end: Int,
    contents: UnsafeMutablePointer<UInt64>
  ) -> Int? {
    var index = end
    while index > 0 && self[index - 1].time >= earliest {
      index -= 1
      if self[index].isImpression && contents[Int(self[index].tuple)] == content { return index }
    }
    return nil
  }
}
