/// Memory for the texts of tuples: blocks of multiples of 16 bytes, cut from chunks that grow with what is
/// in use.
///
/// A freed block waits in the list of its size. A heap would join it with its neighbours, whose sizes are cache
/// misses. Long texts get memory of their own. Chunks go back when no text is in use.
struct TextArena: ~Copyable {
  private static let unit = 16
  /// Longer ones have memory of their own.
  private static let byteCountMax = 256
  private static let chunkByteCountMin = 1 << 12
  private static let chunkByteCountMax = 1 << 22

  private var chunks: [UnsafeMutableRawPointer] = []
  private var next: UnsafeMutableRawPointer?
  private var left = 0
  /// The first free block of every size; each holds the address of the next.
  private let free: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  /// Those that have memory of their own.
  private var long: Set<UnsafeMutableRawPointer> = []
  private var used = 0
  /// Of all chunks.
  private var byteCount = 0

  private static var classCount: Int { byteCountMax / unit + 1 }

  init() {
    free = .allocate(capacity: Self.classCount)
    free.initialize(repeating: nil, count: Self.classCount)
  }

  deinit {
    for chunk in chunks { chunk.deallocate() }
    for text in long { text.deallocate() }
    free.deallocate()
  }

  private static func size(_ byteCount: Int) -> Int { (max(1, byteCount) + unit - 1) / unit }

  mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    if byteCount > Self.byteCountMax {
      let text = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: Self.unit)
      long.insert(text)
      return text
    }
    used += 1
    let size = Self.size(byteCount)
    if let block = free[size] {
      let following = block.load(as: UnsafeMutableRawPointer?.self)
      free[size] = following
      if let following { TableMemory.prefetch(following) }
      return block
    }
    let blockByteCount = size * Self.unit
    if left < blockByteCount { addChunk() }
    guard let block = next else { preconditionFailure("a chunk has room") }
    next = block + blockByteCount
    left -= blockByteCount
    return block
  }

  private mutating func addChunk() {
    let count = min(max(byteCount, Self.chunkByteCountMin), Self.chunkByteCountMax)
    let chunk = UnsafeMutableRawPointer(TableMemory.allocate(UInt64.self, count: count / 8))
    chunks.append(chunk)
    next = chunk
    left = count
    byteCount += count
  }

  mutating func release(_ text: UnsafeMutableRawPointer, _ byteCount: Int) {
    if byteCount > Self.byteCountMax {
      long.remove(text)
      text.deallocate()
      return
    }
    used -= 1
    if used == 0 {
      for chunk in chunks { chunk.deallocate() }
      chunks.removeAll()
      free.update(repeating: nil, count: Self.classCount)
      next = nil
      left = 0
      self.byteCount = 0
      return
    }
    let size = Self.size(byteCount)
    text.storeBytes(of: free[size], as: UnsafeMutableRawPointer?.self)
    free[size] = text
  }
}
