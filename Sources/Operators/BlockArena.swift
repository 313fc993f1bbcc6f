/// Memory in blocks of some sizes, cut from chunks that grow with what there is.
///
/// A freed block waits in the list of its size: a heap would join it with its neighbours, whose sizes are
/// cache misses. Chunks of 2 MiB and more lie on large pages. All go back when no block is in use.
struct BlockArena: ~Copyable {
  private static let chunkByteCountMin = 1 << 12
  private static let chunkByteCountMax = 1 << 23

  private var chunks: [UnsafeMutableRawPointer] = []
  private var next: UnsafeMutableRawPointer?
  private var left = 0
  /// The first free block of every size; each holds the address of the next.
  private let free: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let sizeCount: Int
  private var used = 0
  /// Of all chunks.
  private(set) var byteCount = 0
  private var lastByteCount = 0
  /// Whether further chunks are taken without a stop: on small pages, of which large ones are made once they are full.
  var isGentle = false

  init(sizeCount: Int) {
    self.sizeCount = sizeCount
    free = .allocate(capacity: sizeCount)
    free.initialize(repeating: nil, count: sizeCount)
  }

  deinit {
    for chunk in chunks { chunk.deallocate() }
    free.deallocate()
  }

  /// - Parameter blockByteCount: always the same for a size, and a multiple of 8.
  @inline(__always)
  mutating func allocate(_ size: Int, _ blockByteCount: Int) -> UnsafeMutableRawPointer {
    used += 1
    if let block = free[size] {
      let following = block.load(as: UnsafeMutableRawPointer?.self)
      free[size] = following
      if let following { TableMemory.prefetch(following) }
      return block
    }
    if left < blockByteCount { addChunk(blockByteCount) }
    guard let block = next else { preconditionFailure("a chunk has room") }
    next = block + blockByteCount
    left -= blockByteCount
    return block
  }

  private mutating func addChunk(_ blockByteCount: Int) {
    let wanted = min(max(byteCount, Self.chunkByteCountMin), Self.chunkByteCountMax)
    let count = max(wanted, blockByteCount)
    if let last = chunks.last { TableMemory.wantLargePages(last, byteCount: lastByteCount) }
    let chunk = UnsafeMutableRawPointer(
      TableMemory.allocate(UInt64.self, count: count / 8, isGentle: isGentle))
    chunks.append(chunk)
    lastByteCount = count
    next = chunk
    left = count
    byteCount += count
  }

  /// Asks for the block that is given out next.
  @inline(__always)
  func prefetchBlock(_ size: Int) {
    if let block = free[size] ?? next { TableMemory.prefetch(block) }
  }

  @inline(__always)
  mutating func release(_ block: UnsafeMutableRawPointer, _ size: Int) {
    used -= 1
    if used == 0 { return releaseAll() }
    block.storeBytes(of: free[size], as: UnsafeMutableRawPointer?.self)
    free[size] = block
  }

  private mutating func releaseAll() {
    for chunk in chunks { chunk.deallocate() }
    chunks.removeAll()
    free.update(repeating: nil, count: sizeCount)
    next = nil
    left = 0
    byteCount = 0
  }
}
