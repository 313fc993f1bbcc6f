import Operators

/// Distinct texts by number, in order of their first appearance.
///
/// Open addressing with linear probing at most half full; the texts lie one after the other. Memory: the
/// text and some 24 bytes for each.
struct TextTable: ~Copyable {
  /// Text `i` is from ends[i − 1] to ends[i].
  private var ends: [Int] = []
  private var bytes: [UInt8] = []
  private var hashes: [UInt32] = []
  /// 1 + the number of the text that is here; 0 where free.
  private var places: UnsafeMutablePointer<UInt32>
  private var mask = 255
  let countMax: Int

  init(countMax: Int) {
    self.countMax = countMax
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
  }

  deinit { places.deallocate() }

  var count: Int { ends.count }

  /// - Returns: the number of the text; nil where it is one too many.
  @inline(__always)
  mutating func intern(_ text: UnsafeRawBufferPointer) -> Int? {
    let hash = TupleHash.hash(text)
    var place = Int(hash) & mask
    while true {
      let entry = places[place]
      if entry == 0 { break }
      let number = Int(entry) &- 1
      if hashes[number] == hash, isEqual(number, text) { return number }
      place = (place &+ 1) & mask
    }
    return add(text, hash: hash)
  }

  func withText<Result>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let range = range(number)
    return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  func text(_ number: Int) -> [UInt8] { Array(bytes[range(number)]) }

  mutating func removeAll() {
    ends.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
    hashes.removeAll(keepingCapacity: true)
    places.update(repeating: 0, count: mask + 1)
  }

  @inline(__always)
  private func range(_ number: Int) -> Range<Int> {
    (number == 0 ? 0 : ends[number &- 1])..<ends[number]
  }

  @inline(__always)
  private func isEqual(_ number: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    let range = range(number)
    guard range.count == text.count else { return false }
    return bytes.withUnsafeBytes {
      TupleHash.equal(UnsafeRawBufferPointer(rebasing: $0[range]), text)
    }
  }

  @inline(never)
  private mutating func add(_ text: UnsafeRawBufferPointer, hash: UInt32) -> Int? {
    guard count < countMax else { return nil }
    if count * 2 >= mask { grow() }
    bytes.append(contentsOf: text)
    ends.append(bytes.count)
    hashes.append(hash)
    link(count - 1)
    return count - 1
  }

  private func link(_ number: Int) {
    var place = Int(hashes[number]) & mask
    while places[place] != 0 { place = (place + 1) & mask }
    places[place] = UInt32(number + 1)
  }

  private mutating func grow() {
    places.deallocate()
    mask = mask * 2 + 1
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
    for number in 0..<count { link(number) }
  }
}
