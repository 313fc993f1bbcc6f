import Events
import Testing

@Suite("JSON lines")
struct JSONLineScannerTests {
  private static let members = ["ad_id", "event_type", "event_time", "missing"]

  /// What the lines' wanted members are, read in pieces of the layout scanner.
  private static func scan(_ text: String, padding: Int) throws -> [[String?]] {
    let bytes = Array(text.utf8) + [UInt8](repeating: 0, count: padding)
    let count = bytes.count - padding
    var lines = JSONLineScanner(members: members)
    var result: [[String?]] = []
    try bytes.withUnsafeBytes { bytes in
      // Padding is there to be looked at, not to be read as lines.
      let visible = padding > 0 ? bytes : UnsafeRawBufferPointer(rebasing: bytes[..<count])
      var offset = 0
      while offset < count {
        offset = try lines.next(visible, offset)
        result.append(
          (0..<members.count).map { member in
            lines.value(member).map { String(decoding: $0, as: UTF8.self) }
          })
      }
    }
    return result
  }

  /// The same by the general scanner, line by line.
  private static func reference(_ text: String) throws -> [[String?]] {
    try text.split(separator: "\n").map { line in
      var values: [String: String] = [:]
      try Array(line.utf8).withUnsafeBytes { bytes in
        var json = JSONScanner(bytes)
        try json.beginObject()
        while let key = try json.nextKey() {
          let name = key.string
          if try json.peek() == .string {
            values[name] = try json.string()
          } else {
            try json.skipValue()
            values[name] = nil
          }
        }
        try json.end()
      }
      return members.map { values[$0] }
    }
  }

  private struct Random {
    var state: UInt64

    mutating func below(_ count: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(count))
    }
  }

  private static func line(_ random: inout Random) -> String {
    func text(_ random: inout Random) -> String {
      switch random.below(20) {
      case 0: "a\\\"b\\u00e4\\n"
      case 1: "é"
      case 2: ""
      case 3: String(repeating: "x", count: 70)
      default: String(repeating: "abcdefgh", count: 5).prefix(random.below(40)).description
      }
    }
    var pairs = [
      "\"user_id\": \"\(text(&random))\"", "\"ad_id\": \"\(text(&random))\"",
      "\"event_type\": \"\(["view", "click", "purchase"][random.below(3)])\"",
      "\"event_time\": \"17000000\(random.below(99999))\"",
    ]
    switch random.below(15) {
    case 0: pairs.swapAt(0, 2)
    case 1: pairs.append("\"extra\": {\"ad_id\": [1, 2.5e3, null]}")
    case 2: pairs.removeLast()
    case 3: pairs.append("\"event_type\": 7")
    case 4: pairs.append("\"ad_id\": \"twice\"")
    case 5: pairs[0] = "\"a name that is longer than the longest literal\": \"v\""
    case 6: pairs = []
    default: break
    }
    let space = random.below(30) == 0 ? "  " : " "
    return "{" + pairs.joined(separator: "," + space) + (random.below(40) == 0 ? " } " : "}")
  }

  @Test("lines give what the general scanner gives, alike or not, with and without a last newline")
  func equal() throws {
    for seed in 1...300 as ClosedRange<UInt64> {
      var random = Random(state: seed)
      var text = (0..<60).map { _ in Self.line(&random) }.joined(separator: "\n")
      if seed.isMultiple(of: 2) { text += "\n" }
      let expected = try Self.reference(text)
      #expect(try Self.scan(text, padding: 0) == expected, "seed \(seed)")
    }
  }

  @Test("lines that are alike are read by the learned layout")
  func learned() throws {
    let text = (0..<100).map {
      "{\"ad_id\": \"ad-\($0)\", \"event_type\": \"view\", \"event_time\": \"\($0 * 1000)\"}\n"
    }.joined()
    var lines = JSONLineScanner(members: Self.members)
    try (Array(text.utf8) + [UInt8](repeating: 0, count: 32)).withUnsafeBytes { bytes in
      var offset = 0
      for _ in 0..<100 { offset = try lines.next(bytes, offset) }
      #expect(offset == text.utf8.count)
    }
    #expect(lines.unlikeCount == 1)
  }

  @Test("a byte that breaks a line is found, whatever it is and wherever it stands")
  func broken() throws {
    let line = "{\"ad_id\": \"0123456789abcdef01\", \"event_type\": \"view\"}\n"
    let good = Array((line + line + line).utf8)
    for place in line.utf8.count..<2 * line.utf8.count {
      for byte in [0, 9, 10, 31, 34, 44, 58, 92, 123, 125, 128, 255] as [UInt8] {
        var bytes = good
        bytes[place] = byte
        let text = bytes
        let isValid = bytes.split(separator: 10).allSatisfy { Self.isObject(Array($0)) }
        var lines = JSONLineScanner(members: Self.members)
        var isRead = true
        do {
          try text.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count { offset = try lines.next(bytes, offset) }
          }
        } catch {
          isRead = false
        }
        #expect(isRead == isValid, "byte \(byte) at \(place)")
      }
    }
  }

  private static func isObject(_ line: [UInt8]) -> Bool {
    do {
      try line.withUnsafeBytes { line in
        var json = JSONScanner(line)
        try json.beginObject()
        while try json.nextKey() != nil { try json.skipValue() }
        try json.end()
      }
      return true
    } catch {
      return false
    }
  }
}
