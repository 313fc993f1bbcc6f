/// Memory for the touches of persons: blocks of two touches and its doublings.
struct TouchArena: ~Copyable {
  static let classCount = 16

  private var blocks = BlockArena(sizeCount: classCount)

  var byteCount: Int { blocks.byteCount }

  /// See ``BlockArena/isGentle``.
  var isGentle: Bool {
    get { blocks.isGentle }
    set { blocks.isGentle = newValue }
  }

  /// Touches in a block of a class.
  @inline(__always)
  static func capacity(_ size: UInt8) -> Int { 2 << Int(size) }

  /// The smallest class for so many touches.
  static func size(for count: Int) -> UInt8 {
    var size: UInt8 = 0
    while capacity(size) < count { size += 1 }
    return size
  }

  mutating func allocate(_ size: UInt8) -> UnsafeMutablePointer<KeptTouch> {
    let capacity = Self.capacity(size)
    return blocks.allocate(Int(size), capacity * MemoryLayout<KeptTouch>.stride)
      .bindMemory(to: KeptTouch.self, capacity: capacity)
  }

  /// Asks for the block that is given out next.
  @inline(__always)
  func prefetchBlock(_ size: UInt8) { blocks.prefetchBlock(Int(size)) }

  mutating func release(_ block: UnsafeMutablePointer<KeptTouch>, _ size: UInt8) {
    blocks.release(UnsafeMutableRawPointer(block), Int(size))
  }
}
