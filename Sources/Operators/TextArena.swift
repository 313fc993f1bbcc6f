/// Memory for the texts of tuples: blocks of multiples of 16 bytes. Long texts get memory of their own.
struct TextArena: ~Copyable {
  private static let unit = 16
  /// Longer ones have memory of their own.
  private static let byteCountMax = 256

  private var blocks = BlockArena(sizeCount: byteCountMax / unit + 1)
  private var long: Set<UnsafeMutableRawPointer> = []

  deinit {
    for text in long { text.deallocate() }
  }

  private static func size(_ byteCount: Int) -> Int { (max(1, byteCount) + unit - 1) / unit }

  mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    if byteCount > Self.byteCountMax {
      let text = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: Self.unit)
      long.insert(text)
      return text
    }
    let size = Self.size(byteCount)
    return blocks.allocate(size, size * Self.unit)
  }

  mutating func release(_ text: UnsafeMutableRawPointer, _ byteCount: Int) {
    if byteCount > Self.byteCountMax {
      long.remove(text)
      text.deallocate()
      return
    }
    blocks.release(text, Self.size(byteCount))
  }
}
