/// Memory for the touches of persons: blocks of two touches and its doublings, cut from chunks.
///
/// A freed block waits in the list of its size. Chunks go back when no block is in use.
struct TouchArena: ~Copyable {
  static let classCount = 16
  private static let chunkByteCount = 1 << 20
  /// Of chunks once there are many, for large pages.
  private static let largeChunkByteCount = 1 << 23

  private var chunks: [UnsafeMutableRawPointer] = []
  private var next: UnsafeMutableRawPointer?
  private var left = 0
  /// The first free block of every size; each holds the address of the next.
  private let free: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private var used = 0
  private(set) var byteCount = 0

  init() {
    free = .allocate(capacity: Self.classCount)
    free.initialize(repeating: nil, count: Self.classCount)
  }

  deinit {
    for chunk in chunks { chunk.deallocate() }
    free.deallocate()
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
    used += 1
    let capacity = Self.capacity(size)
    if let block = free[Int(size)] {
      let following = block.load(as: UnsafeMutableRawPointer?.self)
      free[Int(size)] = following
      if let following { TableMemory.prefetch(following) }
      return block.bindMemory(to: KeptTouch.self, capacity: capacity)
    }
    let blockByteCount = capacity * MemoryLayout<KeptTouch>.stride
    if left < blockByteCount { addChunk(blockByteCount) }
    guard let block = next else { preconditionFailure("a chunk has room") }
    next = block + blockByteCount
    left -= blockByteCount
    return block.bindMemory(to: KeptTouch.self, capacity: capacity)
  }

  private mutating func addChunk(_ blockByteCount: Int) {
    let isLarge = byteCount >= 2 * Self.largeChunkByteCount
    let chunkByteCount = max(
      isLarge ? Self.largeChunkByteCount : Self.chunkByteCount, blockByteCount)
    let chunk = UnsafeMutableRawPointer(TableMemory.allocate(UInt8.self, count: chunkByteCount))
    chunks.append(chunk)
    next = chunk
    left = chunkByteCount
    byteCount += chunkByteCount
  }

  /// Asks for the block that is given out next.
  @inline(__always)
  func prefetchBlock(_ size: UInt8) {
    if let block = free[Int(size)] ?? next { TableMemory.prefetch(block) }
  }

  mutating func release(_ block: UnsafeMutablePointer<KeptTouch>, _ size: UInt8) {
    used -= 1
    if used == 0 {
      for chunk in chunks { chunk.deallocate() }
      chunks.removeAll()
      free.update(repeating: nil, count: Self.classCount)
      next = nil
      left = 0
      byteCount = 0
      return
    }
    let raw = UnsafeMutableRawPointer(block)
    raw.storeBytes(of: free[Int(size)], as: UnsafeMutableRawPointer?.self)
    free[Int(size)] = raw
  }
}
