import Foundation

/// A golden figure of another library: its kind, inputs, and what it should be.
struct GoldenEntry {
  let kind: String
  let input: [String: Any]
  /// In the order of their names, lists in their own.
  let expected: [Double]
  /// Taken from tests that state five digits behind the point.
  let isRounded: Bool

  /// All entries below a folder: of files of JSON that are lists of members kind, input and expected.
  static func all(in folder: DataFolder) throws -> [GoldenEntry] {
    var entries: [GoldenEntry] = []
    for path in folder.files(ending: ".json") {
      let data = try Data(contentsOf: URL(fileURLWithPath: path))
      guard
        let list = try JSONSerialization.jsonObject(with: data) as? [[String: Any]],
        list.first?["kind"] is String
      else { continue }
      for member in list {
        guard
          let kind = member["kind"] as? String, let input = member["input"] as? [String: Any],
          let source = member["source"] as? String
        else { throw QualityError("\(path): an entry has no kind, input or source") }
        entries.append(
          GoldenEntry(
            kind: kind, input: input, expected: numbers(member["expected"]),
            isRounded: source.hasPrefix("figures in")))
      }
    }
    return entries
  }

  /// Whether a figure, at this place of the expected ones, is the right one.
  func agrees(_ figure: Double, at index: Int) -> Bool {
    let right = expected[index]
    // gbstats ends its search for this p-value where the bound is within 10^-6 of zero.
    let isSearched = kind.hasPrefix("asymp_cs_greater") && index == 3
    let tolerance = isRounded ? 6e-6 * max(1, right.magnitude) : isSearched ? 5e-5 : 1e-6
    return figure == right || (figure - right).magnitude <= tolerance
  }

  func number(_ name: String) -> Double? { (input[name] as? NSNumber)?.doubleValue }

  func required(_ name: String) throws -> Double {
    guard let number = number(name) else { throw lacks(name) }
    return number
  }

  func numbers(_ name: String) throws -> [Double] {
    guard let list = input[name] as? [NSNumber] else { throw lacks(name) }
    return list.map(\.doubleValue)
  }

  func lacks(_ name: String) -> QualityError { QualityError("a \(kind) has no \(name)") }

  private static func numbers(_ value: Any?) -> [Double] {
    switch value {
    case let number as NSNumber: [number.doubleValue]
    case let text as String: text == "inf" ? [.infinity] : []
    case let list as [Any]: list.flatMap(numbers)
    case let members as [String: Any]:
      members.sorted { $0.key < $1.key }.flatMap { numbers($0.value) }
    default: []
    }
  }
}
