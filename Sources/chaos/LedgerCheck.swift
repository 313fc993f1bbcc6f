import Events

/// Looks every acknowledged event up in the log, by its id and its site.
struct LedgerCheck {
  /// Per sender and number, the site under which it was found, plus one; 0 where it was not.
  private var found: [Int: [UInt8]] = [:]
  private(set) var eventCount = 0

  mutating func add(_ frame: LogScan.Frame) {
    guard let view = frame.view, view.header.kind == .events else { return }
    var sites: [Int: UInt8] = [:]
    for index in 0..<view.count {
      eventCount += 1
      guard let (sender, number) = Wire.number(of: view.id(index)) else { continue }
      let tuple = view.tuple(index)
      let site: UInt8
      if let known = sites[tuple] {
        site = known
      } else {
        let name = DimensionTuple(encoded: view.tupleBytes(tuple))?.site ?? ""
        site = UInt8((Wire.sites.firstIndex(of: name) ?? -1) + 1)
        sites[tuple] = site
      }
      var numbers = found[sender] ?? []
      // Taken out so that the array is not copied.
      found[sender] = []
      if numbers.count <= number {
        numbers.append(contentsOf: repeatElement(0, count: number + 4096 - numbers.count))
      }
      numbers[number] = site
      found[sender] = numbers
    }
  }

  /// - Returns: acknowledged events that the log does not have, the first few of them.
  func missing(_ ledger: Ledger) -> (count: Int, first: [String]) {
    var count = 0
    var first: [String] = []
    for entry in ledger.entries {
      let numbers = found[entry.sender] ?? []
      for number in entry.numbers {
        if number < numbers.count, numbers[number] == UInt8(entry.site + 1) { continue }
        count += 1
        if first.count < 5 { first.append(Wire.id(sender: entry.sender, number: number)) }
      }
    }
    return (count, first)
  }
}
