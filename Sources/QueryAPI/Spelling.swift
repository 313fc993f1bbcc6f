/// Finds the name that was meant.
enum Spelling {
  /// The one that the quoted name at the beginning of an error's detail comes nearest to; nil where none is near: at
  /// most two letters of difference, not counting upper and lower case, and fewer than half of the name.
  static func nearest(to detail: String, in names: [String]) -> String? {
    guard detail.hasPrefix("\""), let end = detail.dropFirst().firstIndex(of: "\"") else {
      return nil
    }
    let given = Array(detail[detail.index(after: detail.startIndex)..<end].lowercased())
    guard (1...64).contains(given.count) else { return nil }
    return names.map { (name: $0, distance: distance(given, Array($0.lowercased()))) }
      .filter { $0.distance <= 2 && $0.distance * 2 < max(given.count, 2) }
      .min { $0.distance < $1.distance }?.name
  }

  /// Letters to insert, remove or replace (Levenshtein).
  static func distance(_ a: [Character], _ b: [Character]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let replaced = diagonal + (x == y ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
      }
    }
    return row[b.count]
  }
}
