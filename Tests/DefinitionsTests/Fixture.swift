import FoundationEssentials

@testable import Definitions

/// A private copy of the repository's `Streams/` in which a test breaks something.
struct Fixture: ~Copyable {
  /// The repository's own folder.
  static let original: String = {
    let file = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    return file.dropLast(3).joined(separator: "/") + "/Streams"
  }()

  let folder: String

  init() throws {
    let files = FileManager.default
    folder = files.temporaryDirectory.path + "/definitions-\(UInt64.random(in: .min ... .max))"
    try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in [
      "streams.yaml", "pipelines.yaml", "event-mapping.yaml", "bots.yaml", "experiments.yaml",
    ] {
      try files.copyItem(atPath: "\(Self.original)/\(name)", toPath: "\(folder)/\(name)")
    }
  }

  deinit {
    // A folder that stays behind in the temporary folder harms nobody.
    try? FileManager.default.removeItem(atPath: folder)
  }

  func text(_ name: String) throws -> String {
    try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
  }

  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
  }

  /// Replaces the first `old` of the file by `new`.
  ///
  /// - Returns: the line of `old`, from 1.
  @discardableResult
  func replace(_ name: String, _ old: String, with new: String) throws -> Int {
    let text = try text(name)
    guard let range = text.firstRange(of: old) else { throw Missing(text: old) }
    try write(name, text.replacingCharacters(range, new))
    return text[..<range.lowerBound].split(separator: "\n", omittingEmptySubsequences: false).count
  }

  struct Missing: Error { let text: String }
}

extension String {
  fileprivate func replacingCharacters(_ range: Range<Index>, _ new: String) -> String {
    String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
  }
}
