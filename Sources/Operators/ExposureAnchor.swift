import Views

/// A campaign that a person was exposed to, when what exposed it has left state or is counted elsewhere.
struct ExposureAnchor: BitwiseCopyable, Hashable {
  /// Of the touch that exposed.
  var time: Int64
  /// Earlier touches are not its concern: its own time, or where it is of another's touch the time from
  /// which on nothing was settled when it came.
  var from: Int64
  /// See `PersonHistories.Facet`.
  var campaign: UInt64

  /// The most that a person has: those that are remembered, and one for each touch in state.
  static let countMax = ExperimentPolicy.anchorCountMax + PersonPolicy.touchCountMax

  static func precedes(_ a: ExposureAnchor, _ b: ExposureAnchor) -> Bool {
    (a.time, a.campaign, a.from) < (b.time, b.campaign, b.from)
  }
}

/// The anchors of one person, in order of time.
struct ExposureAnchors {
  let anchors: UnsafeMutablePointer<ExposureAnchor>?
  let count: Int

  /// True where no touch at `time` exposes to the campaign, because it lies within the memory of an anchor.
  @inline(__always)
  func block(_ campaign: UInt64, at time: Int64, memory: Int64) -> Bool {
    guard count > 0, let anchors else { return false }
    for index in 0..<count
    where anchors[index].campaign == campaign && anchors[index].from <= time
      && time - anchors[index].time <= memory
    {
      return true
    }
    return false
  }

  var array: [ExposureAnchor] { (0..<count).map { anchors.unsafelyUnwrapped[$0] } }
}

/// Memory for the anchors of persons: blocks of two anchors and its doublings.
struct AnchorArena: ~Copyable {
  private var blocks = BlockArena(sizeCount: 16)

  var byteCount: Int { blocks.byteCount }

  /// The class of the smallest block for so many anchors, at least one.
  private static func size(for count: Int) -> Int {
    var size = 0
    while 2 << size < count { size += 1 }
    return size
  }

  /// - Returns: nil for no anchors.
  mutating func allocate(_ anchors: [ExposureAnchor]) -> UnsafeMutablePointer<ExposureAnchor>? {
    if anchors.isEmpty { return nil }
    let size = Self.size(for: anchors.count)
    let block = blocks.allocate(size, (2 << size) * MemoryLayout<ExposureAnchor>.stride)
      .bindMemory(to: ExposureAnchor.self, capacity: 2 << size)
    for (index, anchor) in anchors.enumerated() { block[index] = anchor }
    return block
  }

  mutating func release(_ anchors: ExposureAnchors) {
    guard anchors.count > 0, let block = anchors.anchors else { return }
    blocks.release(UnsafeMutableRawPointer(block), Self.size(for: anchors.count))
  }
}
